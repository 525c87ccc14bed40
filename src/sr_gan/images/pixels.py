"""Converts arrays and PIL images to the tensors that an upscaler needs, and back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

# (H, W, C) uint8, uint16 or float in [0, 1]; the last of 2 or 4 channels is alpha.
Pixels = NDArray[Any]

_LIMITS = {"uint8": 255.0, "uint16": 65535.0}
_ROWS = 256


def check_pixels(pixels: Pixels) -> None:
    """Raises a ValueError if an array is not :data:`Pixels`."""
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise ValueError(f"an image must be (H, W) or (H, W, 1 to 4), got {pixels.shape}")
    if pixels.dtype.name not in _LIMITS and not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(
            f"an image must be of uint8, uint16 or float in [0, 1], got {pixels.dtype}"
        )


def colour_channels(channels: int) -> int:
    """Returns how many of 1 to 4 channels are colours: 1 for grey, 3 for RGB, without alpha."""
    return channels - 1 if channels in (2, 4) else channels


def spread_colours(pixels: Pixels) -> Pixels:
    """Gives fully transparent pixels the colour of the nearest pixel that is not.

    Their own colour, often black, is invisible, but it would bleed into the visible edges when the
    image is enlarged.
    """
    hidden = pixels[..., -1] == 0 if pixels.shape[2] in (2, 4) else np.zeros(1, bool)
    if not hidden.any() or hidden.all():
        return pixels
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    spread: Pixels = pixels.copy()
    spread[hidden, :-1] = pixels[rows[hidden], columns[hidden], :-1]
    return spread


def plain_mode(image: Image.Image) -> Image.Image:
    """Converts an image to 8-bit grey or RGB, with its alpha if it has one, or to 16-bit grey.

    Raises:
        ValueError: the range of the mode is unknown.
    """
    if image.mode in ("L", "LA", "RGB", "RGBA", "I;16"):
        return image
    if image.mode in ("F", "I"):
        raise ValueError(f"PIL images of mode {image.mode} have no known range: give an array")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def fit(pixels: Pixels, alpha: bool, bits: int) -> Pixels:
    """Lays transparency over white unless ``alpha``, and rounds to 8 bits unless ``bits`` is 16.

    Args:
        pixels: uint8 or uint16 (H, W, C).
        alpha: whether alpha may stay.
        bits: 8 or 16.
    """
    limit, channels = np.iinfo(pixels.dtype).max, pixels.shape[2]
    colours = channels if alpha else colour_channels(channels)
    depth = limit if bits == 16 else 255
    if (channels, limit) == (colours, depth):
        return pixels
    fitted = np.empty((*pixels.shape[:2], colours), np.uint8 if depth == 255 else pixels.dtype)
    for top in range(0, len(pixels), _ROWS):  # floats of a whole picture would take much memory
        rows: Pixels = pixels[top : top + _ROWS].astype(np.float32)
        if colours < channels:
            opaque = rows[..., -1:] / limit
            rows = rows[..., :-1] * opaque + limit * (1 - opaque)
        fitted[top : top + _ROWS] = (rows * (depth / limit)).round()
    return fitted


def to_tensor(window: Pixels, device: torch.device) -> Tensor:
    """Converts pixels to a tensor: (h, w, C) -> (1, C, h, w), float in [0, 1]."""
    limit = _LIMITS.get(window.dtype.name, 1.0)
    pixels = np.ascontiguousarray(window.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(pixels)[None].to(device).div_(limit)


def to_pixels(tile: Tensor, dtype: np.dtype[Any]) -> Pixels:
    """Converts a tensor in [0, 1] to pixels: (C, h, w) -> (h, w, C), rounded for integer types."""
    limit = _LIMITS.get(dtype.name)
    if limit is not None:
        tile = tile.mul(limit).round().to(torch.uint8 if limit == 255 else torch.int32)
    pixels: Pixels = tile.permute(1, 2, 0).cpu().numpy().astype(dtype, copy=False)
    return pixels
