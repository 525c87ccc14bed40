"""Makes results of any size: the exact bicubic reduces the enlarged image band by band."""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
import torch
from torch import Tensor

from sr_gan.images.pixels import Pixels
from sr_gan.images.resize import cubic, mirror

_CHUNK = 64  # rows that are reduced at a time


def reduced(
    bands: Iterator[Pixels], shape: Sequence[int], size: tuple[int, int]
) -> Iterator[Pixels]:
    """Reduces an image to any size by MATLAB's antialiased bicubic, without holding it whole.

    Args:
        bands: the image's rows (n, W, C) of uint8, uint16, or float in [0, 1], from top to bottom.
        shape: the height and width of the image.
        size: the height and width of the result, neither larger than the image's.

    Returns:
        Rows (m, size[1], C) of the same type, from top to bottom.
    """
    rows, columns = (_taps(length, new) for length, new in zip(shape, size))
    # ``held`` are the image's rows from ``start`` on, at the result's width. Row i of the result is
    # made once row last[i] of the image has arrived; rows before first[i + 1] are dropped after it.
    # Mirroring lets later rows need earlier ones again, hence the minimum over all later rows.
    last = rows[0].amax(1)
    first = rows[0].amin(1).flip(0).cummin(0).values.flip(0)
    held, start, done, seen = torch.empty(0), 0, 0, 0
    for band in bands:
        for chunk in np.array_split(band, max(1, ceil(len(band) / _CHUNK))):
            floats = torch.from_numpy(np.ascontiguousarray(chunk, np.float32))
            narrow = _weighted(floats.transpose(0, 1), *columns).transpose(0, 1)
            held = torch.cat([held, narrow]) if len(held) else narrow
            seen += len(chunk)
            ready = int((last < seen).long().cumprod(0).sum())
            if ready > done:
                part = slice(done, ready)
                yield _pixels(_weighted(held, rows[0][part] - start, rows[1][part]), band.dtype)
                done = ready
                if done < size[0]:
                    held, start = held[first[done] - start :], int(first[done])


def _taps(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Returns the inputs of each output pixel, mirrored at borders, and their weights."""
    # Output pixels are spread evenly over the input. The cubic reaches two pixels; the reduction
    # stretches it, so that nothing aliases. Each output pixel gets the n taps that suffice for any
    # fraction of a pixel; beyond the cubic's reach their weight is 0. Both results are (size, n).
    stretch = length / size
    centres = (torch.arange(size, dtype=torch.float64) + 0.5) * stretch - 0.5
    radius = ceil(2 * stretch)
    index = centres.floor().long()[:, None] + torch.arange(-radius, radius + 2)
    weights = cubic((index - centres[:, None]).abs() / stretch)
    weights = weights / weights.sum(1, keepdim=True)
    return mirror(index, length), weights.float()


def _weighted(x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Sums over the first dimension, tap by tap to save memory: (length, ...) -> (size, ...)."""
    shape = (-1, *[1] * (x.ndim - 1))
    total = torch.zeros(len(index), *x.shape[1:])
    for at, weight in zip(index.T, weights.T):
        total.addcmul_(x[at], weight.view(shape))
    return total


def _pixels(x: Tensor, dtype: np.dtype) -> Pixels:
    if not np.issubdtype(dtype, np.integer):
        return x.clamp_(0, 1).numpy().astype(dtype)
    return x.add_(0.5).floor_().clamp_(0, np.iinfo(dtype).max).numpy().astype(dtype)
