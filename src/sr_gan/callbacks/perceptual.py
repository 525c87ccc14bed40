"""LPIPS and grain at every validation: what PSNR does not see."""

import logging
from collections.abc import Sequence
from functools import cache
from math import isnan, nan
from statistics import fmean
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from sr_gan.data.resize import upscale
from sr_gan.errors import UserError
from sr_gan.metrics import LPIPS, grain
from sr_gan.modules import GAN
from sr_gan.modules.base import gathered, weight

log = logging.getLogger(__name__)


class PerceptualQuality(L.Callback):
    """Logs ``quality/lpips`` and ``quality/lpips_bicubic``, means over the validation photos.

    Also ``quality/grain``, as :func:`sr_gan.metrics.grain` has it, of the photos with flat places.
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

    def __init__(self, weights: str | None = None, floor: float = -1.0) -> None:
        self.lpips = _lpips(weights)
        self.floor = floor
        self.bicubic: dict[str, float] = {}  # does not learn: measured once a photo
        self.photos: list[dict[str, float]] = []  # scores of each, NaN where there is none

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.photos = []

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        photos = gathered(trainer, self.photos)
        if not photos:
            return
        means = {name: _mean([photo[name] for photo in photos]) for name in photos[0]}
        lpips, psnr, above = means["lpips"], means.pop("psnr"), means.pop("above")
        perceptual = isinstance(pl_module, GAN) and not isnan(lpips)
        means["rank"] = lpips + 100 * max(0.0, self.floor - above) if perceptual else -psnr
        taken = {f"quality/{name}": mean for name, mean in means.items() if not isnan(mean)}
        pl_module.log_dict(taken)

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if not weight(batch):
            return
        if self.lpips:
            self.lpips.to(pl_module.device)
        psnr = float(outputs["quality/psnr_y"])
        lr, sr, hr = (outputs[name] for name in ("lr", "sr", "hr"))
        lpips, bicubic = self._measure(lr, sr, hr, batch["name"][0])
        scores = {
            "psnr": psnr,
            "above": psnr - float(outputs["quality/psnr_y_bicubic"]),
            "lpips": lpips,
            "lpips_bicubic": bicubic,
            "grain": float(grain(sr, hr, border=hr.shape[-1] // lr.shape[-1])),
        }
        self.photos.append(scores)

    def _measure(self, lr: Tensor, sr: Tensor, hr: Tensor, name: str) -> tuple[float, float]:
        """LPIPS of the generator's image, and of bicubic's."""
        if self.lpips is None or min(hr.shape[-2:]) < LPIPS.smallest:
            return nan, nan
        if name not in self.bicubic:
            self.bicubic[name] = float(self.lpips(upscale(lr, hr.shape[-1] // lr.shape[-1]), hr))
        return float(self.lpips(sr, hr)), self.bicubic[name]


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN where none is."""
    numbers = [value for value in values if not isnan(value)]
    return fmean(numbers) if numbers else nan


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
