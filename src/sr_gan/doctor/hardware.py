"""Checks the processor, the GPU, memory, and the disks that runs and decoded photos go to."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter

import psutil
from omegaconf import DictConfig

from sr_gan.doctor.page import Line
from sr_gan.files import default_cache_dir, readable
from sr_gan.machine import cores, cpu_computes_bf16, cpu_name, has_gpu_file
from sr_gan.runs.folder import RUNS

_LEAST_MEMORY, _LEAST_SHARED, _LEAST_DISK = 2e9, 256e6, 1e9  # bytes
_SLOW_DISK = 20e6  # bytes per second
_WRITTEN, _PART, _SECONDS = 64 << 20, 4 << 20, 3.0  # how much is written to measure, and how long


def check_processor() -> Iterator[Line]:
    """The CPU, and how many of its cores PyTorch uses."""
    import torch

    threads, available = torch.get_num_threads(), cores()
    text = f"{cpu_name()}, {available} cores, PyTorch uses {threads}"
    text += ", bfloat16 in hardware" if cpu_computes_bf16() else ", no bfloat16 in hardware"
    held = os.environ.get("OMP_NUM_THREADS") and threads < available
    yield Line("CPU", text, "unset OMP_NUM_THREADS to use all cores", "note" if held else "ok")


def check_gpu() -> Iterator[Line]:
    """Each GPU that PyTorch can use, or why it cannot."""
    import torch

    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        card = torch.cuda.get_device_properties(i)
        free, total = torch.cuda.mem_get_info(i)
        text = f"{card.name}, compute capability {card.major}.{card.minor}, "
        yield Line("GPU", f"{text}{readable(free)} of {readable(total)} free")
    if torch.cuda.is_available():
        return
    built = torch.version.cuda or torch.version.hip
    if not has_gpu_file():
        yield Line("GPU", "none here: training and upscaling use the CPU", verdict="note")
    elif built is None:
        advice = "choose a build for your GPU at https://pytorch.org"
        yield Line("GPU", f"this build of torch {torch.__version__} uses none", advice, "note")
    else:
        advice = "update the driver, or choose an older build at https://pytorch.org"
        yield Line("GPU", f"torch {torch.__version__}: {_why_no_gpu()}", advice, "FAIL")


def check_precision(cfg: DictConfig) -> Iterator[Line]:
    """What ``trainer=auto`` would choose here; ``cfg`` is a training run's."""
    trainer = cfg.trainer
    yield Line("trainer=auto", f"accelerator={trainer.accelerator} precision={trainer.precision}")


def check_memory() -> Iterator[Line]:
    """The free memory, and that which the processes of a loader share."""
    memory = psutil.virtual_memory()
    text = f"{readable(memory.available)} of {readable(memory.total)} free"
    advice = "end other programs, or set data.batch_size and data.crop lower"
    yield Line("memory", text, advice, "note" if memory.available < _LEAST_MEMORY else "ok")
    shared = Path("/dev/shm")
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < _LEAST_SHARED:
        text = f"{readable(free)} free in {shared}, where workers leave their batches"
        advice = "start Docker with --shm-size=1g, or set data.workers=0"
        yield Line("memory", text, advice, "note")


def check_disks() -> Iterator[Line]:
    """The folders of runs and of decoded photos."""
    yield _disk("runs", RUNS.absolute(), "start in another folder, or set hydra.run.dir=FOLDER")
    yield _disk("cache", default_cache_dir().absolute(), "set SR_GAN_CACHE=FOLDER")


def _disk(subject: str, folder: Path, elsewhere: str) -> Line:
    """The free space of the disk of a folder, and the speed of writing there."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        free = shutil.disk_usage(there).free
        speed = _writing_speed(there)
    except OSError as error:
        return Line(subject, f"{folder} cannot be written: {error.strerror}", elsewhere, "FAIL")
    text = f"{folder}: {readable(free)} free, written at {speed / 1e6:,.0f} MB/s"
    if free < _LEAST_DISK:
        return Line(subject, text, f"free some space, or {elsewhere}", "FAIL")
    if speed < _SLOW_DISK:
        return Line(subject, f"{text}, which is slow", elsewhere, "note")
    return Line(subject, text)


def _writing_speed(folder: Path) -> float:
    """Bytes per second that reach the disk."""
    part, written, began = os.urandom(_PART), 0, perf_counter()
    with NamedTemporaryFile(dir=folder, prefix=".sr_gan-doctor-") as file:
        while written < _WRITTEN and perf_counter() - began < _SECONDS:
            written += file.write(part)
            file.flush()
            os.fsync(file.fileno())
    return written / (perf_counter() - began)


def _why_no_gpu() -> str:
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:
        return str(error).splitlines()[0]
    return "it sees no GPU"
