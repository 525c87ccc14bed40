"""Processes images of any size in bounded memory: as tiles, each read with a halo around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, isqrt

import torch
from torch import Tensor

from sr_gan.devices import free_memory

_CPU_BUDGET = 400_000_000  # bytes; more does not make a CPU faster
_GPU_BUDGET = 8_000_000_000  # bytes; more needs tensors too large for cuDNN's fast kernels
_SHARE = 0.6  # of the free memory, on any device
_SMALLEST = 16  # LR pixels; a smaller tile would be nearly all halo


@dataclass(frozen=True)
class Span:
    """The range from ``start`` to ``stop``, and the window that is read to compute it."""

    start: int
    stop: int
    window: slice  # the range and its halo, cut off at the ends

    def core(self, scale: int) -> slice:
        """Returns where the span lies in its window after enlarging by ``scale``."""
        first = (self.start - self.window.start) * scale
        return slice(first, first + (self.stop - self.start) * scale)


def span_from(start: int, length: int, size: int, halo: int) -> Span:
    """Returns the first of nearly equal spans of at most ``size`` from ``start`` to ``length``."""
    left = length - start
    stop = start + ceil(left / ceil(left / size))  # the fewest spans, without a sliver at the end
    return Span(start, stop, slice(max(0, start - halo), min(length, stop + halo)))


def spans(length: int, size: int, halo: int) -> Iterator[Span]:
    """Yields nearly equal spans of at most ``size`` that cover ``length``."""
    start = 0
    while start < length:
        span = span_from(start, length, size, halo)
        yield span
        start = span.stop


def tiled(
    run: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int, halo: int, scale: int
) -> Tensor:
    """Runs a local function on square tiles and joins the results.

    Args:
        run: the function, (B, *, h, w) ... -> (B, C, scale * h, scale * w); no output pixel may
            depend on input pixels more than ``halo`` away.
        inputs: the arguments of ``run``, of equal height and width.
        size: the side of a tile without its halo.
    """
    height, width = inputs[0].shape[-2:]
    if max(height, width) <= size:
        return run(*inputs)
    whole: Tensor | None = None
    for row in spans(height, size, halo):
        for column in spans(width, size, halo):
            window = (..., row.window, column.window)
            tile = run(*(x[window] for x in inputs))[..., row.core(scale), column.core(scale)]
            if whole is None:
                whole = tile.new_empty(*tile.shape[:-2], scale * height, scale * width)
            whole[
                ...,
                scale * row.start : scale * row.stop,
                scale * column.start : scale * column.stop,
            ] = tile
    assert whole is not None
    return whole


def most_memory(device: torch.device) -> int:
    """Returns the most bytes that tiles may take: 60 % of the free memory."""
    return int(free_memory(device) * _SHARE)


def memory_budget(device: torch.device) -> int:
    """Returns the bytes that tiles take by default: on a CPU at most 400 MB, on a GPU 8 GB."""
    return min(most_memory(device), _GPU_BUDGET if device.type == "cuda" else _CPU_BUDGET)


def tile_side(budget: float, bytes_per_pixel: float, halo: int) -> int:
    """Returns the side of the largest square tile that fits into ``budget`` with its halo."""
    return max(_SMALLEST, isqrt(int(budget / bytes_per_pixel)) - 2 * halo)


def work(size: int, halo: int) -> float:
    """Returns how often a pixel is computed on average, as the halos of tiles overlap."""
    return ((size + 2 * halo) / size) ** 2


def smaller(size: int) -> int | None:
    """Returns half the side of a tile, or None if that is too small to be useful."""
    return size // 2 if size // 2 >= _SMALLEST else None
