"""Run folders read back: what a run was told, what each epoch brought, what was measured since."""

import csv
import json
from dataclasses import dataclass
from glob import glob
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from sr_gan.errors import UserError
from sr_gan.files import relative
from sr_gan.runs.metrics_table import read_table

_MARKS = ("environment.json", "metrics.csv")  # a folder with one of them is a run
_MEND = "restore it, or remove the broken lines"


@dataclass(frozen=True)
class Stage:
    """A stage's rows of ``metrics.csv``: ``epoch`` and every metric that the row has."""

    name: str
    rows: list[dict[str, float]]

    @property
    def epochs(self) -> int:
        """How many are done."""
        return int(self.rows[-1]["epoch"]) + 1

    def series(self, metric: str) -> list[tuple[int, float]]:
        """(epoch, value) of the epochs in which the metric was taken, NaN left out."""
        pairs = [(int(row["epoch"]), row[metric]) for row in self.rows if metric in row]
        return [(epoch, value) for epoch, value in pairs if isfinite(value)]

    def last(self, metric: str) -> float | None:
        """The newest value, None where it was never taken."""
        series = self.series(metric)
        return series[-1][1] if series else None


@dataclass(frozen=True)
class Run:
    """A run folder.

    Args:
        path: the folder.
        config: the resolved configuration; empty where it is not there any more.
        environment: command, date, versions, machine; likewise.
        stages: what was trained, in order.
        benchmarks: by name, what ``sr_gan.evaluate`` wrote of the run.
    """

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    stages: dict[str, Stage]
    benchmarks: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        path = self.path.resolve()
        return path.name if path == Path.cwd() else str(relative(path))

    @property
    def final(self) -> Stage | None:
        """The last stage that was begun."""
        return list(self.stages.values())[-1] if self.stages else None

    def planned(self, stage: str) -> int | None:
        """Epochs that the stage was to have, where the configuration tells."""
        epochs = self.config.get(stage, {}).get("epochs")
        return epochs if stage in self.config.get("stages", []) else None

    def samples(self, stage: str) -> dict[int, Path]:
        """The sample grids of a stage by epoch."""
        files = sorted((self.path / "samples" / stage).glob("epoch_*.png"))
        return {int(f.stem[6:]): f for f in files if f.stem[6:].isdigit()}


def find_runs(origins: list[str]) -> list[Path]:
    """The run folders that paths and patterns name; of another folder all runs below it.

    Raises:
        UserError: a path does not exist, or there is no run in it.
    """
    found: dict[Path, None] = {}
    for origin in origins:
        runs = [run for folder in _folders(origin) for run in _below(folder)]
        if not runs:
            raise UserError(
                f"run={origin}: there is no run in it (no {' or '.join(_MARKS)}): give the folder "
                "that sr_gan.train printed, or train one: python -m sr_gan.train"
            )
        found.update(dict.fromkeys(runs))
    return list(found)


def read_run(path: Path) -> Run:
    """Reads a run folder; what is missing in it, is empty.

    Raises:
        UserError: a file in it is damaged.
    """
    files = sorted(path.glob("evaluation/*.json"))
    benchmarks = [(file.stem, scores) for file in files if "mean" in (scores := _mapping(file))]
    return Run(
        path,
        config=_mapping(path / "config.yaml"),
        environment=_mapping(path / "environment.json"),
        stages=_stages(path / "metrics.csv"),
        benchmarks=dict(sorted(benchmarks, key=lambda item: len(item[1].get("images", [])))),
    )


def newest(runs: list[Path]) -> Path:
    """The run that was written to last."""

    def written(run: Path) -> float:
        return max(file.stat().st_mtime for mark in _MARKS if (file := run / mark).exists())

    return max(runs, key=written)


def _folders(origin: str) -> list[Path]:
    path = Path(origin).expanduser()
    if path.is_dir():
        return [path]
    if path.exists():
        raise UserError(f"run={origin} is a file: give the folder of a run, or one with several")
    matches = [Path(match) for match in sorted(glob(str(path), recursive=True))]  # noqa: PTH207
    if not matches:
        raise UserError(f"run={origin} does not exist: give the folder of a run, or a pattern")
    return [match for match in matches if match.is_dir()]


def _below(folder: Path) -> list[Path]:
    if any((folder / mark).is_file() for mark in _MARKS):
        return [folder]
    found = {file.parent for mark in _MARKS for file in folder.rglob(mark)}
    return sorted(run for run in found if not found.intersection(run.parents))


def _stages(path: Path) -> dict[str, Stage]:
    try:
        table = read_table(path)
        if path.exists() and not table:
            raise ValueError("it has no rows")
        stages: dict[str, list[dict[str, float]]] = {}
        for line, row in enumerate(table, 2):
            stages.setdefault(row["stage"], []).append(_numbers(row, line))
    except KeyError as error:
        raise UserError(f"{path} is damaged: it has no column {error}; {_MEND}") from error
    except (csv.Error, ValueError) as error:  # of which UnicodeDecodeError is one
        raise UserError(f"{path} is damaged: {error}; {_MEND}") from error
    return {name: Stage(name, rows) for name, rows in stages.items()}


def _numbers(row: dict[str, Any], line: int) -> dict[str, float]:
    cells = {key: value for key, value in row.items() if key != "stage" and value != ""}
    if None in cells or None in cells.values() or "epoch" not in cells:
        raise ValueError(f"line {line} has not as many cells as the first")
    try:
        return {key: float(value) for key, value in cells.items()}
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error


def _mapping(path: Path) -> dict[str, Any]:
    """What a JSON or YAML file holds; the first is the second's subset, but is read faster."""
    if not path.is_file():
        return {}
    try:
        content = (json.loads if path.suffix == ".json" else yaml.safe_load)(path.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds no settings")
    return content
