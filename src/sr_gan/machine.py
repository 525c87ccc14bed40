"""What the machine is and can do."""

import ctypes
import platform
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

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
_INFO = Path("/proc/cpuinfo")

# mallopt's parameters, and their values by default and to keep everything, from glibc's malloc.h
_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
_DEFAULTS = {_MMAP_MAX: 65_536, _TRIM_THRESHOLD: 128 * 1024, _TOP_PAD: 128 * 1024}
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**28}


def cpu_name() -> str:
    """The processor's name, where the system tells it."""
    return _told("model name") or platform.processor() or platform.machine()


def cpu_computes_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself; where it cannot, bf16 is slower than fp32.

    False where the system does not tell.
    """
    features = f"{_told('flags')} {_told('Features')}".split()  # of x86, of ARM
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(features)


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate, on a GPU or on the CPU; libraries have words of their own
    for a GPU's memory that is full."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)
    )


def installed(package: str) -> bool:
    """Whether ``package`` can be imported; a mere folder of that name is none."""
    with suppress(ModuleNotFoundError):  # of what the package is in
        spec = find_spec(package)
        return spec is not None and spec.origin is not None
    return False


def keep_freed_memory(keep: bool = True) -> bool:
    """Tells glibc to keep what is freed instead of giving it back, or, with False, its default.

    A training step on a CPU frees and allocates the same large maps over and over. Given back,
    each of their pages has to be fetched and zeroed again: a tenth of the time of a step.

    Returns:
        whether there is a glibc that listens; elsewhere nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    settings = _KEPT if keep else _DEFAULTS
    return all([mallopt(name, value) for name, value in settings.items()])  # noqa: C419  all of them


def _told(key: str) -> str:
    """What Linux says of the first core."""
    lines = _INFO.read_text().splitlines() if _INFO.exists() else []
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(key)]
    return values[0] if values else ""
