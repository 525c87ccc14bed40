"""What measurements share: what a device reaches on its own, memory, silence."""

import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import torch

from sr_gan.devices import wait


def matrix_peak(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """FLOP/s of a large matrix product, the best of those that fit into so many seconds."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best, began = 0.0, perf_counter()
    while perf_counter() - began < seconds or best == 0:
        wait(device)
        start = perf_counter()
        a @ b
        wait(device)
        best = max(best, 2 * side**3 / (perf_counter() - start))
    return best


def peak_memory(device: torch.device) -> int:
    """Bytes: on a GPU what was allocated at most, else the process's largest resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def quiet() -> Iterator[None]:
    """Without the data module's lines on feeds and caches."""
    logger = logging.getLogger("sr_gan.data")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
