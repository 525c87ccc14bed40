"""LPIPS at every validation: what PSNR does not see."""

import logging
from functools import cache
from typing import Any

import lightning as L
from lightning.pytorch.utilities import rank_zero_only

from sr_gan.data.resize import upscale
from sr_gan.errors import UserError
from sr_gan.metrics import LPIPS

log = logging.getLogger(__name__)


class PerceptualQuality(L.Callback):
    """Logs ``quality/lpips`` and ``quality/lpips_bicubic``, means over the validation photos.

    Photos below 32 pixels a side are left out. AlexNet is never part of a checkpoint.

    Args:
        weights: of AlexNet, as :class:`sr_gan.metrics.LPIPS` takes them. With ``None``, and no
            weights in torch's cache, LPIPS is not measured, and one line says so.

    Raises:
        UserError: the weights that were named are missing or are not AlexNet's.
    """

    def __init__(self, weights: str | None = None) -> None:
        self.lpips = _lpips(weights)
        self.bicubic: dict[str, float] = {}  # does not learn: measured once a photo

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        lr, sr, hr = (outputs[name] for name in ("lr", "sr", "hr"))
        if self.lpips is None or min(hr.shape[-2:]) < LPIPS.smallest:
            return
        self.lpips.to(pl_module.device)
        name = batch["name"][0]
        if name not in self.bicubic:
            self.bicubic[name] = float(self.lpips(upscale(lr, hr.shape[-1] // lr.shape[-1]), hr))
        values = {
            "quality/lpips": float(self.lpips(sr, hr)),
            "quality/lpips_bicubic": self.bicubic[name],
        }
        pl_module.log_dict(values, on_epoch=True, batch_size=1)


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
