"""Random crops that depend only on (seed, epoch, index), and whole photos for validation."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from sr_gan.data.degradation.kinds import spoiled
from sr_gan.data.photos import Photo
from sr_gan.images.decode import Pixels

Draw = tuple[int, int]  # (epoch, index in the epoch)
Table = NDArray[np.int64]  # one row per crop: photo, top and left in LR pixels, turn


class RandomCrops(Dataset[dict[str, Any]]):
    """Aligned HR and LR crops, flipped and rotated, a whole batch at a time.

    An epoch visits the photos in shuffled order, all of them equally often.

    Args:
        photos: the photos to crop from.
        crop: the side of an HR crop in pixels, a multiple of ``scale``.
        scale: the scale factor between HR and LR.
        crops_per_epoch: the number of crops in an epoch.
        augment: also draw one of the eight flips and rotations.
        seed: the seed of everything that is drawn.
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
        self.sizes = np.array([photo.lr.shape[1:] for photo in photos])
        self.crop, self.scale = crop, scale
        self.crops_per_epoch = crops_per_epoch
        self.augment, self.seed = augment, seed
        self._drawn: tuple[int, Table] | None = None

    def __len__(self) -> int:
        return self.crops_per_epoch

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        batch = self.__getitems__([draw])
        return {**batch, "hr": batch["hr"][0], "lr": batch["lr"][0]}

    def __getitems__(self, draws: Sequence[Draw]) -> dict[str, Any]:
        """Returns uint8 ``hr`` (B, 3, crop, crop) and ``lr`` (B, 3, crop / scale, crop / scale).

        The first ``draw`` is returned with them. It seeds all else that is random in the batch.
        """
        rows = np.stack([self.table(epoch)[index] for epoch, index in draws])
        return {**cut(self.photos, rows, self.crop // self.scale, self.scale), "draw": draws[0]}

    def table(self, epoch: int) -> Table:
        """Returns all crops of an epoch, (crops_per_epoch, 4), and keeps them until the next."""
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(epoch)
        return self._drawn[1]

    def _draw(self, epoch: int) -> Table:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.photos))
        photo = order[np.arange(self.crops_per_epoch) % len(order)]
        random = rng.random((self.crops_per_epoch, 3))  # a longer epoch starts alike
        corner = random[:, :2] * (self.sizes[photo] - self.crop // self.scale + 1)
        turn = random[:, 2:] * 8 * self.augment
        return np.column_stack([photo, corner.astype(np.int64), turn.astype(np.int64)])


def cut(photos: Sequence[Photo], rows: Table, side: int, scale: int) -> dict[str, Tensor]:
    """Cuts the crops of ``rows`` with ``side`` LR pixels per side: uint8 ``hr`` and ``lr``."""
    size = side * scale
    lr = np.empty((len(rows), 3, side, side), np.uint8)
    hr = np.empty((len(rows), 3, size, size), np.uint8)
    near = np.empty((3, size, size), np.uint8)  # turning a copy is faster than turning the photo
    for i, (index, top, left, turn) in enumerate(rows.tolist()):
        photo = photos[index]
        lr[i] = dihedral(photo.lr[:, top : top + side, left : left + side], turn)
        top, left = top * scale, left * scale
        window = photo.hr[:, top : top + size, left : left + size]
        if turn:
            near[...] = window
            window = dihedral(near, turn)
        hr[i] = window
    return {"lr": torch.from_numpy(lr), "hr": torch.from_numpy(hr)}


def dihedral(image: Pixels, turn: int) -> Pixels:
    """Returns one of the eight flips and rotations of (C, H, W) as a view.

    Bit 0 of ``turn`` mirrors left and right, bit 1 top and bottom, and bit 2 then transposes.
    """
    if turn & 1:
        image = image[:, :, ::-1]
    if turn & 2:
        image = image[:, ::-1]
    return image.transpose(0, 2, 1) if turn & 4 else image


class WholePhotos(Dataset[dict[str, Any]]):
    """Whole photos, or their centres of at most ``crop`` HR pixels per side.

    Items hold uint8 ``hr`` (3, scale * h, scale * w) and ``lr`` (3, h, w), the ``name``, the
    ``draw`` (0, index), the ``weight`` and, if there are kinds, the ``kind``. Several processes
    share the photos equally. One that runs out of photos repeats the last photo at weight 0. All
    other weights are ``world``, because Lightning's means over processes need whole numbers.

    Args:
        photos: the photos of all processes.
        scale: the scale factor between HR and LR.
        crop: the largest side in HR pixels; ``None`` takes whole photos.
        rank, world: the index of this process, and the number of processes that share the photos.
        kinds: each photo occurs once per kind; see :class:`sr_gan.data.degradation.Kinds`.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        scale: int,
        crop: int | None = None,
        rank: int = 0,
        world: int = 1,
        kinds: Sequence[str] = (),
    ) -> None:
        self.photos, self.scale, self.crop, self.kinds = photos, scale, crop, kinds
        self.total = len(photos) * max(1, len(kinds))
        self.share = math.ceil(self.total / world)
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return self.share

    def __getitem__(self, position: int) -> dict[str, Any]:
        if position >= self.share:
            raise IndexError(position)
        wanted = self.rank * self.share + position
        index = min(wanted, self.total - 1)
        photo = self.photos[index // max(1, len(self.kinds))]
        most = (self.crop or max(photo.hr.shape)) // self.scale
        height, width = (min(side, most) for side in photo.lr.shape[1:])
        top, left = (photo.lr.shape[1] - height) // 2, (photo.lr.shape[2] - width) // 2
        lr = torch.tensor(photo.lr[:, top : top + height, left : left + width])
        top, left, height, width = (side * self.scale for side in (top, left, height, width))
        item: dict[str, Any] = {
            "lr": lr,
            "hr": torch.tensor(photo.hr[:, top : top + height, left : left + width]),
            "name": photo.name,
            "draw": (0, index),
            "weight": self.world if wanted == index else 0,
        }
        if self.kinds:
            kind = self.kinds[index % len(self.kinds)]
            item["lr"] = spoiled(lr[None], kind, photo.name)[0]
            item |= {"kind": kind, "name": f"{photo.name}, {kind}"}
        return item


class EpochSampler(Sampler[Draw]):
    """Yields (epoch, index), so that workers need no state and an epoch can resume anywhere.

    Args:
        length: the number of draws in an epoch, over all processes.
        epoch: the first epoch.
        start: the number of draws of that epoch that this process has already used.
        rank, world: the index of this process, and the number of processes that share an epoch.
    """

    def __init__(
        self, length: int, epoch: int = 0, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.length = length // world
        self.epoch, self.start = epoch, start
        self.rank, self.world = rank, world

    def set_epoch(self, epoch: int) -> None:
        """Enters an epoch; Lightning calls this before each one. A new epoch resets ``start``."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __iter__(self) -> Iterator[Draw]:
        for i in range(self.start, self.length):
            yield self.epoch, i * self.world + self.rank

    def __len__(self) -> int:
        return self.length
