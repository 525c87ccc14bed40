"""The table ``metrics.csv``: one row for each epoch, one column for each metric."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from sr_gan.errors import UserError
from sr_gan.files import atomic_write

_MEND = "restore it, or remove the broken lines"


@dataclass(frozen=True)
class Stage:
    """The epochs of a stage.

    Args:
        name: the name of the stage.
        rows: one for each epoch: its number as ``epoch``, and the metrics that were measured.
    """

    name: str
    rows: list[dict[str, float]]

    @property
    def epochs(self) -> int:
        """The number of epochs that are done."""
        return int(self.rows[-1]["epoch"]) + 1

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
    try:
        table = read_rows(path)
        if path.exists() and not table:
            raise ValueError("it has no rows")
        stages: dict[str, list[dict[str, float]]] = {}
        for line, row in enumerate(table, 2):
            stages.setdefault(row["stage"], []).append(_numbers(row, line))
    except KeyError as error:
        raise UserError(f"{path} is damaged: it has no column {error}; {_MEND}") from error
    except (csv.Error, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"{path} is damaged: {error}; {_MEND}") from error
    return {name: Stage(name, rows) for name, rows in stages.items()}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows as text; a file that is missing gives none."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


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


def _numbers(row: dict[str, Any], line: int) -> dict[str, float]:
    cells = {key: value for key, value in row.items() if key != "stage" and value != ""}
    if None in cells or None in cells.values() or "epoch" not in cells:
        raise ValueError(f"line {line} has not as many cells as the first")
    try:
        return {key: float(value) for key, value in cells.items()}
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error
