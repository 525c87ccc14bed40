"""How crops reach the device: cut there from resident photos, or by workers from the cache."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_gan.data.crops import EpochSampler, RandomCrops, Table, cut
from sr_gan.data.photos import Photo
from sr_gan.devices import free_memory
from sr_gan.files import readable
from sr_gan.images.decode import Pixels

FEEDS = ("auto", "loader", "device")
_SHARE = 0.4  # of the free memory that resident photos may take; the rest is for training


def choose_feed(feed: str, nbytes: int, device: torch.device) -> tuple[str, str]:
    """``loader`` or ``device``, and why.

    Args:
        feed: one of :data:`FEEDS`; ``auto`` takes ``device`` if the photos fit into 40 % of the
            device's free memory.
        nbytes: of the photos, HR and LR.
        device: that trains.
    """
    free = free_memory(device)
    sizes = f"{readable(nbytes)} of photos, {readable(free)} free on {device}"
    if feed != "auto":
        return feed, f"as set; {sizes}"
    return ("device" if nbytes <= _SHARE * free else "loader"), sizes


def pack_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """A worker's batch with both images in one block of shared memory: each block that is handed
    to another process costs as much as cutting twenty crops."""
    hr, lr = batch.pop("hr"), batch.pop("lr")
    pixels = torch.empty(hr.nbytes + lr.nbytes, dtype=torch.uint8)
    pixels.share_memory_()  # type: ignore[no-untyped-call]
    pixels[: hr.nbytes], pixels[hr.nbytes :] = hr.view(-1), lr.view(-1)
    return {**batch, "pixels": pixels}


def unpack_batch(batch: dict[str, Any], crop: int, scale: int) -> dict[str, Any]:
    """The batch that was in a parcel; any other as it is."""
    if "pixels" not in batch:
        return batch
    pixels, side = batch.pop("pixels"), crop // scale
    count = len(pixels) // (3 * crop**2 + 3 * side**2)
    edge = 3 * count * crop**2
    hr, lr = pixels[:edge].view(count, 3, crop, crop), pixels[edge:].view(count, 3, side, side)
    return {**batch, "hr": hr, "lr": lr}


class Resident:
    """Photos in a device's memory. The CPU's is where the system keeps a mapped cache anyway.

    Args:
        photos: to copy there.
        device: a GPU, or the CPU.
    """

    def __init__(self, photos: Sequence[Photo], device: torch.device) -> None:
        self.photos, self.device = photos, device
        if device.type != "cpu":
            self.hr = concatenate([photo.hr for photo in photos], device)
            self.lr = concatenate([photo.lr for photo in photos], device)

    def cut(self, rows: Tensor, table: Table, side: int, scale: int) -> dict[str, Tensor]:
        """As :func:`sr_gan.data.crops.cut`, on the device and without waiting for it.

        Args:
            rows: of the table, on the device.
            table: the same, in the host's memory.
            side: of a crop in LR pixels.
            scale: factor between HR and LR.
        """
        if self.device.type == "cpu":
            return cut(self.photos, table, side, scale)
        photo, top, left, turn = rows.unbind(1)
        return {
            "lr": gather(*self.lr, photo, top, left, turn, side),
            "hr": gather(*self.hr, photo, top * scale, left * scale, turn, side * scale),
        }


class DeviceFeed:
    """Batches of crops, cut on the device. Iterating it goes through an epoch.

    Args:
        crops: which crops there are to draw.
        resident: their photos.
        batch_size: crops a batch; an incomplete last one is left out.
        sampler: which of an epoch's draws are this process's. Lightning tells it the epoch.
    """

    def __init__(
        self, crops: RandomCrops, resident: Resident, batch_size: int, sampler: EpochSampler
    ) -> None:
        self.crops, self.resident = crops, resident
        self.batch_size, self.sampler = batch_size, sampler

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        sampler, crops = self.sampler, self.crops
        indices = np.array([index for _, index in sampler], np.int64)
        table = crops.table(sampler.epoch)[indices]
        rows = torch.from_numpy(table).to(self.resident.device)  # once an epoch
        for i in range(0, len(table) - self.batch_size + 1, self.batch_size):
            part = slice(i, i + self.batch_size)
            side = crops.crop // crops.scale
            batch = self.resident.cut(rows[part], table[part], side, crops.scale)
            yield {**batch, "draw": (sampler.epoch, int(indices[i]))}


def gather(
    pixels: Tensor,
    shapes: Tensor,
    photo: Tensor,
    top: Tensor,
    left: Tensor,
    turn: Tensor,
    side: int,
) -> Tensor:
    """Crops as one indexed read: the flips and rotations are in the indices.

    Args:
        pixels: all photos' bytes, (3, h, w) of one after the other.
        shapes: of each photo its offset, height and width (N, 3).
        photo: which photo, (B,); so are ``top``, ``left`` and ``turn``.
        top: first row.
        left: first column.
        turn: see :func:`sr_gan.data.crops.dihedral`.
        side: of the crops.

    Returns:
        (B, 3, side, side), as ``pixels``.
    """
    offset, height, width, top, left, turn = (
        x[:, None, None] for x in (*shapes[photo].unbind(1), top, left, turn)
    )
    along = torch.arange(side, device=pixels.device)
    y, x = along[:, None], along[None, :]
    row, column = torch.where(turn & 4 > 0, x, y), torch.where(turn & 4 > 0, y, x)
    row = torch.where(turn & 2 > 0, side - 1 - row, row)
    column = torch.where(turn & 1 > 0, side - 1 - column, column)
    first = offset + (top + row) * width + left + column  # (B, side, side), of the red plane
    planes = torch.arange(3, device=pixels.device)[:, None, None] * (height * width)[:, None]
    return pixels[first[:, None] + planes]


def concatenate(images: Sequence[Pixels], device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (3, h, w) one after the other, and the offset, height and width of each (N, 3)."""
    ends = np.cumsum([image.size for image in images])
    pixels = torch.empty(int(ends[-1]), dtype=torch.uint8, device=device)
    for image, end in zip(images, ends):
        pixels[end - image.size : end] = torch.tensor(image.reshape(-1))
    shapes = [(end - image.size, *image.shape[1:]) for image, end in zip(images, ends)]
    return pixels, torch.tensor(shapes, device=device)
