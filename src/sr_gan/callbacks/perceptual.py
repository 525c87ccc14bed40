"""LPIPS at every validation: what PSNR does not see."""

import logging
from functools import cache
from math import isnan, nan
from statistics import fmean
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_only

from sr_gan.data.resize import upscale
from sr_gan.errors import UserError
from sr_gan.metrics import LPIPS
from sr_gan.modules import GAN

log = logging.getLogger(__name__)


class PerceptualQuality(L.Callback):
    """Logs ``quality/lpips`` and ``quality/lpips_bicubic``, means over the validation photos.

    Also ``quality/rank``, by which the best checkpoint is chosen, lower is better: of a GAN LPIPS,
    behind every epoch that keeps ``floor`` where PSNR-Y falls below it; of a pretrain, and without
    LPIPS, the negative PSNR-Y. Photos below 32 pixels a side are left out. AlexNet is never part
    of a checkpoint.

    Args:
        weights: of AlexNet, as :class:`sr_gan.metrics.LPIPS` takes them. With ``None``, and no
            weights in torch's cache, LPIPS is not measured, and one line says so.
        floor: PSNR-Y that a GAN has to keep, in dB above bicubic's.

    Raises:
        UserError: the weights that were named are missing or are not AlexNet's.
    """

    def __init__(self, weights: str | None = None, floor: float = 0.0) -> None:
        self.lpips = _lpips(weights)
        self.floor = floor
        self.bicubic: dict[str, float] = {}  # does not learn: measured once a photo
        self.scores: list[tuple[float, float, float]] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.scores = []

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.scores:
            return
        psnr, above, lpips = (fmean(column) for column in zip(*self.scores))
        perceptual = isinstance(pl_module, GAN) and not isnan(lpips)
        rank = lpips + 100 * max(0.0, self.floor - above) if perceptual else -psnr
        pl_module.log("quality/rank", rank, sync_dist=True)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        psnr = float(outputs["quality/psnr_y"])
        above = psnr - float(outputs["quality/psnr_y_bicubic"])
        lpips = self._measure(pl_module, outputs, batch["name"][0])
        self.scores.append((psnr, above, lpips))

    def _measure(self, pl_module: L.LightningModule, outputs: Any, name: str) -> float:
        lr, sr, hr = (outputs[name] for name in ("lr", "sr", "hr"))
        if self.lpips is None or min(hr.shape[-2:]) < LPIPS.smallest:
            return nan
        self.lpips.to(pl_module.device)
        if name not in self.bicubic:
            self.bicubic[name] = float(self.lpips(upscale(lr, hr.shape[-1] // lr.shape[-1]), hr))
        lpips = float(self.lpips(sr, hr))
        values = {"quality/lpips": lpips, "quality/lpips_bicubic": self.bicubic[name]}
        pl_module.log_dict(values, on_epoch=True, batch_size=1)
        return lpips


@cache
def _lpips(weights: str | None) -> LPIPS | None:
    """One for all stages; a missing default is told once."""
    try:
        return LPIPS(weights)
    except UserError:
        if weights is not None:
            raise
        rank_zero_only(log.info)(
            "lpips      not measured, AlexNet's weights are not in torch's cache: "
            "callbacks.lpips.weights=FILE, or download (233 MB)"
        )
        return None
