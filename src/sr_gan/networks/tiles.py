"""Any size in bounded memory: a length cut into spans, each read with a halo around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, isqrt

import psutil
import torch
from torch import Tensor

_CPU_BUDGET = 400_000_000  # bytes: more makes a CPU no faster
_CPU_PIECE = 64  # LR pixels: of the sides tried, the reconstruction is fastest in the caches
_SHARE = 0.6  # of the free memory, on any device
_SMALLEST = 16  # LR pixels: below, a tile is all halo


@dataclass(frozen=True)
class Span:
    """Positions ``start`` to ``stop``, and the part of a window around them that they fill.

    Args:
        start: first position.
        stop: the one after the last.
        window: what is read: the span and its halo, cut off at the ends.
    """

    start: int
    stop: int
    window: slice

    def core(self, scale: int) -> slice:
        """The span's place in the window enlarged by ``scale``."""
        first = (self.start - self.window.start) * scale
        return slice(first, first + (self.stop - self.start) * scale)


def span_from(start: int, length: int, size: int, halo: int) -> Span:
    """The first of the equal spans, none above ``size``, that cover ``start`` to ``length``."""
    left = length - start
    stop = start + ceil(left / ceil(left / size))
    return Span(start, stop, slice(max(0, start - halo), min(length, stop + halo)))


def spans(length: int, size: int, halo: int) -> Iterator[Span]:
    """Nearly equal spans of at most ``size`` that cover ``length``."""
    start = 0
    while start < length:
        span = span_from(start, length, size, halo)
        yield span
        start = span.stop


def tiled(
    run: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int, halo: int, scale: int
) -> Tensor:
    """Runs a local function on square tiles and puts them together.

    Args:
        run: (B, *, h, w) ... -> (B, C, scale * h, scale * w), each output pixel depending on no
            input further than ``halo`` pixels away.
        inputs: what it takes, of equal height and width.
        size: side of a tile, without its halo.
        halo: see ``run``.
        scale: factor of ``run``.
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


def free_memory(device: torch.device) -> int:
    """Bytes that tiles may take at most: a share of what is free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + cached) * _SHARE)
    return int(psutil.virtual_memory().available * _SHARE)


def memory_budget(device: torch.device) -> int:
    """Bytes that tiles take if nothing speaks for more: on a CPU at most 400 MB."""
    free = free_memory(device)
    return free if device.type == "cuda" else min(free, _CPU_BUDGET)


def tile_side(budget: float, bytes_per_pixel: float, halo: int) -> int:
    """The side of the largest square tile whose window, halo included, fits into ``budget``."""
    return max(_SMALLEST, isqrt(int(budget / bytes_per_pixel)) - 2 * halo)


def work(size: int, halo: int) -> float:
    """How many times the pixels of a tile are computed, as its neighbours need them, too."""
    return ((size + 2 * halo) / size) ** 2


def part_side(device: torch.device, budget: float, bytes_per_pixel: float, halo: int) -> int:
    """The side of the tiles inside a tile, on which the memory-hungry part runs."""
    side = tile_side(budget, bytes_per_pixel, halo)
    return side if device.type == "cuda" else min(side, _CPU_PIECE)


def smaller(size: int) -> int | None:
    """Half a tile, or None where that makes no sense any more."""
    return size // 2 if size // 2 >= _SMALLEST else None
