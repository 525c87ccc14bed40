"""What the machine is and can do."""

import ctypes
import os
import platform
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_INFO = Path("/proc/cpuinfo")
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvmap", "/dev/kfd", "/dev/dxg")  # CUDA, Jetson, ROCm, WSL

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


def sees_gpu() -> bool:
    """Whether PyTorch can use a GPU.

    PyTorch takes seconds to import. It is asked only where Linux has the device file of a GPU, or
    where it has been imported already.
    """
    absent = sys.platform == "linux" and not any(map(os.path.exists, _GPU_FILES))
    if absent and "torch" not in sys.modules:
        return False
    import torch

    return torch.cuda.is_available()


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


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
