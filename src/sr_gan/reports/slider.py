"""Writes a page that shows the results of an evaluation side by side, with a slider."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr_gan.evaluation.crops import Crop
from sr_gan.evaluation.scores import UNDECODABLE, Evaluation, measured, table
from sr_gan.files import atomic_write, shortened
from sr_gan.reports.page import templates
from sr_gan.tables import Table

_SCORES = ("psnr_y", "lpips")  # beside each picture; the tables below have all
_HR = "HR"


@dataclass(frozen=True)
class Photo:
    """What the page shows of a photograph.

    Args:
        name: its name.
        crop: the part that is shown.
        files: the pictures in base64: each model's, and HR.
        scores: a row for each picture.
    """

    name: str
    crop: Crop
    files: Sequence[str]
    scores: Table


def write(evaluation: Evaluation, folder: Path) -> Path:
    """Writes ``<benchmark>.html``, which needs no other file, in place of an earlier one.

    The photographs whose results differ most come first.
    """
    crops = sorted(evaluation.crops.items(), key=lambda item: -item[1].difference)
    text = (
        templates()
        .get_template("slider.html.jinja")
        .render(
            evaluation=evaluation,
            names=[*evaluation.models, _HR],
            photos=[_photo(evaluation, name, crop) for name, crop in crops],
        )
    )
    path = folder / shortened(evaluation.benchmark, ".html")
    with atomic_write(path, "wb") as file:
        file.write(text.encode(errors=UNDECODABLE))
    return path


def _photo(evaluation: Evaluation, name: str, crop: Crop) -> Photo:
    models = evaluation.models
    taken = measured(scores for images in models.values() for scores in images.values())
    keys = [key for key in _SCORES if key in taken]
    scores = table({model: images[name] for model, images in models.items()}, "", keys=keys)
    rows = [*scores.rows, [_HR, *["-"] * len(scores.header[1:])]]
    files = [*(crop.results[model] for model in models), crop.hr]
    return Photo(name, crop, files, Table("", scores.header, rows))
