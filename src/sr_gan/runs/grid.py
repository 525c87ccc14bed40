"""Draws pictures of samples as a grid with titles, and cuts such a grid up again."""

from pathlib import Path

from PIL import Image, ImageDraw

from sr_gan.errors import UserError
from sr_gan.images.decode import BadImage, Pixels, decode

COLUMNS = ("LR", "bicubic", "SR", "HR")


_GAP, _TITLE = 4, 16


def draw_grid(rows: list[list[Pixels]], titles: tuple[str, ...] = COLUMNS) -> Image.Image:
    """Draws rows of pictures, uint8 (H, W, 3), under titles; rows may differ in their sizes."""
    widths = [max(row[i].shape[1] for row in rows) for i in range(len(titles))]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    size = (sum(widths) + _GAP * (len(widths) - 1), _TITLE + sum(heights) + _GAP * (len(rows) - 1))
    grid = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(grid)
    top = _TITLE
    for row, height in zip(rows, heights):
        left = 0
        for picture, width, title in zip(row, widths, titles):
            pen.text((left + 2, 2), title, fill="black")
            grid.paste(Image.fromarray(picture), (left, top))
            left += width + _GAP
        top += height + _GAP
    return grid


def read_grid(path: Path) -> dict[str, Pixels]:
    """Returns the columns of a grid that :class:`SampleGrid` wrote, by title: uint8 (H, W, 3).

    Raises:
        UserError: the file cannot be read or is not such a picture.
    """
    try:
        pixels = decode(path).transpose(1, 2, 0)[_TITLE:]
    except BadImage as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    width, rest = divmod(pixels.shape[1] - _GAP * (len(COLUMNS) - 1), len(COLUMNS))
    if rest or width < 1 or not len(pixels):
        raise UserError(f"{path} is not a picture of the columns {', '.join(COLUMNS)}")
    starts = range(0, pixels.shape[1], width + _GAP)
    return {title: pixels[:, left : left + width] for title, left in zip(COLUMNS, starts)}
