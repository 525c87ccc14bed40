"""The functions that conf/ calls."""

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf

from sr_gan.files import relative
from sr_gan.machine import cpu_computes_bf16, sees_gpu
from sr_gan.runs.resume import choose_run_dir
from sr_gan.settings.help import describe_settings
from sr_gan.settings.overrides import name_job


def register_resolvers(common: Collection[str] = (), begin: float | None = None) -> None:
    """The functions that conf/ calls, ``${run_dir:...}`` for one.

    Args:
        common: settings that are not a sweep job's own, and not part of its folder's name.
        begin: the time stamp by which a sweep is called; now, where there is none.
    """
    started = datetime.fromtimestamp(begin or time.time())

    def shown_path(path: str | None) -> str:
        return str(relative(Path(path))) if path else "???"  # before there is a run

    def job_dir(number: int | None, overrides: Sequence[str]) -> str:
        return name_job(number, overrides, set(common))

    OmegaConf.register_new_resolver("run_dir", choose_run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_dir", job_dir, replace=True)
    OmegaConf.register_new_resolver("started", started.strftime, replace=True)
    OmegaConf.register_new_resolver("shown", shown_path, replace=True)
    OmegaConf.register_new_resolver("settings", describe_settings, replace=True)
    OmegaConf.register_new_resolver("auto_accelerator", _auto_accelerator, replace=True)
    OmegaConf.register_new_resolver("auto_gpus", _auto_gpus, replace=True)
    OmegaConf.register_new_resolver("auto_precision", _auto_precision, replace=True)


def _auto_accelerator() -> str:
    """A CUDA GPU or the CPU; not Apple's MPS, which has no float64 for the exact bicubic."""
    return "gpu" if sees_gpu() else "cpu"


def _auto_gpus() -> int:
    """The GPUs that a job takes."""
    return int(sees_gpu())


def _auto_precision(accelerator: str) -> str:
    """16-bit mixed precision where there is a GPU, or a CPU that computes in bfloat16.

    bfloat16, where the GPU has it, has the range of fp32: it needs no loss scaling, which waits for
    the GPU at each step, skips the first ones, and keeps Adam from being fused.
    """
    if accelerator != "cpu" and sees_gpu():
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    return "bf16-mixed" if cpu_computes_bf16() else "32-true"
