"""Measures LPIPS, grain and grids, which PSNR does not see, at every validation."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from math import isnan, nan
from statistics import fmean
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from sr_gan.arguments import LPIPSWeights, checked
from sr_gan.errors import UserError
from sr_gan.images.resize import bicubic
from sr_gan.machine import cores
from sr_gan.metrics import LPIPS, grain, grid
from sr_gan.modules import GAN
from sr_gan.modules.base import SRModule, gathered, weight

log = logging.getLogger(__name__)

_THREADS = 4  # at most


class PerceptualQuality(L.Callback):
    """Logs LPIPS, grain and grid as means over the validation photos, and ranks the validations.

    ``quality/lpips`` and ``quality/lpips_bicubic`` are the distances of the generated and of the
    bicubic images. ``quality/grain`` is the mean over the photos that have flat areas, see
    :func:`sr_gan.metrics.grain`. ``quality/grid`` is the mean of :func:`sr_gan.metrics.grid` over
    the photos that have a window. LPIPS leaves out photos with a side below 32 pixels.

    The checkpoint with the lowest ``quality/rank`` is the best one. The rank of a GAN is its LPIPS;
    a validation whose PSNR-Y is below ``psnr_floor`` ranks behind all that keep it. The rank
    is the negative PSNR-Y for a pretrain, and where LPIPS is not measured.

    If photos come in kinds (``data.valid_kinds``), each kind has its own means of all scores, such
    as ``quality/jpeg75/lpips``. The weights of AlexNet are never part of a checkpoint.

    Args:
        weights: AlexNet's weights, as :class:`sr_gan.metrics.LPIPS` takes them. If this is
            ``None`` and torch's cache has none, LPIPS is not measured, and one line reports it.
        psnr_floor: the PSNR-Y that a GAN has to keep, in dB above bicubic's.

    Raises:
        UserError: the weights that were named are missing or are not AlexNet's.
    """

    @checked
    def __init__(self, weights: LPIPSWeights | None = None, psnr_floor: float = -1.0) -> None:
        self.lpips = _lpips(weights)
        self.psnr_floor = psnr_floor
        self.bicubic: dict[str, float] = {}  # by photo; it never changes
        # Kind and scores of each photo; a score that does not exist is NaN.
        self.photos: list[tuple[str, dict[str, float]]] = []
        self.pool: ThreadPoolExecutor | None = None
        self.waiting: list[tuple[dict[str, float], Future[dict[str, float]]]] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if isinstance(pl_module, SRModule):
            pl_module.ranked = True
        if trainer.strategy.root_device.type == "cuda":  # the processor is free meanwhile
            self.pool = ThreadPoolExecutor(min(_THREADS, cores()))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self.pool:
            self.pool.shutdown()

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.photos, self.waiting = [], []

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for scores, artefacts in self.waiting:
            scores |= artefacts.result()
        photos = gathered(trainer, self.photos)
        if not photos:
            return
        means = _means([scores for _, scores in photos])
        lpips, psnr, bicubic = means["lpips"], means["psnr_y"], means["psnr_y_bicubic"]
        below = max(0.0, self.psnr_floor - (psnr - bicubic))
        perceptual = isinstance(pl_module, GAN) and not isnan(lpips)
        taken = {name: means[name] for name in ("lpips", "lpips_bicubic", "grain", "grid")}
        taken["rank"] = lpips + 100 * below if perceptual else -psnr
        for kind in dict.fromkeys(kind for kind, _ in photos if kind):
            part = _means([scores for other, scores in photos if other == kind])
            taken |= {f"{kind}/{name}": mean for name, mean in part.items()}
        pl_module.log_dict({f"quality/{name}": x for name, x in taken.items() if not isnan(x)})

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        if not weight(batch):
            return
        if self.lpips:
            self.lpips.to(pl_module.device)
        lr, sr, hr = (outputs[name] for name in ("lr", "sr", "hr"))
        scale = hr.shape[-1] // lr.shape[-1]
        lpips, bicubic = self._measure(lr, sr, hr, batch["name"][0])
        scores = {
            **{k.split("/")[1]: float(x) for k, x in outputs.items() if k.startswith("quality/")},
            "lpips": lpips,
            "lpips_bicubic": bicubic,
        }
        self.photos.append((batch["kind"][0] if "kind" in batch else "", scores))
        if self.pool:
            artefacts = self.pool.submit(_artefacts, sr.cpu(), hr.cpu(), scale)
            self.waiting.append((scores, artefacts))
        else:
            scores |= _artefacts(sr, hr, scale)

    def _measure(self, lr: Tensor, sr: Tensor, hr: Tensor, name: str) -> tuple[float, float]:
        """Returns LPIPS of the generated and of the bicubic image; NaN if it is not measured."""
        if self.lpips is None or min(hr.shape[-2:]) < LPIPS.smallest:
            return nan, nan
        if name not in self.bicubic:
            self.bicubic[name] = float(self.lpips(bicubic(lr, hr.shape[-1] // lr.shape[-1]), hr))
        return float(self.lpips(sr, hr)), self.bicubic[name]


def _artefacts(sr: Tensor, hr: Tensor, scale: int) -> dict[str, float]:
    return {
        "grain": float(grain(sr, hr, border=scale)),
        "grid": float(grid(sr, scale, border=scale)),
    }


def _means(photos: Sequence[dict[str, float]]) -> dict[str, float]:
    """Returns the mean of each score over the photos that have it; NaN if none has."""
    columns = {name: [photo[name] for photo in photos] for name in photos[0]}
    numbers = {name: [x for x in column if not isnan(x)] for name, column in columns.items()}
    return {name: fmean(column) if column else nan for name, column in numbers.items()}


@cache
def _lpips(weights: str | None) -> LPIPS | None:
    """Returns one network for all stages; missing default weights are reported once."""
    try:
        return LPIPS(weights)
    except UserError:
        if weights is not None:
            raise
        rank_zero_only(log.info)(
            "lpips      not measured, AlexNet's weights are not in torch's cache: "
            "set callbacks.lpips.weights=FILE, or download (233 MB)"
        )
        return None
