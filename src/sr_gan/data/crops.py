"""Random crops, which depend only on (seed, epoch, index), and whole photos for validation."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sr_gan.data.images import Photo, Pixels

Draw = tuple[int, int]  # (epoch, index in the epoch)


class RandomCrops(Dataset[dict[str, Tensor]]):
    """Aligned HR and LR crops, flipped and rotated, a whole batch at a time.

    An epoch visits the photos in a shuffled order, each as often as any other.

    Args:
        photos: what to crop from.
        crop: side of an HR crop, a multiple of ``scale``.
        scale: factor between HR and LR.
        crops_per_epoch: how many crops make an epoch.
        augment: draw one of the eight flips and rotations too.
        seed: of everything that is drawn.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        crop: int,
        scale: int,
        crops_per_epoch: int,
        augment: bool = True,
        seed: int = 0,
    ) -> None:
        self.photos = photos
        self.crop, self.scale = crop, scale
        self.crops_per_epoch = crops_per_epoch
        self.augment, self.seed = augment, seed

    def __len__(self) -> int:
        return self.crops_per_epoch

    def __getitem__(self, draw: Draw) -> dict[str, Tensor]:
        return {key: value[0] for key, value in self.__getitems__([draw]).items()}

    def __getitems__(self, draws: Sequence[Draw]) -> dict[str, Tensor]:
        """uint8 ``hr`` (B, crop, crop, 3) and ``lr`` (B, crop / scale, crop / scale, 3)."""
        side = self.crop // self.scale
        hr = np.empty((len(draws), self.crop, self.crop, 3), np.uint8)
        lr = np.empty((len(draws), side, side, 3), np.uint8)
        for i, (epoch, index) in enumerate(draws):
            rng = np.random.default_rng((self.seed, epoch, index))
            photo = self.photos[self._order(epoch)[index % len(self.photos)]]
            top = int(rng.integers(photo.lr.shape[0] - side + 1))
            left = int(rng.integers(photo.lr.shape[1] - side + 1))
            turn = int(rng.integers(8)) if self.augment else 0
            lr[i] = dihedral(_window(photo.lr, top, left, side), turn)
            top, left = top * self.scale, left * self.scale
            hr[i] = dihedral(_window(photo.hr, top, left, self.crop), turn)
        return {"lr": torch.from_numpy(lr), "hr": torch.from_numpy(hr)}

    def _order(self, epoch: int) -> list[int]:
        rng = np.random.default_rng((self.seed, epoch))
        return [int(i) for i in rng.permutation(len(self.photos))]


def dihedral(image: Pixels, turn: int) -> Pixels:
    """One of the eight flips and rotations of (H, W, 3), as a view; ``turn`` 0 is the identity."""
    if turn & 1:
        image = image[:, ::-1]
    if turn & 2:
        image = image[::-1]
    return image.transpose(1, 0, 2) if turn & 4 else image


def _window(image: Pixels, top: int, left: int, side: int) -> Pixels:
    return image[top : top + side, left : left + side]


class WholePhotos(Dataset[dict[str, Any]]):
    """Photos as they are, or at most ``crop`` HR pixels a side around their centres.

    Items hold uint8 ``hr`` (scale * h, scale * w, 3), ``lr`` (h, w, 3) and the ``name``.
    """

    def __init__(self, photos: Sequence[Photo], scale: int, crop: int | None = None) -> None:
        self.photos, self.scale, self.crop = photos, scale, crop

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> dict[str, Any]:
        photo = self.photos[index]
        most = (self.crop or max(photo.hr.shape)) // self.scale
        height, width = (min(side, most) for side in photo.lr.shape[:2])
        top, left = (photo.lr.shape[0] - height) // 2, (photo.lr.shape[1] - width) // 2
        rows, columns = slice(top, top + height), slice(left, left + width)
        hr_rows, hr_columns = (
            slice(part.start * self.scale, part.stop * self.scale) for part in (rows, columns)
        )
        return {
            "lr": photo.lr[rows, columns],
            "hr": photo.hr[hr_rows, hr_columns],
            "name": photo.name,
        }


class EpochSampler(Sampler[Draw]):
    """Hands out (epoch, index), so that workers need no state and a resumed epoch its position.

    Args:
        length: draws in an epoch, over all processes.
        epoch: where to begin.
        start: draws of that first epoch that this process has had already.
        rank: this process, of ``world`` processes that share an epoch.
        world: number of processes.
    """

    def __init__(
        self, length: int, epoch: int = 0, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.length = length // world
        self.epoch, self.start = epoch, start
        self.rank, self.world = rank, world

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch; entering a new one forgets ``start``."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __iter__(self) -> Iterator[Draw]:
        for i in range(self.start, self.length):
            yield self.epoch, i * self.world + self.rank

    def __len__(self) -> int:
        return self.length
