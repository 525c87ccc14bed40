"""Finds out which jobs of a sweep are finished, and which can go on."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_gan.errors import UserError
from sr_gan.files import relative
from sr_gan.runs.folder import CONFIG, SUMMARY, checkpoints
from sr_gan.runs.resume import changed_settings, find_checkpoint
from sr_gan.settings.check import check

STUDY = "study.db"  # in the folder of a sweep whose jobs Optuna proposes


def finished(cfg: DictConfig, run_dir: Path) -> bool:
    """Whether the job ``cfg`` is finished in ``run_dir``.

    Raises:
        UserError: the finished job in this folder has other settings.
    """
    if not (run_dir / SUMMARY).exists() or not (run_dir / CONFIG).exists():
        return False
    before: Any = OmegaConf.to_container(OmegaConf.load(run_dir / CONFIG))
    refuse(_changes(before, check(cfg)), "run", run_dir)
    return True


def begun(cfg: DictConfig, run_dir: Path) -> Path | None:
    """Returns the checkpoint from which a job can go on; None if it has to start.

    Raises:
        UserError: its checkpoint cannot be read, or the job in this folder has other settings.
    """
    if not checkpoints(run_dir):
        return None
    checkpoint = find_checkpoint("last", run_dir)
    refuse(_changes(checkpoint.config, check(cfg)), "run", run_dir)
    return checkpoint.path


def refuse(changes: list[str], what: str, folder: Path) -> None:
    """Refuses a folder whose run or search has other settings, if there are ``changes``."""
    if changes:
        raise UserError(
            f"{relative(folder)} holds a {what} with other settings ({'; '.join(changes[:3])}): "
            "choose another folder with hydra.sweep.dir=FOLDER, or delete it"
        )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Returns what differs, except how a run began; a resumed run has no ``init_from``."""
    ignored = ["ckpt_path", *(["init_from"] if before.get("ckpt_path") else [])]
    return [line for line in changed_settings(before, now) if not line.startswith(tuple(ignored))]
