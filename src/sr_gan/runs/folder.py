"""The run folder ``runs/<experiment>/<date>-<time>/``, and the files that mark failed jobs.

::

    config.yaml        the resolved configuration; a resumed run keeps earlier ones as config.1.yaml
    environment.json   versions, git commit, machine, command
    overrides.json     the settings on the command line, with which the run is resumed
    train.log          the printed lines, with their times
    metrics.csv        one row for each epoch, counted from 1
    summary.json       the results
    checkpoints/<stage>/{last,best,epoch_NNNN}.ckpt, generator.safetensors
    samples/<stage>/epoch_NNNN.png
    <stage>/, result/  TensorBoard's files
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from sr_gan.arguments import Kernel
from sr_gan.errors import UserError
from sr_gan.files import user_path
from sr_gan.models import DEFAULT, bundled_models
from sr_gan.runs import hub
from sr_gan.settings.conf import conf_dir

RUNS = Path("runs")
CONFIG, ENVIRONMENT, LOG, SUMMARY = "config.yaml", "environment.json", "train.log", "summary.json"
OVERRIDES = "overrides.json"
STAGES = ("pretrain", "gan")  # in their order
FINISHED = "generator.safetensors"  # a stage writes it at its end
ERROR = "error.txt"  # in the folder of a job that failed; one line with the reason
LOCK = ".lock"
PRUNED = "pruned.txt"  # in the folder of a job that was ended early; one line with the reason


def find_model(model: str | None, key: str) -> Path | None:
    """Finds the file of a model to use; None for ``bicubic`` and ``lanczos``, which have none.

    The newest checkpoint of a run that has not finished is a model, too.

    Raises:
        UserError: there is no such model, see :func:`find_weights`.
    """
    kernels = get_args(Kernel)
    return None if model in kernels else find_weights(model, key, ("last.ckpt",), kernels)


def find_weights(
    origin: str | None, key: str, unfinished: Sequence[str] = (), others: Sequence[str] = ()
) -> Path:
    """Finds the file of weights that a setting names.

    Args:
        origin: the name of a bundled model, a file, a folder, of which the newest file of weights
            is taken, or a model of the Hugging Face Hub; None is the default model.
        key: the setting, for the message of an error.
        unfinished: names of files that are taken, too, besides those of finished stages.
        others: other values that the setting may have, for the message of an error.

    Raises:
        UserError: there is none.
    """
    models = bundled_models()
    if (origin or DEFAULT) in models:
        return models[origin or DEFAULT]
    if origin is None:
        raise UserError(
            "no model is given and this version has none: train one with python -m sr_gan.train "
            f"(minutes on a CPU) and give its folder, {key}=runs/quickstart, or a weights file"
        )
    if origin.lower().startswith("hf:"):
        return hub.fetch(origin, key)
    if origin in get_args(Kernel):
        raise UserError(f"{key}={origin} has no weights: name a trained model")
    path = user_path(origin)
    if not path.exists():
        raise UserError(
            f"{key}={origin} does not exist: give the folder of a run, a .safetensors, .pth or "
            f".ckpt file, hf://OWNER/NAME, or one of {', '.join([*models, *others])}"
            f"{_maker(path)}"
        )
    if path.is_file():
        return path
    files = [file for name in (FINISHED, *unfinished) for file in path.rglob(name)]
    if not files:
        raise UserError(
            f"{key}={path}: no stage of a run in it is finished (no checkpoints/*/{FINISHED}): "
            "give another run's folder or a weights file"
        )
    return max(files, key=lambda file: file.stat().st_mtime)


def _maker(path: Path) -> str:
    """Returns the command that would make a folder of runs that is missing, if there is one."""
    name = path.name
    known = path == RUNS / name and (conf_dir() / "experiment" / f"{name}.yaml").is_file()
    return f"; python -m sr_gan.train experiment={name} makes {path}" if known else ""


def checkpoints(run_dir: Path) -> list[Path]:
    """Returns the newest state of each stage of a run that has one, in the order of the stages."""
    files = [run_dir / "checkpoints" / stage / "last.ckpt" for stage in STAGES]
    return [file for file in files if file.exists()]


def failures(folder: Path, since: float = 0.0) -> dict[str, str]:
    """Returns the jobs below ``folder`` that failed after a time stamp, and the reasons."""
    files = sorted(file for file in folder.rglob(ERROR) if file.stat().st_mtime >= since)
    return {str(file.parent.relative_to(folder)): file.read_text().strip() for file in files}
