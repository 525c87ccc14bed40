"""Sweeps: what a job is called, which are done, which failed."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from sr_gan.errors import UserError
from sr_gan.files import atomic_write
from sr_gan.runs import differences, find_checkpoint, shown
from sr_gan.schema import check

ERROR = "error.txt"  # in a job's folder: why it failed, in one line
PRUNED = "pruned.txt"  # in a job's folder: why it was ended early, in one line
STUDY = "study.db"  # in a sweep's folder, where Optuna proposes the jobs


def shared_keys(arguments: Sequence[str]) -> set[str]:
    """The settings that a command line gives a single value: those of every job."""
    parsed = parse(arguments)
    return {override.get_key_element() for override in parsed if not override.is_sweep_override()}


def parse(arguments: Sequence[str]) -> list[Override]:
    """The settings on a command line, ``KEY=VALUE``, as Hydra reads them."""
    given = [argument for argument in arguments if re.match(r"[^-].*=", argument)]
    return OverridesParser.create().parse_overrides(given)


def name_job(number: int | None, overrides: Sequence[str], common: set[str]) -> str:
    """A job's folder: its number, if there is to be one, and what is its own, without slashes.

    With a number, which tells jobs apart, long decimals are given with four digits.
    """
    own = [override for override in overrides if override.partition("=")[0] not in common]
    parts = [] if number is None else [str(number)]
    if parts:
        own = [shortened(override) for override in own]
    parts += [",".join(own).replace("/", "_")] if own else []
    return "_".join(parts)[:120] or "job"


def shortened(text: str) -> str:
    """``lr=0.002023`` of ``lr=0.0020228662931987577``: long decimals with four digits."""
    return re.sub(r"\d+\.\d{8,}(e-?\d+)?", lambda number: f"{float(number[0]):.4g}", text)


def label(folder: str) -> str:
    """``loss=l1, adversarial=0.1`` of ``loss@gan.loss=l1,gan.loss.weights.adversarial=0.1``.

    A name that :func:`name_job` did not make is left as it is.
    """
    settings = re.split(r",(?=[\w.@/]+=)", re.sub(r"^\d+_(?=[\w.@/]+=)", "", folder))
    if not all(re.match(r"[\w.@/]+=", setting) for setting in settings):
        return folder
    pairs = [setting.partition("=") for setting in settings]
    return ", ".join(f"{short(key)}={value}" for key, _, value in pairs)


def short(key: str) -> str:
    """``loss`` of ``loss@gan.loss``, ``adversarial`` of ``gan.loss.weights.adversarial``."""
    return key.partition("@")[0].rpartition(".")[2]


def finished(cfg: DictConfig, run_dir: Path) -> bool:
    """Whether the job ``cfg`` has been run to its end in ``run_dir``.

    Raises:
        UserError: a job with other settings has.
    """
    if not (run_dir / "summary.json").exists() or not (run_dir / "config.yaml").exists():
        return False
    before: Any = OmegaConf.to_container(OmegaConf.load(run_dir / "config.yaml"))
    changes = _changes(before, _recorded(cfg))
    if changes:
        raise UserError(
            f"{shown(run_dir)} holds a run with other settings ({'; '.join(changes[:3])}): "
            "choose another folder with hydra.sweep.dir=FOLDER, or delete it"
        )
    return True


def begun(cfg: DictConfig, run_dir: Path) -> Path | None:
    """The checkpoint from which the job ``cfg`` can go on; None if it has to start anew."""
    try:
        checkpoint = find_checkpoint("last", run_dir)
    except UserError:
        return None
    return None if _changes(checkpoint.config, check(cfg)) else checkpoint.path


def _recorded(cfg: DictConfig) -> dict[str, Any]:
    """As a run writes it down once all its stages are built."""
    cfg = cfg.copy()
    cfg.stage = cfg.stages[-1]
    return check(cfg)


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs, but for how a run was begun; one that went on names no ``init_from``."""
    ignored = ["ckpt_path", "stage:", *(["init_from"] if before.get("ckpt_path") else [])]
    return [line for line in differences(before, now) if not line.startswith(tuple(ignored))]


def record_failure(folder: Path, message: str) -> None:
    """Leaves ``message``, a line, in a job's folder."""
    with atomic_write(folder / ERROR) as file:
        file.write(message + "\n")


def failures(folder: Path, since: float = 0.0) -> dict[str, str]:
    """Job folders that failed, of all below ``folder``, and why; ``since`` a time stamp."""
    files = sorted(file for file in folder.rglob(ERROR) if file.stat().st_mtime >= since)
    return {str(file.parent.relative_to(folder)): file.read_text().strip() for file in files}
