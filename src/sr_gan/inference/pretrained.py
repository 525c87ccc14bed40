"""Loads the model that a setting names: a run, a file, a bundled model, or an interpolation."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sr_gan.arguments import Kernel
from sr_gan.errors import UserError, printable
from sr_gan.images.resize import upscale
from sr_gan.models import PURPOSES, bundled_models
from sr_gan.runs import hub
from sr_gan.runs.folder import find_model
from sr_gan.runs.weights import (
    Weights,
    differing,
    read_weights,
    stated_arguments,
    stated_class,
)
from sr_gan.settings.explain import complaint


class Interpolation(nn.Module):
    """A classical interpolation with the interface of a generator.

    Args:
        kernel: ``"bicubic"`` as in MATLAB, or ``"lanczos"`` with three lobes.
        scale: the scale factor.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]
    """

    halo = 3  # LR pixels that Lanczos reaches

    def __init__(self, kernel: Kernel, scale: int = 4) -> None:
        super().__init__()
        self.kernel, self.scale = kernel, scale

    def forward(self, lr: Tensor) -> Tensor:
        return upscale(lr, self.scale, self.kernel) * 2 - 1


@dataclass(frozen=True)
class Pretrained:
    """A generator as it was trained, its name in tables, and the file of its weights."""

    name: str
    generator: nn.Module
    path: Path | None = None  # of an interpolation

    @property
    def scale(self) -> int:
        """The scale factor."""
        return int(self.generator.scale)  # type: ignore[arg-type]

    def describe(self) -> str:
        """Returns one line: name, size, and the file with its date or a bundled model's purpose."""
        count = sum(parameter.numel() for parameter in self.generator.parameters())
        kind = f"{self.name}, x{self.scale}"
        if self.path is None:
            return kind
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.path.stat().st_mtime))
        network = f"{type(self.generator).__name__} of {count:,} parameters"
        if self.path in bundled_models().values():
            return f"{kind}, {network}, {PURPOSES[self.name]}"
        return f"{kind}, {network} ({self.path}, {date})"


def load_pretrained(
    model: str | None, scale: int = 4, key: str = "model", allow: str | Sequence[str] = ()
) -> Pretrained:
    """Loads the generator that ``model`` names, with its weights.

    Args:
        model: the folder of a run (its newest weights are taken: those of a finished stage, or
            else the last checkpoint), a ``.ckpt`` or ``.safetensors`` file of a run, a file of
            another program (see :mod:`sr_gan.networks.layouts`), the name of a bundled model, a
            model of the Hugging Face Hub (``hf://OWNER/NAME``), ``bicubic`` or ``lanczos``; None is
            the bundled default.
        scale: the scale factor of interpolations; a generator has its own.
        key: the setting that names the model, for the message of an error.
        allow: packages or modules, by name, whose networks a file may be built from, besides those
            of this project. They are imported.

    Raises:
        UserError: there is no such model, or its network is none of those that can be used.
    """
    path = find_model(model, key)
    if path is None:
        return Pretrained(model, Interpolation(model, scale))  # type: ignore[arg-type]
    allow = [allow] if isinstance(allow, str) else list(allow)
    return Pretrained(_name(path), _build(read_weights(path, key), key, allow), path)


def _build(weights: Weights, key: str, allow: list[str]) -> nn.Module:
    config, origin = weights.config, f"{key}={weights.path}"
    if config is None:
        raise UserError(
            f"{origin}: the file does not say which generator its weights are of, and its tensors "
            "have other names than in ESRGAN, Real-ESRGAN, BSRGAN, BasicSR and leftthomas/SRGAN: "
            "give such a file, or the generator.safetensors or a checkpoint that a run wrote"
        )
    kind, settings = stated_class(config, origin, allow), stated_arguments(config, origin)
    # A file from elsewhere may ask for absurd sizes, which take no memory on the meta device.
    # A parametrization, such as weight_norm, makes two parameters and leaves one.
    try:
        with torch.device("meta"), _no_more_parameters_than(2 * len(weights.state)):
            network = kind(**settings)
            wrong = differing(network, weights.state)
    except Exception as error:  # a file from elsewhere can make a constructor raise anything
        reason = complaint(error) if isinstance(error, ValidationError) else error
        raise UserError(f"{origin}: its generator cannot be built: {printable(reason)}") from error
    if wrong:
        raise UserError(
            f"{origin}: its weights are not of the {kind.__name__} that it says "
            f"({len(wrong)} tensors differ, first {wrong[0]})"
        )
    if not isinstance(getattr(network, "scale", None), int):
        raise UserError(f"{origin}: {kind.__name__} has no attribute scale, its scale factor")
    if not all(bool(x.isfinite().all()) for x in weights.state.values()):
        raise UserError(f"{origin}: not all of its weights are finite numbers")
    generator: nn.Module = kind(**settings)
    generator.load_state_dict(weights.state)
    return generator.eval()


@contextmanager
def _no_more_parameters_than(count: int) -> Iterator[None]:
    """Stops the building of a network that makes more than ``count`` parameters."""
    made = 0

    def counted(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal made
        made += 1
        if made > count:
            raise ValueError(f"it has more than {count} parameters, unlike the file")

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def _name(path: Path) -> str:
    """Returns ``srgan/DATE/gan`` for ``runs/srgan/DATE/checkpoints/gan/last.ckpt``."""
    if on_hub := hub.name_of(path):
        return on_hub
    if path.parent.parent.name != "checkpoints":
        return path.stem
    run = path.parents[2]
    return f"{run.parent.name}/{run.name}/{path.parent.name}".lstrip("/")
