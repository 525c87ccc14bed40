"""Finds the run and the checkpoint to resume."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sr_gan.errors import UserError
from sr_gan.runs.folder import RUNS
from sr_gan.settings.build import fill_stage

_NAMES = {"act": "intervene", "floor": "psnr_floor"}  # of earlier versions, and today's


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to resume, with the stage and the settings of its run."""

    path: Path
    stage: str
    config: dict[str, Any]


def find_checkpoint(ckpt_path: str, run_dir: Path) -> Checkpoint:
    """Finds the checkpoint that ``ckpt_path`` names; ``last`` is the run's newest ``last.ckpt``.

    Raises:
        UserError: it does not exist, cannot be read, or is from another program.
    """
    if ckpt_path == "last":
        path = _newest(run_dir, "checkpoints/*/last.ckpt")
    else:
        path = _existing(ckpt_path)
    if path.is_dir():
        path = _newest(path, "checkpoints/*/last.ckpt")
    from sr_gan.tensor_files import load_tensors  # imports PyTorch

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
    """Returns lines for the settings that differ between a checkpoint's run and this one.

    Raises:
        UserError: the stage is not part of this run, or a network differs, so that the weights
            cannot fit.
    """
    if checkpoint.stage not in config["stages"]:
        raise UserError(
            f"{checkpoint.path} is from the stage {checkpoint.stage}, but this run has the stages "
            f"{', '.join(config['stages'])}: resume with the experiment of that run"
        )
    changes = changed_settings(checkpoint.config, config)
    networks = [line for line in changes if line.startswith(("generator.", "discriminator."))]
    if networks:
        raise UserError(
            f"{checkpoint.path} was trained with other networks ({'; '.join(networks)}): "
            "resume with the settings of that run, see its config.yaml"
        )
    return [line for line in changes if not line.startswith(("ckpt_path", "run_dir"))]


def choose_run_dir(experiment: str, ckpt_path: str | None) -> str:
    """Returns the folder of the run that ``ckpt_path`` resumes, or a new ``runs/<experiment>/...``.

    It is registered as the resolver ``run_dir``, so that Hydra writes into the resumed folder, too.

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


def changed_settings(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Returns lines ``key: old -> new`` for the settings that an earlier run had differently."""
    before = _renamed(before)
    stage = before.get("stage")  # earlier versions wrote the stage's name into the settings
    if stage:
        now = {**fill_stage(now, stage), "stage": stage}
    return differences(before, now)


def _renamed(settings: Any) -> Any:
    """Settings of an earlier version under today's names."""
    if isinstance(settings, dict):
        return {_NAMES.get(key, key): _renamed(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [_renamed(value) for value in settings]
    moved = "sr_gan.checkpoints.", "sr_gan.runs.checkpoint_io."
    return settings.replace(*moved) if isinstance(settings, str) else settings


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Returns lines ``key: old -> new`` for what differs in two nested plain configurations."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for name in dict.fromkeys([*old, *new]):
            lines += differences(
                old.get(name), new.get(name), f"{key}.{name}" if key else str(name)
            )
        return lines
    return [] if old == new else [f"{key}: {old} -> {new}"]
