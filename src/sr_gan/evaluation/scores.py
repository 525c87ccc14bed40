"""Scores of models on a benchmark, as text, CSV, JSON and Markdown."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path

from sr_gan.evaluation.crops import Crop
from sr_gan.evaluation.differences import Difference, difference
from sr_gan.evaluation.suite import Scores
from sr_gan.files import atomic_write, shortened
from sr_gan.runs.published import published
from sr_gan.tables import Table, counted, listed, number

# key: (title, decimals)
METRICS = {
    "psnr_y": ("PSNR-Y", 2),
    "ssim_y": ("SSIM-Y", 4),
    "psnr_rgb": ("PSNR-RGB", 2),
    "ssim_rgb": ("SSIM-RGB", 4),
    "lpips": ("LPIPS", 4),
    "lpips_squeeze": ("LPIPS-Sq", 4),
    "lpips_vgg": ("LPIPS-VGG", 4),
    "dists": ("DISTS", 4),
    "niqe": ("NIQE", 2),
    "lr_consistency": ("LR-PSNR", 2),
    "colour_shift": ("colour", 2),
    "grain": ("grain", 2),
    "grid": ("grid", 2),
}
UNDECODABLE = "backslashreplace"  # names of files can be bytes that are no text
_MOST_NAMES = 5
_MOST_ROWS = 30  # images that are listed on a terminal; the files have all


@dataclass(frozen=True)
class Evaluation:
    """The scores of models on a benchmark.

    Args:
        benchmark: the name of the set or the folder.
        scale: the scale factor.
        models: the scores of each image by name, of each model by name; bicubic is among them.
        convention: how the scores were measured, in words.
        known: whether the published numbers are for the same images and protocol.
        crops: where the results of each image differ most, by its name, if that was asked for.
    """

    benchmark: str
    scale: int
    models: Mapping[str, Mapping[str, Scores]]
    convention: str
    known: bool = False
    crops: Mapping[str, Crop] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """What was measured: the benchmark, the scale factor and the number of images."""
        count = max(len(images) for images in self.models.values())
        return f"{self.benchmark}, x{self.scale}, {counted(count, 'image')}"

    @property
    def notes(self) -> list[str]:
        """How the scores were measured, and which images a measure cannot take."""
        images = self.images()
        gaps: dict[str, list[str]] = {}  # the measures by the images that they lack
        for key in dict.fromkeys(key for scores in images.values() for key in scores):
            values = {(n, model): s.get(key, 0.0) for (n, model), s in images.items()}
            finite = any(value is not None and isfinite(value) for value in values.values())
            lacking = dict.fromkeys(
                n for (n, _), v in values.items() if v is None or (finite and not isfinite(v))
            )
            if lacking:
                gaps.setdefault(listed(list(lacking), _MOST_NAMES), []).append(_title(key)[0])
        each = (f"{', '.join(keys)} of {names}" for names, keys in gaps.items())
        gap = (
            "The means are without images that are too small or unsuitable for a measure, or equal "
            "to what they are compared with (an infinite PSNR): "
            f"{'; '.join(each)}"
        )
        return [self.convention, gap] if gaps else [self.convention]

    def means(self) -> dict[str, Scores]:
        """Returns the mean scores of each model, and those that are published."""
        rows = {name: mean(images) for name, images in self.models.items()}
        return rows | (published(self.benchmark) if self.known else {})

    def images(self) -> dict[tuple[str, str], Scores]:
        """Returns the scores of each image by each model."""
        names = dict.fromkeys(name for images in self.models.values() for name in images)
        return {
            (name, model): images[name]
            for name in names
            for model, images in self.models.items()
            if name in images
        }

    def differences(self) -> dict[str, dict[str, Difference]]:
        """Returns how much higher each score of the other models is than the first model's."""
        first, *others = self.models
        keys = measured(self.models[first].values())
        return {
            name: {
                key: found
                for key in keys
                if (found := difference(self.models[name], self.models[first], key))
            }
            for name in others
        }

    def tables(self, brief: bool = False) -> list[Table]:
        """Returns the tables: of the images, of the means, and of the differences of models.

        Without a second image or model there are no differences.

        Args:
            brief: for a terminal. Bicubic has no rows of its own beside a single model, and long
                lists are left out.
        """
        images = self.images()
        if brief and len(self.models) <= 2:
            first = next(iter(self.models))
            images = {key: scores for key, scores in images.items() if key[1] == first}
        tables = []
        if not brief or (len(self.models) <= 2 and len(images) <= _MOST_ROWS):
            rows = {name if brief else f"{name}, {model}": s for (name, model), s in images.items()}
            tables.append(table(rows, "image"))
        tables.append(table(self.means(), "mean"))
        tables.append(self._table_of_differences())
        return [each for each in tables if each.rows]

    def _table_of_differences(self) -> Table:
        first, *others = self.models
        found = self.differences()
        keys = [
            key
            for key in measured(self.models[first].values())
            if any(key in f for f in found.values())
        ]
        rows = [
            [_title(key)[0], *(_interval(found[name].get(key), _title(key)[1]) for name in others)]
            for key in keys
        ]
        caption = (
            f"Differences from {first} on the same images, with the 95 % interval of a bootstrap "
            "over the images; * marks those whose interval does not contain 0. Higher is better "
            "for PSNR, SSIM and LR-PSNR, lower for LPIPS, DISTS, NIQE, colour and grid"
        )
        return Table(caption, ["", *others], rows)


