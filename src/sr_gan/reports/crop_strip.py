"""Draws the same crop of several runs side by side."""

import io
from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw

from sr_gan.errors import UserError
from sr_gan.images.decode import Pixels
from sr_gan.reports.page import Picture
from sr_gan.runs.grid import read_grid
from sr_gan.runs.history import Run

_ACROSS = 4  # runs in a row
_GAP, _LINE = 4, 13  # pixels
_LETTER = 6  # pixels, the approximate width of one


def crop_strip(runs: Sequence[Run], names: Sequence[str]) -> Picture | None:
    """Draws HR | bicubic | each run for the first validation photo, after each run's last epoch.

    Runs without a picture, or whose crop is not that of the first run, are left out.

    Returns:
        ``None`` if fewer than two runs are left.
    """
    reference, cells = None, []
    for run, name in zip(runs, names):
        columns = _last(run)
        if columns is None:
            continue
        reference = reference or columns
        if np.array_equal(columns["HR"], reference["HR"]):
            cells.append((name, columns["SR"]))
    if reference is None or len(cells) < 2:
        return None
    beside = [(title, reference[title]) for title in ("HR", "bicubic")]
    rows = [beside + cells[i : i + _ACROSS] for i in range(0, len(cells), _ACROSS)]
    buffer = io.BytesIO()
    _draw(rows).save(buffer, "PNG")
    return Picture(
        "runs-strip", "The same crop of every run, after its last epoch", buffer.getvalue()
    )


def _last(run: Run) -> dict[str, Pixels] | None:
    """Returns the columns of the first photo in the newest grid of the last stage."""
    grids = run.samples(run.final.name) if run.final else {}
    if not grids:
        return None
    try:
        columns = read_grid(grids[max(grids)])
    except UserError:
        return None
    return {title: pixels[: pixels.shape[1]] for title, pixels in columns.items()}


def _draw(rows: list[list[tuple[str, Pixels]]]) -> Image.Image:
    """Draws pictures of one size under titles, which are broken into lines."""
    height, width = rows[0][0][1].shape[:2]
    titles = [[wrap(title, width // _LETTER) for title, _ in row] for row in rows]
    above = _LINE * max(len(lines) for row in titles for lines in row) + _GAP
    across = max(len(row) for row in rows)
    size = (across * (width + _GAP) - _GAP, len(rows) * (above + height + _GAP) - _GAP)
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for i, row in enumerate(rows):
        for j, (_, pixels) in enumerate(row):
            left, top = j * (width + _GAP), i * (above + height + _GAP)
            pen.multiline_text(
                (left + 2, top + 1), "\n".join(titles[i][j]), fill="black", spacing=2
            )
            image.paste(Image.fromarray(pixels), (left, top + above))
    return image
