"""The measures that an evaluation takes of every image."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sr_gan import metrics
from sr_gan.devices import out_of_memory
from sr_gan.errors import UserError
from sr_gan.metrics.fidelity import CONVENTIONS
from sr_gan.settings.explain import suggest
from sr_gan.settings.measures import Measures

log = logging.getLogger(__name__)

Scores = dict[str, float | None]
Measure = Callable[[Tensor, Tensor, Tensor], Any]  # of uint8 SR, HR and LR, each (1, C, h, w)


@dataclass(frozen=True)
class Suite:
    """Measures by name, and what they depend on.

    Args:
        measures: the measures.
        border: the pixels cut from each side for PSNR, SSIM, grain, grid and NIQE.
        chosen: what was asked for.
    """

    measures: Mapping[str, Measure]
    border: int
    chosen: Measures

    @property
    def has_vgg(self) -> bool:
        """Whether VGG16 is run, which takes more time and memory than all else."""
        return not {"lpips_vgg", "dists"}.isdisjoint(self.measures)

    def score(self, sr: Tensor, hr: Tensor, lr: Tensor) -> Scores:
        """Returns every measure of one image; None where a measure cannot take the image."""
        scores: Scores = {}
        for name, measure in self.measures.items():
            try:
                value = float(measure(sr, hr, lr))
            except ValueError:  # the image is too small for it
                value = math.nan
            scores[name] = None if math.isnan(value) else value
        return scores

    def facts(self) -> list[object]:
        """Returns what the scores depend on, besides the images."""
        return [list(self.measures), self.border, self.chosen.model_dump()]

    def describe(self) -> str:
        """Returns one line on the conventions."""
        name = self.chosen.convention
        cut = "1 pixel is" if self.border == 1 else f"{self.border} pixels are"
        return (
            f"convention={name}: {CONVENTIONS[name].description}; "
            f"photographs are cut to a multiple of the scale factor, and {cut} cut from each side"
        )


def suite(scale: int, device: torch.device, chosen: Measures | None = None) -> Suite:
    """Loads the measures that are asked for, and those that need no file.

    If AlexNet's file is not named and its weights are missing, a warning is logged, because the
    other measures are still worth having.

    Args:
        scale: the scale factor.
        device: the device on which networks compute.
        chosen: what to measure.

    Raises:
        UserError: a file that is named does not hold the weights, or pyiqa lacks a measure.
    """
    chosen = chosen or Measures()
    border = scale if chosen.border is None else chosen.border
    y = CONVENTIONS[chosen.convention]
    measures: dict[str, Measure] = {
        "psnr_y": lambda sr, hr, lr: metrics.psnr_y(sr, hr, border, y),
        "ssim_y": lambda sr, hr, lr: metrics.ssim_y(sr, hr, border, y),
        "psnr_rgb": lambda sr, hr, lr: metrics.psnr(sr, hr, border),
        "ssim_rgb": lambda sr, hr, lr: metrics.ssim(sr, hr, border),
        "lr_consistency": lambda sr, hr, lr: metrics.lr_consistency(sr, lr, scale),
        "colour_shift": lambda sr, hr, lr: metrics.colour_shift(sr, hr),
        "grain": lambda sr, hr, lr: metrics.grain(sr, hr, border),
        "grid": lambda sr, hr, lr: metrics.grid(sr, scale, border),
    }
    networks: dict[str, Callable[[str | None], Any]] = {
        "lpips": lambda file: metrics.LPIPS(file, device),
        "lpips_squeeze": lambda file: metrics.LPIPS(file, device, "squeeze"),
        "lpips_vgg": lambda file: metrics.LPIPS(file, device, "vgg"),
        "dists": lambda file: metrics.DISTS(file, device),
    }
    for name, load in networks.items():
        file = getattr(chosen, name)
        try:
            if file is not None or name == "lpips":
                measures[name] = partial(_distance, load(file))
        except UserError as error:
            if file is not None:
                raise UserError(f"{name}: {error}") from error
            log.warning("LPIPS is not measured: %s", error)
    if chosen.niqe is not None:
        niqe = metrics.NIQE(None if chosen.niqe == "fitted" else chosen.niqe)
        measures["niqe"] = lambda sr, hr, lr: niqe(sr, border)
    measures |= {f"pyiqa_{name}": _by_pyiqa(name, device) for name in chosen.pyiqa}
    return Suite(measures, border, chosen)


def _distance(
    measure: Callable[[Tensor, Tensor], Tensor], sr: Tensor, hr: Tensor, lr: Tensor
) -> Tensor:
    return measure(sr, hr)


def _by_pyiqa(name: str, device: torch.device) -> Measure:
    """Loads a measure of the package pyiqa, which takes RGB in [0, 1].

    Raises:
        UserError: the package is not installed, or does not know or load the measure.
    """
    try:
        import pyiqa
    except ImportError as error:
        what = f"needs the package pyiqa: pip install 'sr_gan[pyiqa]' ({error})"
        raise UserError(f"pyiqa=[{name}] {what}") from error
    known = pyiqa.list_models()
    if name not in known:
        raise UserError(f"pyiqa=[{name}]: pyiqa has no such measure{suggest(name, known)}")
    try:
        measure = pyiqa.create_metric(name, device=device)
    except Exception as error:  # it downloads weights, and raises errors of many types
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"pyiqa=[{name}]: pyiqa cannot load it: {reason}") from error

    def score(sr: Tensor, hr: Tensor, lr: Tensor) -> Tensor:
        images = (sr, hr) if measure.metric_mode == "FR" else (sr,)
        try:
            with torch.no_grad():
                value: Tensor = measure(*(x.to(device).expand(-1, 3, -1, -1) / 255 for x in images))
        except (AssertionError, IndexError, RuntimeError) as error:
            if out_of_memory(error):
                raise
            log.warning("pyiqa=[%s] cannot take an image: %s", name, error)
            raise ValueError(str(error)) from error
        return value

    return score
