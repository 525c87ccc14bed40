"""The run folder ``runs/<experiment>/<date>-<time>/``: find it, record what ran, resume it.

::

    config.yaml        the resolved configuration; of a resumed run earlier ones as config.1.yaml
    environment.json   versions, git commit, machine, command
    train.log          what was printed
    metrics.csv        a row an epoch
    summary.json       what came out
    checkpoints/<stage>/{last,best,epoch=NNNN}.ckpt, generator.safetensors
    samples/<stage>/epoch_NNNN.png
    tensorboard/<stage>/
"""

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from sr_gan import __version__
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, load_tensors
from sr_gan.machine import cpu_name

RUNS = Path("runs")
_PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "torchmetrics", "numpy")


def choose_run_dir(experiment: str, ckpt_path: str | None) -> str:
    """The folder of the run that ``ckpt_path`` resumes, or a new one under ``runs/<experiment>``.

    Registered as the resolver ``run_dir``, so that Hydra, too, writes into the resumed folder.

    Raises:
        UserError: there is nothing to resume.
    """
    if ckpt_path is None:
        return str(RUNS / experiment / datetime.now().strftime("%Y-%m-%d-%H%M%S"))
    if ckpt_path == "last":
        return str(_newest(RUNS / experiment, "*/checkpoints/*/last.ckpt").parents[2])
    path = _existing(ckpt_path)
    if path.is_dir():
        return str(path)
    if len(path.parents) > 2 and path.parents[1].name == "checkpoints":
        return str(path.parents[2])
    return choose_run_dir(experiment, None)


def shown(path: Path) -> Path:
    """A path as a user would type it: relative to where the command runs, if it lies there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to resume from, and what it says of its run."""

    path: Path
    stage: str
    config: dict[str, Any]


def find_checkpoint(ckpt_path: str, run_dir: Path) -> Checkpoint:
    """The checkpoint that ``ckpt_path`` names; ``last`` is the newest ``last.ckpt`` of the run.

    Raises:
        UserError: it does not exist, cannot be read, or is of another program.
    """
    if ckpt_path == "last":
        path = _newest(run_dir, "checkpoints/*/last.ckpt")
    else:
        path = _existing(ckpt_path)
    if path.is_dir():
        path = _newest(path, "checkpoints/*/last.ckpt")
    try:
        content = load_tensors(path)
    except UserError as error:
        others = sorted(str(p) for p in path.parent.glob("*.ckpt") if p != path)
        hint = f"resume from another one: {', '.join(others)}" if others else "start the run anew"
        raise UserError(f"checkpoint {error}; {hint}") from error
    if "sr_gan" not in content:
        raise UserError(
            f"{path} is not a checkpoint of a run of sr_gan: to start from its weights only, "
            f"use init_from={path}"
        )
    return Checkpoint(path, content["sr_gan"]["stage"], content["sr_gan"]["config"])


def check_resumable(checkpoint: Checkpoint, config: dict[str, Any]) -> list[str]:
    """Compares the settings of a checkpoint's run with today's: the keys that differ.

    Raises:
        UserError: the stage is not part of this run, or a network differs, so that the weights
            cannot fit.
    """
    if checkpoint.stage not in config["stages"]:
        raise UserError(
            f"{checkpoint.path} is from the stage {checkpoint.stage}, but this run has the stages "
            f"{', '.join(config['stages'])}: resume with the experiment of that run"
        )
    changes = differences(checkpoint.config, config)
    networks = [line for line in changes if line.startswith(("generator.", "discriminator."))]
    if networks:
        raise UserError(
            f"{checkpoint.path} was trained with other networks ({'; '.join(networks)}): "
            "resume with the settings of that run, see its config.yaml"
        )
    return [line for line in changes if not line.startswith(("ckpt_path", "run_dir", "stage:"))]


def write_records(cfg: DictConfig, run_dir: Path) -> None:
    """Writes ``config.yaml`` and ``environment.json``; a config that is there is kept, numbered."""
    config = run_dir / "config.yaml"
    if config.exists():
        number = len(list(run_dir.glob("config.*.yaml"))) + 1
        config.rename(run_dir / f"config.{number}.yaml")
    with atomic_write(config) as file:
        file.write(OmegaConf.to_yaml(cfg, resolve=True))
    with atomic_write(run_dir / "environment.json") as file:
        json.dump(environment(), file, indent=2)


def environment() -> dict[str, Any]:
    """What a run needs to be repeated: command, versions, git commit, machine."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "command": " ".join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "date": datetime.now().isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": {"sr_gan": __version__, **{name: _version(name) for name in _PACKAGES}},
        "platform": f"{platform.system()}-{platform.machine()}",
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def _version(package: str) -> str | None:
    """None of one that is on the path without having been installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The source tree's commit, with ``-dirty`` where it was changed; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _existing(ckpt_path: str) -> Path:
    path = Path(ckpt_path).expanduser()
    if not path.exists():
        raise UserError(f"ckpt_path={ckpt_path} does not exist: give a run, a .ckpt file, or last")
    return path


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(
            f"ckpt_path: no run to resume in {folder}; start without it, or give a run's folder "
            "or a .ckpt file"
        )
    return found[-1]


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Lines ``key: old -> new`` for two nested plain configurations."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for name in dict.fromkeys([*old, *new]):
            lines += differences(
                old.get(name), new.get(name), f"{key}.{name}" if key else str(name)
            )
        return lines
    return [] if old == new else [f"{key}: {old} -> {new}"]
