"""Reads run folders back: the settings, the epochs, and what was measured afterwards."""

import json
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import yaml

from sr_gan.errors import UserError
from sr_gan.files import real, relative, user_path
from sr_gan.runs.epochs import sample_files
from sr_gan.runs.metrics_table import Stage, read_stages

# The types of the values that are looked up in the files of a run.
_NODES = ("data", "generator", "discriminator", "adversarial", "pretrain", "gan")
_CONFIG: dict[str, type] = {**dict.fromkeys(_NODES, dict), "stages": list}
_SCORES: dict[str, type] = {"mean": dict, "bicubic": dict, "images": list}
_WORDS: dict[type, str] = {dict: "group of settings", list: "list"}

_MARKS = ("environment.json", "metrics.csv")  # a folder that has one of them is a run


@dataclass(frozen=True)
class Run:
    """The content of a run folder.

    Args:
        path: the folder.
        config: the resolved configuration; empty where its file is missing.
        environment: command, date, versions and machine; empty where its file is missing.
        stages: the stages that were trained, in their order.
        benchmarks: the scores that ``sr_gan.evaluate`` wrote into the run, by benchmark.
    """

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    stages: dict[str, Stage]
    benchmarks: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        path = real(self.path)
        return path.name if path == Path.cwd() else str(relative(path))

    @property
    def final(self) -> Stage | None:
        """The last stage that began."""
        return list(self.stages.values())[-1] if self.stages else None

    def planned(self, stage: str) -> int | None:
        """The number of epochs that a stage should have; ``None`` if it is not known."""
        epochs = self.config.get(stage, {}).get("epochs")
        known = isinstance(epochs, int) and stage in self.config.get("stages", [])
        return epochs if known else None

    def done(self, stage: str) -> int:
        """The number of a stage's epochs that are done."""
        return self.stages[stage].epochs if stage in self.stages else 0

    def samples(self, stage: str) -> dict[int, Path]:
        """The files of a stage's sample grids, by epoch."""
        return sample_files(self.path, stage)


def find_runs(origins: list[str]) -> list[Path]:
    """Finds the run folders that paths and patterns name.

    A folder that is not a run stands for all runs below it.

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
    """Reads a run folder; a file that is missing gives an empty value.

    Raises:
        UserError: a file in it is damaged.
    """
    files = sorted(path.glob("evaluation/*.json"))
    benchmarks = [(file.stem, s) for file in files if "mean" in (s := _mapping(file, _SCORES))]
    return Run(
        path,
        config=_mapping(path / "config.yaml", _CONFIG),
        environment=_mapping(path / "environment.json", {"packages": dict}),
        stages=read_stages(path / "metrics.csv"),
        benchmarks=dict(sorted(benchmarks, key=lambda item: len(item[1].get("images", [])))),
    )


def newest(runs: list[Path]) -> Path:
    """Returns the run that was written to last."""

    def written(run: Path) -> float:
        return max(file.stat().st_mtime for mark in _MARKS if (file := run / mark).exists())

    return max(runs, key=written)


def _folders(origin: str) -> list[Path]:
    path = user_path(origin)
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


def _mapping(path: Path, types: dict[str, type]) -> dict[str, Any]:
    """Reads a JSON or YAML file; a file that is missing gives an empty dictionary.

    The file may come from anywhere. It stays plain data, in which nothing is looked up.

    Raises:
        UserError: the file is damaged, or a value of one of the ``types`` has another one.
    """
    if not path.is_file():
        return {}
    try:
        content = (json.loads if path.suffix == ".json" else _plain_yaml)(path.read_text())
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds no settings")
    for name, kind in types.items():
        if not isinstance(content.get(name, kind()), kind):
            raise UserError(f"{path} is damaged: {name} is no {_WORDS[kind]}")
    return content


def _plain_yaml(text: str) -> Any:
    """Reads YAML without aliases, with which a small file can claim to be a huge one."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise ValueError("it has aliases, which no run writes")
    return yaml.safe_load(text)
