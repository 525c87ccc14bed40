"""Draws the generator's images of the same validation crops at every validation."""

from pathlib import Path
from typing import Annotated, Any, cast

import lightning as L
import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from sr_gan.arguments import checked
from sr_gan.files import atomic_write
from sr_gan.images.decode import Pixels
from sr_gan.images.resize import bicubic
from sr_gan.modules.base import SRModule
from sr_gan.runs.grid import draw_grid


class SampleGrid(L.Callback):
    """Draws LR | bicubic | SR | HR of the centres of the first validation photos.

    The grid is written as ``epoch_0010.png``, epochs counted from 1, and handed to every logger
    that has a ``log_image``, with the number of updates as its step.

    Args:
        folder: the folder of the PNG files.
        photos: the number of rows of the grid.
        size: the side of a crop in HR pixels; smaller photos are shown whole.
    """

    @checked
    def __init__(
        self, folder: str, photos: PositiveInt = 4, size: Annotated[int, Field(ge=16)] = 192
    ) -> None:
        self.folder, self.photos, self.size = Path(folder), photos, size
        self.rows: list[list[Tensor]] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.rows = []

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
    ) -> None:
        if len(self.rows) < self.photos:
            images = {name: outputs[name].cpu() for name in ("lr", "sr", "hr")}
            self.rows.append(self._row(**images))

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self.rows or not trainer.is_global_zero or trainer.sanity_checking:
            return
        grid = draw_grid([[_pixels(image) for image in row] for row in self.rows])
        with atomic_write(self.folder / f"epoch_{trainer.current_epoch + 1:04d}.png", "wb") as file:
            grid.save(file, "PNG")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [grid], cast(SRModule, pl_module).updates)

    def _row(self, lr: Tensor, sr: Tensor, hr: Tensor) -> list[Tensor]:
        """Returns each column's centre, uint8 (3, side, side); LR pixels become squares."""
        scale = hr.shape[-1] // lr.shape[-1]
        whole = [F.interpolate(lr, scale_factor=scale), bicubic(lr, scale), sr, hr]
        return [_centre(image[0], self.size, scale) for image in whole]


def _centre(image: Tensor, size: int, scale: int) -> Tensor:
    height, width = (min(size, side) // scale * scale for side in image.shape[-2:])
    top, left = ((full - part) // 2 for full, part in zip(image.shape[-2:], (height, width)))
    return image[:, top : top + height, left : left + width]


def _pixels(image: Tensor) -> Pixels:
    return image.permute(1, 2, 0).to(torch.uint8).numpy()
