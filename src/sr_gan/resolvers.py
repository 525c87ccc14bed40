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
    """Registers the functions that conf/ calls, such as ``${run_dir:...}``.

    Args:
        common: the settings that all jobs of a sweep share, which their folders' names leave out.
        begin: the time stamp after which a sweep is named; ``None`` for now.
    """
    started = datetime.fromtimestamp(begin or time.time())

    def relative_path(path: str | None) -> str:
        return str(relative(Path(path))) if path else "???"  # there is no run yet

    def job_dir(number: int | None, overrides: Sequence[str]) -> str:
        return name_job(number, overrides, set(common))

    OmegaConf.register_new_resolver("run_dir", choose_run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_dir", job_dir, replace=True)
    OmegaConf.register_new_resolver("started", started.strftime, replace=True)
    OmegaConf.register_new_resolver("relative", relative_path, replace=True)
    OmegaConf.register_new_resolver("settings", describe_settings, replace=True)
    OmegaConf.register_new_resolver("vgg_scale", _vgg_scale, replace=True)
    OmegaConf.register_new_resolver("auto_accelerator", _auto_accelerator, replace=True)
    OmegaConf.register_new_resolver("auto_gpus", lambda: int(sees_gpu()), replace=True)
    OmegaConf.register_new_resolver("auto_precision", _auto_precision, replace=True)


def _vgg_scale(weights: str, scale: float) -> float:
    """Returns the scale of VGG19's features: 1 for torchvision's, else that of Oxford's weights."""
    return 1.0 if weights == "torchvision" else scale


def _auto_accelerator() -> str:
    """Returns a CUDA GPU or the CPU; Apple's MPS has no float64 for the exact bicubic."""
    return "gpu" if sees_gpu() else "cpu"


def _auto_precision(accelerator: str) -> str:
    """Returns 16-bit mixed precision for a GPU, or for a CPU that computes in bfloat16.

    bfloat16, if the GPU has it, has the range of fp32 and needs no loss scaling. This would wait
    for the GPU at each step, skip the first steps, and keep Adam from being fused.
    """
    if accelerator != "cpu" and sees_gpu():
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    return "bf16-mixed" if cpu_computes_bf16() else "32-true"
