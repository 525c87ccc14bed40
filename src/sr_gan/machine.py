"""Asks the machine for its processor, GPU and packages, and configures its memory allocator."""

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

_INFO = Path("/proc/cpuinfo")
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvmap", "/dev/kfd", "/dev/dxg")  # CUDA, Jetson, ROCm, WSL

# Parameters of mallopt (glibc's malloc.h), their defaults, and values that keep freed memory.
_MMAP_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -4, -3, -1, -2
_DEFAULTS = {_MMAP_MAX: 65_536, _TRIM_THRESHOLD: 128 * 1024, _TOP_PAD: 128 * 1024}
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**28}


def cpu_name() -> str:
    """Returns the processor's name, or its architecture if the system does not report a name."""
    return _cpu_info("model name") or platform.processor() or platform.machine()


def cpu_computes_bf16() -> bool:
    """Whether the processor has instructions for bfloat16; without them bf16 is slower than fp32.

    False if the system does not report it.
    """
    features = f"{_cpu_info('flags')} {_cpu_info('Features')}".split()  # x86, ARM
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(features)


def sees_gpu() -> bool:
    """Whether PyTorch can use a GPU.

    PyTorch takes seconds to import. On Linux, if it is not imported yet, it is imported
    only where the device file of a GPU exists.
    """
    absent = sys.platform == "linux" and not has_gpu_file()
    if absent and "torch" not in sys.modules:
        return False
    import torch

    return torch.cuda.is_available()


def has_gpu_file() -> bool:
    """Whether Linux has the device file of a GPU."""
    return any(map(os.path.exists, _GPU_FILES))


def installed(package: str) -> bool:
    """Whether ``package`` can be imported; a folder of that name without code does not count."""
    with suppress(ModuleNotFoundError):  # the parent of a dotted name is missing
        spec = find_spec(package)
        return spec is not None and spec.origin is not None
    return False


def keep_freed_memory(keep: bool = True) -> bool:
    """Makes glibc keep freed memory instead of returning it to the system; False restores defaults.

    A training step on a CPU frees and allocates the same large feature maps over and over. If
    their memory is returned, the kernel must map and zero every page again, which takes a tenth of
    a step.

    Returns:
        whether glibc accepted the settings. Without glibc nothing is changed.
    """
    return _set_malloc(_KEPT if keep else _DEFAULTS)


def return_freed_memory() -> bool:
    """Makes glibc return blocks of a megabyte and more to the system as soon as they are freed.

    Otherwise it keeps blocks of up to 32 MB, which leaves gaps between larger ones.

    Returns:
        whether glibc accepted the setting. Without glibc nothing is changed.
    """
    return _set_malloc({_MMAP_THRESHOLD: 2**20})


def _set_malloc(settings: Mapping[int, int]) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    # A list, not a generator: all() must not skip settings after one that fails.
    return all([mallopt(name, value) for name, value in settings.items()])  # noqa: C419


def _cpu_info(key: str) -> str:
    """Returns the value of ``key`` for the first core in /proc/cpuinfo, or an empty string."""
    lines = _INFO.read_text().splitlines() if _INFO.exists() else []
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(key)]
    return values[0] if values else ""


def cores() -> int:
    """Returns the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
