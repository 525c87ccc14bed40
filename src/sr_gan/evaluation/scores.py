"""Scores of a model on a benchmark, as text, CSV, JSON and Markdown."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from sr_gan.files import atomic_write
from sr_gan.runs.published import X4
from sr_gan.tables import Table, number

# key: (title, decimals)
METRICS = {
    "psnr_y": ("PSNR-Y", 2),
    "ssim_y": ("SSIM-Y", 4),
    "psnr_rgb": ("PSNR-RGB", 2),
    "ssim_rgb": ("SSIM-RGB", 4),
    "lpips": ("LPIPS", 4),
    "lpips_squeeze": ("LPIPS-Sq", 4),
    "lr_consistency": ("LR-PSNR", 2),
    "colour_shift": ("colour", 2),
    "grain": ("grain", 2),
}
_ASKED_FOR = "lpips_squeeze"  # its column is shown only if it was measured
Scores = dict[str, float | None]


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model on a benchmark.

    Args:
        model, benchmark: the names of the model, and of the set or the folder.
        scale: the scale factor.
        images, bicubic: the scores of each image by name, and of its bicubic enlargement.
        known: whether the published numbers are for the same images and protocol.
        beside: whether the row of each image is followed by a row of its bicubic enlargement.
    """

    model: str
    benchmark: str
    scale: int
    images: dict[str, Scores]
    bicubic: dict[str, Scores]
    known: bool
    beside: bool = False

    def rows(self) -> dict[str, Scores]:
        """Returns the rows by name: every image, then the means and the published scores."""
        rows: dict[str, Scores] = {}
        for name, scores in self.images.items():
            rows[name] = scores
            if self.beside and self.model != "bicubic":
                rows[f"{name}, bicubic"] = self.bicubic[name]
        rows[f"mean, {self.model}"] = mean(self.images)
        if self.model != "bicubic":
            rows["mean, bicubic"] = mean(self.bicubic)
        if self.known:
            for who, sets in X4.items():
                psnr_y, lpips = sets.get(self.benchmark, (None, None))
                if psnr_y or lpips:
                    rows[who] = {"psnr_y": psnr_y, "lpips": lpips}
        return rows

    def table(self) -> Table:
        """Returns the rows as a table with the usual decimals."""
        return table(self.rows(), "image")


def mean(images: dict[str, Scores]) -> Scores:
    """Returns the mean of each score over the images that have it; None if none has."""
    means: Scores = {}
    for key in METRICS:
        values = [value for scores in images.values() if (value := scores.get(key)) is not None]
        means[key] = sum(values) / len(values) if values else None
    return means


def as_markdown(evaluation: Evaluation) -> str:
    """Returns the table under a heading."""
    heading = f"# {evaluation.model} on {evaluation.benchmark}, x{evaluation.scale}"
    return f"{heading}\n\n{evaluation.table().markdown()}\n"


def as_csv(evaluation: Evaluation) -> str:
    """Returns one row per image, then the means, with six significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *METRICS])
    for name, scores in evaluation.rows().items():
        values = [scores.get(key) for key in METRICS]
        writer.writerow([name, *("" if value is None else f"{value:.6g}" for value in values)])
    return text.getvalue()


def as_json(evaluation: Evaluation) -> str:
    """Returns everything; numbers that are not finite (PSNR of equal images) are null."""
    content = {
        "model": evaluation.model,
        "benchmark": evaluation.benchmark,
        "scale": evaluation.scale,
        "mean": mean(evaluation.images),
        "bicubic": mean(evaluation.bicubic),
        "images": [{"name": name, **scores} for name, scores in evaluation.images.items()],
    }
    return json.dumps(_finite(content), indent=2) + "\n"


def write(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes ``<benchmark>.{csv,json,md}`` into ``folder``, replacing earlier files."""
    kinds = {".csv": as_csv, ".json": as_json, ".md": as_markdown}
    paths = [folder / f"{evaluation.benchmark}{suffix}" for suffix in kinds]
    for path, kind in zip(paths, kinds.values()):
        with atomic_write(path) as file:
            file.write(kind(evaluation))
    return paths


def table(
    rows: Mapping[str, Scores], title: str, caption: str = "", keys: Sequence[str] = ()
) -> Table:
    """Returns scores as a table with the usual decimals; ``title`` is that of the rows' names.

    ``keys`` are the :data:`METRICS` to show; by default all that are not measured on request only.
    """
    asked = any(scores.get(_ASKED_FOR) is not None for scores in rows.values())
    shown = {key: METRICS[key] for key in keys or METRICS if asked or key != _ASKED_FOR}
    cells = [
        [name, *(number(row.get(key), f".{digits}f") for key, (_, digits) in shown.items())]
        for name, row in rows.items()
    ]
    return Table(caption, [title, *(heading for heading, _ in shown.values())], cells)


def _finite(node: object) -> object:
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not isfinite(node) else node
