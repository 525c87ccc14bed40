"""Brings crops to the device: cut there from resident photos, or by workers from the cache."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sr_gan.data.crops import EpochSampler, RandomCrops, Table, cut
from sr_gan.data.photos import Photo
from sr_gan.devices import free_memory
from sr_gan.files import readable

Feed = Literal["auto", "loader", "device"]
_SHARE = 0.4  # of the free memory that resident photos may take; training needs the rest


def choose_feed(feed: Feed, nbytes: int, device: torch.device) -> tuple[str, str]:
    """Returns ``loader`` or ``device``, and the reason.

    ``auto`` takes ``device`` if the photos, HR and LR, fit into 40 % of the device's free memory.
    """
    free = free_memory(device)
    sizes = f"{readable(nbytes)} of photos, {readable(free)} free on {device}"
    if feed != "auto":
        return feed, f"as set; {sizes}"
    return ("device" if nbytes <= _SHARE * free else "loader"), sizes


def pack_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """Puts both images of a worker's batch into one block of shared memory.

    Handing a block to another process costs as much as cutting twenty crops.
    """
    hr, lr = batch.pop("hr"), batch.pop("lr")
    pixels = torch.empty(hr.nbytes + lr.nbytes, dtype=torch.uint8)
    pixels.share_memory_()  # type: ignore[no-untyped-call]
    pixels[: hr.nbytes], pixels[hr.nbytes :] = hr.view(-1), lr.view(-1)
    return {**batch, "pixels": pixels}


def unpack_batch(batch: dict[str, Any], crop: int, scale: int) -> dict[str, Any]:
    """Undoes :func:`pack_batch`, and returns a batch that is not packed as it is."""
    if "pixels" not in batch:
        return batch
    pixels, side = batch.pop("pixels"), crop // scale
    count = len(pixels) // (3 * crop**2 + 3 * side**2)
    edge = 3 * count * crop**2
    hr, lr = pixels[:edge].view(count, 3, crop, crop), pixels[edge:].view(count, 3, side, side)
    return {**batch, "hr": hr, "lr": lr}


class Resident:
    """Photos in a device's memory. On the CPU, the memory-mapped cache is used without a copy."""

    def __init__(self, photos: Sequence[Photo], device: torch.device) -> None:
        self.photos, self.device = photos, device
        if device.type != "cpu":
            self.hr = concatenate(photos, "hr", device)
            self.lr = concatenate(photos, "lr", device)

    def cut(self, rows: Tensor, table: Table, side: int, scale: int) -> dict[str, Tensor]:
        """Does what :func:`sr_gan.data.crops.cut` does, without waiting for the device.

        ``rows`` are on the device, and ``table`` are the same rows in the host's memory.
        """
        if self.device.type == "cpu":
            return cut(self.photos, table, side, scale)
        photo, top, left, turn = rows.unbind(1)
        return {
            "lr": gather(*self.lr, photo, top, left, turn, side),
            "hr": gather(*self.hr, photo, top * scale, left * scale, turn, side * scale),
        }


class DeviceFeed:
    """Batches of crops that are cut on the device. One iteration is one epoch.

    The sampler picks this process's draws. An incomplete last batch is dropped.
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
        rows = torch.from_numpy(table).to(self.resident.device)  # one copy per epoch
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
    """Reads crops, flipped and rotated, in a single indexed read.

    Args:
        pixels, shapes: see :func:`concatenate`.
        photo: the photo of each crop, (B,).
        top, left: the first row and column of each crop, (B,).
        turn: its flip or rotation, (B,), see :func:`sr_gan.data.crops.dihedral`.
        side: the side of all crops.

    Returns:
        (B, 3, side, side) of the type of ``pixels``.
    """
    offset, height, width, top, left, turn = (
        x[:, None, None] for x in (*shapes[photo].unbind(1), top, left, turn)
    )
    along = torch.arange(side, device=pixels.device)
    y, x = along[:, None], along[None, :]
    # For each output position (y, x), compute the row and column of the crop that it shows. This is
    # the inverse of dihedral, which mirrors first: transpose (bit 2), then mirror (bits 1 and 0).
    row, column = torch.where(turn & 4 > 0, x, y), torch.where(turn & 4 > 0, y, x)
    row = torch.where(turn & 2 > 0, side - 1 - row, row)
    column = torch.where(turn & 1 > 0, side - 1 - column, column)
    first = offset + (top + row) * width + left + column  # (B, side, side), of the red plane
    planes = torch.arange(3, device=pixels.device)[:, None, None] * (height * width)[:, None]
    return pixels[first[:, None] + planes]


def concatenate(
    photos: Sequence[Photo], part: Literal["hr", "lr"], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Returns the bytes of one part of all photos, each (3, h, w), one after the other.

    With them comes (N, 3), the offset, height and width of each photo. One photo is mapped at a
    time, because a process cannot map any number of files.
    """
    shapes = np.array([getattr(photo, part).shape for photo in photos])
    sizes = shapes.prod(axis=1)
    offsets = np.cumsum(sizes) - sizes
    pixels = torch.empty(int(sizes.sum()), dtype=torch.uint8, device=device)
    for photo, offset, size in zip(photos, offsets.tolist(), sizes.tolist()):
        pixels[offset : offset + size] = torch.tensor(getattr(photo, part).reshape(-1))
    return pixels, torch.tensor(np.column_stack([offsets, shapes[:, 1:]]), device=device)
