"""Helpers for PyTorch's devices: synchronising them, and their memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

_FULL = (  # parts of error messages that mean that memory is full
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "ALLOCATION_FAILED",  # of cuDNN 9, for the host or the device
    "nable to find an engine",  # cuDNN got no workspace; begins with "Unable" or "unable"
    "not enough memory",  # CPU, on Windows
    "can't allocate memory",
    "Cannot allocate memory",  # of the system, such as for a new process
)
_SHARED = (
    "allocate shared memory",
    "shm_open",
    "out of shared memory",  # said with a bus error
    "unable to write to file </torch_",
    "unable to open shared memory object",
)
_WORKER = "DataLoader worker (pid"


def wait(device: torch.device) -> None:
    """Waits until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Lets cuDNN compute convolutions in fp32, and not in TensorFloat-32, which has 10 bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def out_of_memory(error: BaseException) -> bool:
    """Whether the error means that the memory of a GPU or of the machine is full.

    CUDA's libraries report this in messages of their own, without a type of error for it.
    """
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, (RuntimeError, OSError)) and any(words in str(error) for words in _FULL)
    )


def out_of_shared_memory(error: BaseException) -> bool:
    """Whether the memory that processes share is full, in which they hand tensors on."""
    return any(words in str(error) for words in _SHARED)


def worker_ended(error: BaseException) -> bool:
    """Whether a process of a loader ended, which another process only sees as a broken line."""
    return isinstance(error, (ConnectionResetError, EOFError)) or str(error).startswith(_WORKER)


def free_memory(device: torch.device) -> int:
    """Returns the bytes that are free on a GPU, or in the machine for the CPU.

    Memory that PyTorch has reserved and does not use counts as free, unless it is kept for CUDA
    graphs.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        place = torch.cuda.current_device() if device.index is None else device.index
        if torch.cuda.get_allocator_backend() != "native":  # which alone knows its segments
            return int(
                free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            )
        begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        segments: Any = torch.cuda.memory_snapshot() if begun else []  # type: ignore[no-untyped-call]
        unused = sum(
            segment["total_size"] - segment["allocated_size"]
            for segment in segments
            if segment["device"] == place and tuple(segment["segment_pool_id"]) == (0, 0)
        )
        return int(free + unused)
    return int(psutil.virtual_memory().available)
