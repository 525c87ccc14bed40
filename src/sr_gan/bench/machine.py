"""What the measurements share: peak memory, processes of their own, and silence."""

import logging
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

T = TypeVar("T")


def peak_memory(device: torch.device) -> int:
    """The most bytes so far: reserved on a GPU, otherwise the resident memory of this process.

    A CUDA graph keeps its memory reserved, and only parts of it count as allocated.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_own_process(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function in a new process, whose memory is that of the call alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out what the data module logs about feeds and caches."""
    logger = logging.getLogger("sr_gan.data")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
