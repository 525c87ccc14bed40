"""Cuts out the part of a photograph in which results differ most, to be looked at."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

SIDE = 96  # HR pixels: three pixels of a phone for each, and 60 kB for four pictures


@dataclass(frozen=True)
class Crop:
    """The part of a photograph in which results differ most.

    Args:
        left, top: its place, in HR pixels.
        width, height: its size, in HR pixels.
        difference: how much the results differ there, in grey levels.
        hr: HR, as a lossless WebP file in base64.
        results: the same of each contestant, by name.
    """

    left: int
    top: int
    width: int
    height: int
    difference: float
    hr: str
    results: Mapping[str, str]


def cut(results: Mapping[str, Tensor], hr: Tensor, side: int = SIDE) -> Crop:
    """Cuts the same square out of HR and of every result: where the results differ most.

    At a pixel, results differ by the highest minus the lowest value of any of them, averaged over
    the channels; of two results this is the absolute difference. The mean of this is taken in every
    square of the photograph, and the square with the largest mean is cut out. Bicubic does not
    count if there are two others, and a single result is compared with HR.

    Args:
        results: SR of each contestant, uint8 (1, C, H, W).
        hr: the photograph, of the same shape.
        side: the side of the square; of a smaller photograph all is cut out.
    """
    compared = [sr for name, sr in results.items() if name != "bicubic"]
    if len(compared) < 2:
        compared = [*results.values()] if len(results) > 1 else [*results.values(), hr]
    highest, lowest = reduce(torch.maximum, compared), reduce(torch.minimum, compared)
    difference = (highest - lowest).float().mean(1, keepdim=True)  # (1, 1, H, W)
    height, width = (min(side, length) for length in hr.shape[-2:])
    means = avg_pool2d(avg_pool2d(difference, (height, 1), 1), (1, width), 1)[0, 0]
    top, left = divmod(int(means.argmax()), means.shape[1])

    def part(image: Tensor) -> str:
        return _webp(image[0, :, top : top + height, left : left + width])

    return Crop(
        left,
        top,
        width,
        height,
        float(means[top, left]),
        part(hr),
        {name: part(sr) for name, sr in results.items()},
    )


def _webp(image: Tensor) -> str:
    """Returns uint8 (1 or 3, H, W) as a file without losses, a third smaller than PNG."""
    pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return base64.b64encode(buffer.getvalue()).decode()
