"""Finds the run and the checkpoint to resume, and compares their settings with today's."""

import logging
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from sr_gan.errors import UserError
from sr_gan.files import real, relative, user_path
from sr_gan.runs.folder import (
    CONFIG,
    FINISHED,
    LOG,
    RUNS,
    SUMMARY,
    checkpoints,
)
from sr_gan.settings.build import fill_stage, map_texts

log = logging.getLogger(__name__)

_NAMES = {"act": "intervene", "floor": "psnr_floor"}  # of earlier versions, and today's
_BEST = "sr_gan.callbacks.SaveBest"
_FREE = ("ckpt_path", "run_dir", "other_photos")  # they say how to resume, not what is trained


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint to resume.

    Args:
        path: the file.
        stage: the stage that it is from.
        config: the resolved settings of its run.
        epochs: the number of epochs of the stage that are done.
        photos: a digest of the photographs that the run was trained on; None if it is not known.
    """

    path: Path
    stage: str
    config: dict[str, Any]
    epochs: int = 0
    photos: str | None = None


def choose_run_dir(experiment: str, ckpt_path: str | None) -> str:
    """Returns the folder of the run that ``ckpt_path`` resumes, or makes a new one.

    A new folder is ``runs/<experiment>/<date>-<time>``, and no other run gets it. This function is
    registered as the resolver ``run_dir``, so that Hydra writes into a resumed folder, too.

    Raises:
        UserError: there is nothing to resume.
    """
    resumed = ckpt_path and folder_of(ckpt_path, experiment)
    return str(resumed or _new_folder(RUNS / experiment))


def find_checkpoint(ckpt_path: str, run_dir: Path) -> Checkpoint:
    """Finds the checkpoint that ``ckpt_path`` names.

    It is a file, or else the newest state of a run: the ``last.ckpt`` of its latest stage.

    Raises:
        UserError: it does not exist, cannot be read, or is from another program.
    """
    path = run_dir if ckpt_path == "last" else _existing(ckpt_path)
    if path.is_dir():
        found = checkpoints(path)
        if not found:
            raise UserError(
                f"ckpt_path={ckpt_path}: {relative(path)} has no checkpoint; a run that ended "
                "before its first one has to start anew, without ckpt_path"
            )
        path = found[-1]
    from sr_gan.tensor_files import load_tensors  # imports PyTorch

    try:
        content = load_tensors(path)
    except UserError as error:
        others = sorted(str(p) for p in path.parent.glob("*.ckpt") if p != path)
        hint = f"resume from another one: {', '.join(others)}"
        if not others:
            hint = "give another run or .ckpt file, or start the run anew"
        raise UserError(f"checkpoint {error}; {hint}") from error
    about = content.get("sr_gan")
    if not isinstance(about, dict) or not isinstance(about.get("config"), dict):
        raise UserError(
            f"{path} is not a checkpoint of a run of sr_gan: to start from its weights only, "
            f"use init_from={path}"
        )
    return Checkpoint(
        path, str(about.get("stage")), about["config"], _epochs(content), about.get("photos")
    )


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
    before = checkpoint.config
    if "run_dir" in before:
        folders = before["run_dir"], config["run_dir"]
        before = map_texts(before, lambda text: _moved(text, *folders))
    changes = changed_settings(before, config)
    networks = [line for line in changes if line.startswith(("generator.", "discriminator."))]
    if networks:
        raise UserError(
            f"{checkpoint.path} was trained with other networks ({'; '.join(networks)}): "
            "resume with the settings of that run, see its config.yaml"
        )
    stage = checkpoint.stage
    old, new = (float(each[stage].get("ema", 0)) for each in (checkpoint.config, config))
    if bool(old) != bool(new):
        raise UserError(
            f"{stage}.ema={new:g}: {checkpoint.path} was trained with {old:g}, and an "
            "average cannot begin or end within a stage; its decay may change"
        )
    return [line for line in changes if not line.startswith(_FREE)]


def check_photos(checkpoint: Checkpoint, config: dict[str, Any], photos: str) -> None:
    """Refuses to go on with other photographs, unless the settings of the data have changed.

    A warning says that scores from before and after may not be comparable.

    Raises:
        UserError: files of the same folders have changed since the run began.
    """
    if checkpoint.photos in (None, photos):
        return
    same = ("data.feed", "data.workers", "data.cache_dir")
    changes = changed_settings({"data": checkpoint.config["data"]}, {"data": config["data"]})
    if not config["other_photos"] and all(line.startswith(same) for line in changes):
        raise UserError(
            f"{checkpoint.path}: the photos have changed since: {checkpoint.photos} then, "
            f"{photos} now. Restore them, or go on with today's by other_photos=true"
        )
    log.warning(
        "other photos than before, %s then, %s now: scores from before may be of different "
        "photos, also that of best.ckpt",
        *(checkpoint.photos, photos),
    )


def refuse_nothing_to_do(checkpoint: Checkpoint, config: dict[str, Any], run_dir: Path) -> None:
    """Refuses to begin a run in another folder from a checkpoint that leaves nothing to train.

    Raises:
        UserError: the checkpoint is from the end of the last stage, and from another folder.
    """
    stage = checkpoint.stage
    if _is_done(checkpoint, config) and not real(checkpoint.path).is_relative_to(real(run_dir)):
        raise UserError(
            f"{relative(checkpoint.path)} is from the end of the run: set {stage}.epochs above "
            f"{checkpoint.epochs}, or start a new run from its weights with init_from instead of "
            "ckpt_path"
        )


def is_finished(checkpoint: Checkpoint, config: dict[str, Any], run_dir: Path) -> bool:
    """Whether a run has nothing left to do: all epochs are done and everything is written."""
    stage = config["stages"][-1]
    written = (run_dir / SUMMARY, run_dir / "checkpoints" / stage / FINISHED)
    return _is_done(checkpoint, config) and all(path.exists() for path in written)


def _is_done(checkpoint: Checkpoint, config: dict[str, Any]) -> bool:
    stage = config["stages"][-1]
    return bool(checkpoint.stage == stage and checkpoint.epochs >= config[stage]["epochs"])


def folder_of(ckpt_path: str, experiment: str) -> Path | None:
    """Returns the folder of the run that ``ckpt_path`` names; None for a file that has none."""
    if ckpt_path == "last":
        return _newest_run(RUNS / experiment)
    path = _existing(ckpt_path)
    if path.is_dir():
        return path
    inside = len(path.parents) > 2 and path.parents[1].name == "checkpoints"
    return path.parents[2] if inside else None


def _newest_run(folder: Path) -> Path:
    """Returns the run below ``folder`` that was started, or resumed, last."""
    files = [file for name in (LOG, CONFIG) for file in folder.glob(f"*/{name}")]
    begun = {file.parent: file.stat().st_mtime for file in files}  # of its CONFIG, if it has one
    if not begun:
        raise UserError(
            f"ckpt_path=last: no run to resume in {folder}; name its experiment, or give its "
            "folder or a .ckpt file"
        )
    newest = max(begun, key=begun.__getitem__)
    if not checkpoints(newest):
        raise UserError(
            f"ckpt_path=last: the newest run {newest} ended before its first checkpoint; start "
            "it anew without ckpt_path, or name another run with ckpt_path=FOLDER"
        )
    return newest


def _new_folder(parent: Path) -> Path:
    name = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError:  # Hydra reports it
            pass
        break
    return folder


def _existing(ckpt_path: str) -> Path:
    path = user_path(ckpt_path)
    if not path.exists():
        raise UserError(f"ckpt_path={ckpt_path} does not exist: give a run, a .ckpt file, or last")
    return path


def _epochs(content: dict[str, Any]) -> int:
    try:
        return int(content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    except (KeyError, TypeError, ValueError):
        return 0


def changed_settings(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Returns lines ``key: old -> new`` for the settings that an earlier run had differently."""
    before = _renamed(before)
    stage = before.get("stage")  # earlier versions wrote the stage's name into the settings
    if stage:
        now = {**fill_stage(now, stage), "stage": stage}
    return differences(before, now)


def _moved(path: str, old: str, new: str) -> str:
    """Returns a path below the folder ``old`` as one below ``new``; other texts stay."""
    return f"{new}{path.removeprefix(old)}" if path.startswith(f"{old}/") else path


def _renamed(settings: Any) -> Any:
    """Settings of an earlier version under today's names."""
    if isinstance(settings, dict) and settings.get("filename") == "best":  # Lightning's callback
        kept = {key: settings.get(key) for key in ("monitor", "mode")}
        return {"_target_": _BEST, "folder": settings.get("dirpath"), **kept}
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
