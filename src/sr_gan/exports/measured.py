"""Finds the scores of a model among the tables that evaluate wrote."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr_gan.errors import UserError
from sr_gan.files import relative, user_path
from sr_gan.inference.pretrained import Pretrained
from sr_gan.models import bundled_models

log = logging.getLogger(__name__)

FOLDER = Path("evaluations")
_BICUBIC = "bicubic"


@dataclass(frozen=True)
class Scores:
    """The mean scores of a model on a benchmark.

    Args:
        benchmark: the name of the folder of photographs.
        images: the number of photographs.
        convention: how it was measured, in words.
        mean: the scores by measure.
        bicubic: those of bicubic.
    """

    benchmark: str
    images: int
    convention: str
    mean: Mapping[str, float]
    bicubic: Mapping[str, float]


def find_scores(model: Pretrained, metrics: str | None) -> Iterator[Scores]:
    """Finds the scores of a model, one for each benchmark.

    Args:
        model: the model.
        metrics: a table, or a folder of tables. Without it those in the model's run and those in
            evaluations/MODEL are taken that are newer than its weights, as these may have changed.

    Raises:
        UserError: a table is damaged, or ``metrics`` does not exist or is not of this model.
    """
    found: dict[str, Scores] = {}
    if metrics is not None:
        for file in _given(metrics):
            if scores := _read(file, model.name, alone=True):
                found.setdefault(scores.benchmark, scores)
        if not found:
            raise UserError(f"metrics={metrics} holds no scores of {model.name}: evaluate it first")
        yield from found.values()
        return
    assert model.path
    fixed = model.path in bundled_models().values()
    for file in _usual(model):
        scores = _read(file, model.name)
        if scores is None or scores.benchmark in found:
            continue
        if not fixed and file.stat().st_mtime < model.path.stat().st_mtime:
            log.info("left out %s: it is older than the weights", relative(file))
            continue
        found[scores.benchmark] = scores
        log.info("scores  %s", relative(file))
    yield from found.values()


def _usual(model: Pretrained) -> list[Path]:
    """Returns where evaluate writes the tables of a model, those of it alone first."""
    assert model.path
    folders = [model.path.parents[2] / "evaluation"] if len(model.path.parents) > 2 else []
    name = model.name.replace("/", "_")
    folders += [FOLDER / name, *sorted(FOLDER.glob("*+*"))]
    return [file for folder in folders for file in sorted(folder.glob("*.json"))]


def _given(metrics: str) -> list[Path]:
    path = user_path(metrics)
    if not path.exists():
        raise UserError(
            f"metrics={metrics} does not exist: give a table that evaluate wrote as JSON, or a "
            "folder of them"
        )
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def _read(file: Path, name: str, alone: bool = False) -> Scores | None:
    """Reads the scores of a model; None if the table has none of it.

    Args:
        file: the table.
        name: the name of the model.
        alone: whether the only model of a table is the right one, whatever its name.

    Raises:
        UserError: the file is damaged.
    """
    try:
        table = json.loads(file.read_text(encoding="utf-8", errors="replace"))
        if not {"benchmark", "models"} <= table.keys():  # such as the mixtures of interpolate
            return None
        models = {key: _numbers(each["mean"]) for key, each in table["models"].items()}
        others = [key for key in models if key != _BICUBIC]
        chosen = others[0] if alone and len(others) == 1 else name
        if chosen not in models:
            return None
        return Scores(
            str(table["benchmark"]),
            sum(image["model"] == chosen for image in table["images"]),
            str(table["convention"]),
            models[chosen],
            models.get(_BICUBIC, {}),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{file} is damaged: it is no table that evaluate wrote") from error


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in scores.items() if value is not None}
