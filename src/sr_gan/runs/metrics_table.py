"""The table ``metrics.csv``: one row for each epoch, counted from 1, one column for each metric."""

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from sr_gan.errors import UserError
from sr_gan.files import atomic_write

log = logging.getLogger(__name__)

_MEND = "restore it, or remove the broken lines"


@dataclass(frozen=True)
class Stage:
    """A stage with a row for each epoch: its number as ``epoch``, and what was measured."""

    name: str
    rows: list[dict[str, float]]

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return int(self.rows[-1]["epoch"])

    def series(self, metric: str) -> list[tuple[int, float]]:
        """(epoch, value) for the epochs in which the metric was measured, without NaN."""
        pairs = [(int(row["epoch"]), row[metric]) for row in self.rows if metric in row]
        return [(epoch, value) for epoch, value in pairs if isfinite(value)]

    def last(self, metric: str) -> float | None:
        """The newest value of a metric; ``None`` if it was never measured."""
        series = self.series(metric)
        return series[-1][1] if series else None

    @property
    def validated(self) -> list[dict[str, float]]:
        """The rows of the epochs that ended with a validation."""
        return [row for row in self.rows if "quality/psnr_y" in row]


def read_stages(path: Path) -> dict[str, Stage]:
    """Reads the table as numbers, by stage; a file that is missing gives no stages.

    Raises:
        UserError: the file is damaged.
    """
    table = read_rows(path)
    if path.exists() and not table:
        raise UserError(f"{path} is damaged: it has no rows; {_MEND}")
    stages: dict[str, list[dict[str, float]]] = {}
    for row in table:
        stages.setdefault(row["stage"], []).append(_numbers(row))
    return {name: Stage(name, rows) for name, rows in stages.items()}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows as text, of which all are numbers except for the name of the stage.

    Epochs are counted from 1, also if an earlier version wrote the table.

    Raises:
        UserError: the file is damaged.
    """
    return from_one(parse_rows(path))


def from_one(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Counts the epochs of all rows of a table from 1; earlier versions counted them from 0."""
    first = int(any(row["epoch"] == "0" for row in rows))
    return [{**row, "epoch": str(int(row["epoch"]) + first)} for row in rows]


def parse_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows as they are.

    A file that is missing gives no rows. If the last line has no end, because a copy of the file
    was cut off, it is left out with a warning: its last number may have lost digits.

    Raises:
        UserError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode()
        rows = list(csv.DictReader(text.splitlines()))
        if rows and not text.endswith("\n"):
            log.warning("%s is cut off: its last line is left out", path)
            rows.pop()
        for line, row in enumerate(rows, 2):
            _check(row, line)
    except (csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"{path} is damaged: {error}; {_MEND}") from error
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Writes all rows; a cell is empty where its metric was not measured."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with atomic_write(path) as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def rounded(value: Any) -> str:
    """Returns a number as the table holds it, with six digits."""
    return f"{float(value):.6g}"


def _numbers(row: dict[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if key != "stage" and value != ""}


def _check(row: dict[str, str], line: int) -> None:
    if None in row or None in row.values():
        raise ValueError(f"line {line} has not as many cells as the first")
    for column in ("stage", "epoch"):
        if column not in row:
            raise ValueError(f"it has no column '{column}'")
    if not re.fullmatch(r"\w+", row["stage"]):  # it names a folder, and files of reports
        raise ValueError(f"line {line}: {row['stage']!r} is not the name of a stage")
    try:
        _numbers(row)
        if int(row["epoch"]) < 0:
            raise ValueError("the epoch is negative")
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error
