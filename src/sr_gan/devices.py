"""What PyTorch's devices are asked for: to finish, and how much memory is free."""

import psutil
import torch

_FULL = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "nable to find an engine",  # cuDNN, which found no workspace; Unable or unable
    "not enough memory",  # of the CPU, on Windows
    "can't allocate memory",
)


def wait(device: torch.device) -> None:
    """Waits until the device has finished the work that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate, on a GPU or on the CPU; libraries have words of their own
    for a GPU's memory that is full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
    )


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a GPU, or in the machine for the CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)
