"""Memory that is full, of whatever kind, and processes that end for it, are one line of advice."""

import errno

import pytest
from omegaconf import OmegaConf

from sr_gan.errors import UserError
from sr_gan.settings.explain import explain, memory_advice

CFG = OmegaConf.create(
    {"data": {"batch_size": 16, "crop": 96, "workers": 2}, "gan": {"accumulate": 1}}
)
FULL = {
    "device": (RuntimeError("CUDA out of memory. Tried"), "memory is full: set data.batch_size"),
    "machine": (MemoryError(), "memory is full: set data.batch_size below 16"),
    "allocator": (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        "memory is full: set data.batch_size below 16",
    ),
    "a new process": (
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        "memory is full: set data.batch_size below 16",
    ),
    "shared": (
        RuntimeError("unable to allocate shared memory(shm) for file </torch_12_3>: No space"),
        "shared memory (/dev/shm) is full: set data.workers below 2, or to 0",
    ),
    "a bus error": (
        RuntimeError(
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory. Please try to raise your limit."
        ),
        "shared memory (/dev/shm) is full: set data.workers below 2, or to 0",
    ),
    "a killed worker": (
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        "a process that reads photos was ended, as a rule because memory is full: set data.workers",
    ),
    "workers": (
        RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"),
        "a process that reads photos was ended, as a rule because memory is full: set data.workers",
    ),
    "its connection": (
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        "a process that reads photos was ended, as a rule because memory is full: set data.workers",
    ),
}


@pytest.mark.parametrize("case", FULL)
def test_full_memory_is_one_line(case: str) -> None:
    error, text = FULL[case]
    with pytest.raises(UserError) as told, memory_advice(CFG):
        raise error
    assert str(told.value).startswith(text)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), OSError(errno.ENOSPC, "No space left", "a.ckpt")]
)
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as told, memory_advice(CFG):
        raise error
    assert told.value is error


def test_a_full_disk_without_a_name_names_the_run() -> None:
    cfg = OmegaConf.create({**CFG, "run_dir": "runs/a"})
    with pytest.raises(OSError, match="No space") as told, memory_advice(cfg):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert explain(told.value) == "runs/a: No space left on device"


def test_a_broken_connection_is_no_file() -> None:
    error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert explain(error).startswith("a process that reads photos was ended")
    full = OSError(errno.ENOSPC, "No space left on device", "runs/a/metrics.csv")
    assert explain(full) == "runs/a/metrics.csv: No space left on device"
