"""Whoever makes SR images of LR images: models, and other programs whose pictures lie in files."""

from collections.abc import Mapping, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sr_gan.errors import UserError
from sr_gan.files import printable
from sr_gan.images.decode import BadImage, read_picture
from sr_gan.images.pixels import fit
from sr_gan.inference.upscaler import Upscaler


class Contestant(Protocol):
    """What is evaluated."""

    name: str

    def enlarge(self, photo: Path, lr: Tensor, size: Sequence[int]) -> Tensor:
        """Returns SR of the given height and width, uint8 (1, C, H, W), of LR (1, C, h, w)."""

    def origin(self, photo: Path) -> str:
        """Returns what is equal for two results only if they are equal."""


class Model:
    """A model that enlarges here.

    Args:
        name: its name in tables.
        upscaler: the model.
    """

    def __init__(self, name: str, upscaler: Upscaler) -> None:
        self.name, self.upscaler = name, upscaler
        state = upscaler.model.generator.state_dict()
        digest = sha1(repr(upscaler.options).encode())
        for key, value in state.items():
            digest.update(key.encode() + value.cpu().numpy().tobytes())
        self._digest = digest.hexdigest()

    def enlarge(self, photo: Path, lr: Tensor, size: Sequence[int]) -> Tensor:
        return self.upscaler(lr[0])[None].cpu()

    def origin(self, photo: Path) -> str:
        return self._digest


class Pictures:
    """The pictures of another program.

    Args:
        name: its name in tables.
        files: the picture of each photograph.
        scale: the scale factor.
    """

    def __init__(self, name: str, files: Mapping[Path, Path], scale: int) -> None:
        self.name, self.files, self.scale = name, files, scale

    def enlarge(self, photo: Path, lr: Tensor, size: Sequence[int]) -> Tensor:
        """Reads the picture, which may be as large as the photograph before it was cut.

        Raises:
            UserError: the picture cannot be read, or is of another size.
        """
        path = self.files[photo]
        try:
            sr = read_image(path)
        except BadImage as error:
            raise UserError(f"{printable(path)}: {error}") from error
        height, width = sr.shape[-2:]
        if not all(0 <= side - cut < self.scale for side, cut in zip((height, width), size)):
            raise UserError(
                f"{printable(path)}: {width}x{height} pixels, but {printable(photo)} cut to a "
                f"multiple of {self.scale} has {size[1]}x{size[0]}"
            )
        return in_channels(sr[..., : size[0], : size[1]], lr.shape[1]).contiguous()

    def origin(self, photo: Path) -> str:
        return stamp(self.files[photo])


def read_image(path: Path) -> Tensor:
    """Reads uint8 (1, 1 or 3, H, W): grey stays grey, and transparency is laid over white.

    Raises:
        BadImage: as in :func:`read_picture`.
    """
    plain = fit(read_picture(path).pixels, alpha=False, bits=8)
    return torch.from_numpy(np.ascontiguousarray(plain.transpose(2, 0, 1)))[None]


def in_channels(image: Tensor, channels: int) -> Tensor:
    """Returns uint8 (1, 1 or 3, H, W) with 1 or 3 channels: the mean of RGB, or grey repeated."""
    if image.shape[1] > channels:  # of a grey photograph, but written as RGB
        image = image.double().mean(1, keepdim=True).round().to(torch.uint8)
    return image.expand(-1, channels, -1, -1)


def stamp(path: Path) -> str:
    """Returns a text that changes with a file, as far as its size and its date tell."""
    try:
        status = path.stat()
    except OSError:
        return f"{path} is missing"
    return f"{path} {status.st_size} {status.st_mtime_ns}"
