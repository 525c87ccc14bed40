"""Records what ran: the resolved configuration, the versions, the machine and the command."""

import json
import platform
import subprocess
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_gan import __version__
from sr_gan.files import atomic_write
from sr_gan.machine import cpu_name
from sr_gan.runs.folder import CONFIG, ENVIRONMENT


def write_records(cfg: DictConfig, run_dir: Path) -> None:
    """Writes ``config.yaml`` and ``environment.json``; an old config is kept under a number."""
    config = run_dir / CONFIG
    if config.exists():
        number = len(list(run_dir.glob("config.*.yaml"))) + 1
        config.rename(run_dir / f"config.{number}.yaml")
    with atomic_write(config) as file:
        file.write(OmegaConf.to_yaml(cfg, resolve=True))
    with atomic_write(run_dir / ENVIRONMENT) as file:
        json.dump(environment(), file, indent=2)


def environment() -> dict[str, Any]:
    """Returns what one needs to repeat a run: command, versions, git commit and machine."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "command": _command(),
        "date": datetime.now().isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": {"sr_gan": __version__, **{name: _version(name) for name in _PACKAGES}},
        "platform": f"{platform.system()}-{platform.machine()}",
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def _command() -> str:
    """Returns the command line without the folders of the programs."""
    arguments = sys.orig_argv[1:]
    if arguments and Path(arguments[0]).name == "sr-gan":
        return " ".join(["sr-gan", *arguments[1:]])
    return " ".join([Path(sys.executable).name, *arguments])


def _version(package: str) -> str | None:
    """Returns a package's version; None if it is on the path without being installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Returns the checkout's commit, with ``-dirty`` if it was changed; None without one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


_PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "torchmetrics", "numpy")