def measured(scores: Iterable[Scores]) -> list[str]:
    """Returns the measures that some image has, in the order of the columns."""
    keys = dict.fromkeys(k for each in scores for k, value in each.items() if value is not None)
    return [*(key for key in METRICS if key in keys), *(key for key in keys if key not in METRICS)]


def mean(images: Mapping[str, Scores]) -> Scores:
    """Returns the mean of each score over the images that have it; None if none has.

    Infinite ones, as the PSNR of equal images is, count only if there are no others.
    """
    means: Scores = {}
    for key in dict.fromkeys(key for scores in images.values() for key in scores):
        values = [value for scores in images.values() if (value := scores.get(key)) is not None]
        values = [value for value in values if isfinite(value)] or values
        means[key] = sum(values) / len(values) if values else None
    return means


def as_text(evaluation: Evaluation) -> str:
    """Returns the tables for a terminal."""
    tables = [f"{each.caption}\n{each.plain()}".lstrip() for each in evaluation.tables(brief=True)]
    return "\n\n".join([evaluation.heading, *evaluation.notes, *tables])


def as_markdown(evaluation: Evaluation) -> str:
    """Returns the tables under a heading."""
    parts = [f"# {evaluation.heading}", *evaluation.notes]
    for each in evaluation.tables():
        parts += [each.caption, each.markdown()] if each.caption else [each.markdown()]
    return "\n\n".join(parts) + "\n"


def as_csv(evaluation: Evaluation) -> str:
    """Returns a row for each image and model, then the means, with six significant digits."""
    rows = {**evaluation.images(), **{("mean", k): s for k, s in evaluation.means().items()}}
    keys = measured(rows.values())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "model", *keys])
    for names, scores in rows.items():
        values = [scores.get(key) for key in keys]
        writer.writerow([*names, *("" if value is None else f"{value:.6g}" for value in values)])
    return text.getvalue()


def as_json(evaluation: Evaluation) -> str:
    """Returns everything; numbers that are not finite (PSNR of equal images) are null.

    ``model`` and ``mean`` are of the first model, ``bicubic`` is the mean of bicubic.
    """
    means = {name: mean(images) for name, images in evaluation.models.items()}
    differences = evaluation.differences()
    first = next(iter(means))
    content = {
        "model": first,
        "benchmark": evaluation.benchmark,
        "scale": evaluation.scale,
        "convention": evaluation.convention,
        "mean": means[first],
        "bicubic": means["bicubic"],
        "models": {
            name: {
                "mean": scores,
                "difference_from_first": {
                    key: asdict(each) for key, each in differences.get(name, {}).items()
                },
            }
            for name, scores in means.items()
        },
        "images": [
            {"name": name, "model": model, **scores}
            for (name, model), scores in evaluation.images().items()
        ],
    }
    return json.dumps(_finite(content), indent=2) + "\n"


def write(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes ``<benchmark>.{csv,json,md}`` into ``folder``, replacing earlier files."""
    kinds = {".csv": as_csv, ".json": as_json, ".md": as_markdown}
    paths = [folder / shortened(evaluation.benchmark, suffix) for suffix in kinds]
    for path, kind in zip(paths, kinds.values()):
        with atomic_write(path, "wb") as file:
            file.write(kind(evaluation).encode(errors=UNDECODABLE))
    return paths


def table(
    rows: Mapping[str, Scores], title: str, caption: str = "", keys: Sequence[str] = ()
) -> Table:
    """Returns scores as a table with the usual decimals.

    Args:
        rows: the scores, by the name of the row.
        title: the title of the names.
        caption: what the table shows.
        keys: the measures to show; by default all that some row has.
    """
    shown = {key: _title(key) for key in keys or measured(rows.values())}
    cells = [
        [name, *(number(row.get(key), f".{digits}f") for key, (_, digits) in shown.items())]
        for name, row in rows.items()
    ]
    return Table(caption, [title, *(heading for heading, _ in shown.values())], cells)


def _title(key: str) -> tuple[str, int]:
    return METRICS.get(key, (key.removeprefix("pyiqa_"), 4))


def _interval(each: Difference | None, digits: int) -> str:
    if each is None:
        return "-"
    low, high = (f"{end:+.{digits}f}" for end in (each.low, each.high))
    return f"{each.mean:+.{digits}f} [{low}, {high}]{' *' if each.is_clear else ''}"


def _finite(node: object) -> object:
    if isinstance(node, dict):
        return {key: _finite(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_finite(value) for value in node]
    return None if isinstance(node, float) and not isfinite(node) else node
