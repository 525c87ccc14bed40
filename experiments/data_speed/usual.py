"""The usual ways to get crops, and the floor: the bytes of the same crops, copied once."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from sr_gan.data.crops import RandomCrops
from sr_gan.data.photos import Photos
from sr_gan.images.decode import Pixels

_SUB_IMAGE = 480  # the side of BasicSR's sub-images in pixels


class DecodeEachTime(Dataset[dict[str, Tensor]]):
    """Opens a photograph for every crop, cuts it, and reduces the crop with Pillow.

    Args:
        files: the photographs.
        crop: the side of an HR crop in pixels.
        scale: the factor between HR and LR.
    """

    def __init__(self, files: Sequence[Path], crop: int, scale: int) -> None:
        self.files, self.crop, self.scale = files, crop, scale
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        with Image.open(self.files[index]) as image:
            picture = image.convert("RGB")
        left = int(self.rng.integers(picture.width - self.crop + 1))
        top = int(self.rng.integers(picture.height - self.crop + 1))
        hr = picture.crop((left, top, left + self.crop, top + self.crop))
        side = self.crop // self.scale
        return {"hr": _tensor(hr), "lr": _tensor(hr.resize((side, side), Image.Resampling.BICUBIC))}


class SubImages(Dataset[dict[str, Tensor]]):
    """Decodes a pair of PNG sub-images for every crop, as BasicSR does.

    The sub-images are held in memory, as BasicSR's LMDB holds them.

    Args:
        photos: the photographs. One sub-image of each of the first 64 is made.
        crop: the side of an HR crop in pixels.
        scale: the factor between HR and LR.
    """

    def __init__(self, photos: Photos, crop: int, scale: int) -> None:
        self.crop, self.scale = crop, scale
        self.rng = np.random.default_rng(0)
        side = _SUB_IMAGE // scale * scale
        self.pairs = [
            (_png(photo.hr[:, :side, :side]), _png(photo.lr[:, : side // scale, : side // scale]))
            for photo in photos[:64]
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        hr, lr = (_tensor(Image.open(io.BytesIO(data))) for data in self.pairs[index])
        side = self.crop // self.scale
        top = int(self.rng.integers(lr.shape[1] - side + 1))
        left = int(self.rng.integers(lr.shape[2] - side + 1))
        lr = lr[:, top : top + side, left : left + side]
        top, left = top * self.scale, left * self.scale
        return {"hr": hr[:, top : top + self.crop, left : left + self.crop], "lr": lr}


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(stream, "PNG")
    return stream.getvalue()


def copies(crops: RandomCrops, batch_size: int) -> Iterator[Any]:
    """Batches of the same crops, whose bytes are copied once and neither turned nor converted."""
    side, size = crops.crop // crops.scale, crops.crop
    rows = crops.table(0).tolist()
    for first in range(0, len(rows) - batch_size + 1, batch_size):
        hr = np.empty((batch_size, 3, size, size), np.uint8)
        lr = np.empty((batch_size, 3, side, side), np.uint8)
        for i, (index, top, left, _) in enumerate(rows[first : first + batch_size]):
            photo = crops.photos[index]
            lr[i] = photo.lr[:, top : top + side, left : left + side]
            top, left = top * crops.scale, left * crops.scale
            hr[i] = photo.hr[:, top : top + size, left : left + size]
        yield {"hr": hr, "lr": lr}


def pillow(path: Path) -> Pixels:
    """The pixels of a file (H, W, 3), decoded by Pillow."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
