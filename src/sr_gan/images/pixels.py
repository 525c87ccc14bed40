"""Converts arrays and PIL images to the tensors that an upscaler needs, and back."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

# (H, W, C) uint8, uint16 or float in [0, 1]; the last of 2 or 4 channels is alpha.
Pixels = NDArray[Any]

_LIMITS = {"uint8": 255.0, "uint16": 65535.0}
_ROWS = 256
_OPEN = "PIL.Image.open"
_OVERSHOOT = 0.25  # how far floats may leave [0, 1], as the ringing of a resize does


def check_pixels(pixels: Pixels) -> None:
    """Checks that an array is :data:`Pixels`.

    Raises:
        TypeError: its numbers are of another type.
        ValueError: it has another shape, or floats outside [-0.25, 1.25].
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        advice = ""
        if pixels.ndim == 3 and len(pixels) <= 4:
            advice = ": the channels come first, so use image.transpose(1, 2, 0)"
        elif pixels.ndim == 4:
            advice = ": give one image at a time, or a tensor (B, C, H, W)"
        got = f"with 1 to 4 channels C, got {pixels.shape}{advice}"
        raise ValueError(f"an array must be (H, W) or (H, W, C) {got}")
    if 0 in pixels.shape:
        raise ValueError(f"the image is empty: its shape is {pixels.shape}")
    if pixels.dtype.name not in _LIMITS and not np.issubdtype(pixels.dtype, np.floating):
        raise TypeError(_wrong_type(pixels.dtype.name))
    if pixels.dtype.name not in _LIMITS:
        _check_range(float(pixels.min()), float(pixels.max()))


def check_tensor(image: Tensor) -> None:
    """Checks that a tensor is (C, H, W) or (B, C, H, W), of a type that NumPy has.

    Raises:
        TypeError: its numbers are of a type that is not allowed.
        ValueError: it has another shape.
    """
    shape = tuple(image.shape)
    if image.ndim not in (3, 4) or shape[-3] not in (1, 2, 3, 4):
        advice = ""
        if image.ndim in (3, 4) and shape[-1] <= 4:
            order = "2, 0, 1" if image.ndim == 3 else "0, 3, 1, 2"
            advice = f": the channels come last, so use image.permute({order})"
        elif image.ndim == 2:
            advice = ": for a grey image use image[None]"
        got = f"with 1 to 4 channels C, got {shape}{advice}"
        raise ValueError(f"a tensor must be (C, H, W) or (B, C, H, W) {got}")
    if 0 in shape:
        raise ValueError(f"the image is empty: its shape is {shape}")
    if image.dtype == torch.bfloat16:
        raise TypeError(_wrong_type("bfloat16"))


def _wrong_type(name: str) -> str:
    if name == "bool":
        advice = "convert it to uint8 and multiply it by 255"
    elif name == "bfloat16":
        advice = "use image.float()"
    else:
        advice = "if its values are 0 to 255, convert it to uint8"
    return f"an image must be of uint8, uint16, or float in [0, 1], got {name}: {advice}"


def _check_range(lowest: float, highest: float) -> None:
    if lowest >= -_OVERSHOOT and highest <= 1 + _OVERSHOOT:
        return
    if not np.isfinite(lowest + highest):
        raise ValueError("the image holds NaN or infinity: floats must be in [0, 1]")
    if lowest < -_OVERSHOOT:
        advice = "if they are in [-1, 1], use (image + 1) / 2"
    else:
        advice = f"if they are from 0 to {'255' if highest < 256 else '65535'}, divide by that"
    raise ValueError(
        f"floats must be in [0, 1], got values from {lowest:g} to {highest:g}: {advice}"
    )


def colour_channels(channels: int) -> int:
    """Returns how many of 1 to 4 channels are colours: 1 for grey, 3 for RGB, without alpha."""
    return channels - 1 if channels in (2, 4) else channels


def alpha_varies(pixels: Pixels) -> bool:
    """Whether an image has an alpha channel that is not the same everywhere."""
    alpha = pixels[..., -1]
    return pixels.shape[2] in (2, 4) and bool((alpha != alpha[0, 0]).any())


def as_array(image: object) -> Pixels:
    """Returns an array, or what has the interface of one, as a NumPy array.

    Raises:
        TypeError: it is no array.
    """
    if hasattr(image, "__array__"):
        return np.asarray(image)
    if isinstance(image, (str, Path)):
        advice = f"open it first: upscaler({_OPEN}({str(image)!r}))"
    elif isinstance(image, (list, tuple)):
        advice = "give one image at a time, or numpy.asarray(...) of its numbers"
    elif isinstance(image, (bytes, bytearray)):
        advice = f"open them first: upscaler({_OPEN}(io.BytesIO(...)))"
    else:
        advice = f"open a file with {_OPEN}"
    got = "None" if image is None else f"a value of type {type(image).__name__}"
    raise TypeError(f"an image must be a PIL image, a NumPy array or a tensor, got {got}: {advice}")


def plain_mode(image: Image.Image) -> Image.Image:
    """Converts an image to 8-bit grey or RGB, with its alpha if it has one, or to 16-bit grey.

    Raises:
        ValueError: the range of the mode is unknown.
    """
    if image.mode.startswith("I;16"):
        native = Image.fromarray(np.asarray(image).astype(np.uint16))
        native.info = image.info
        return native
    if image.mode in ("F", "I"):
        raise ValueError(
            f"a PIL image of mode {image.mode} does not say its range: give an array of floats in "
            "[0, 1], such as numpy.asarray(image) / 65535"
        )
    colours = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    return image.convert(colours + "A" * image.has_transparency_data)


def fit(pixels: Pixels, alpha: bool, bits: int) -> Pixels:
    """Lays transparency over white unless ``alpha``, and rounds to 8 bits unless ``bits`` is 16.

    Pixels are uint8 or uint16 (H, W, C).
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
    """Converts pixels to a tensor: (h, w, C) -> (1, C, h, w), float, clamped to [0, 1]."""
    limit = _LIMITS.get(window.dtype.name, 1.0)
    pixels = np.ascontiguousarray(window.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(pixels)[None].to(device).div_(limit).clamp_(0, 1)


def to_pixels(tile: Tensor, dtype: np.dtype[Any]) -> Pixels:
    """Converts a tensor in [0, 1] to pixels: (C, h, w) -> (h, w, C), rounded for integer types."""
    limit = _LIMITS.get(dtype.name)
    if limit is not None:
        tile = tile.mul(limit).round().to(torch.uint8 if limit == 255 else torch.int32)
    pixels: Pixels = tile.permute(1, 2, 0).cpu().numpy().astype(dtype, copy=False)
    return pixels
