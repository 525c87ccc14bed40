"""Makes photographs to measure on, in any number and size, from a few."""

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sr_gan.errors import UserError
from sr_gan.files import printable, user_path
from sr_gan.images.bundled import PHOTOS, bundled
from sr_gan.images.decode import BadImage, decode
from sr_gan.images.find import list_images
from sr_gan.machine import cores

log = logging.getLogger(__name__)


def make_photos(
    folder: Path,
    count: int,
    size: tuple[int, int] = (2040, 1356),  # of most of DIV2K
    originals: str | None = None,
    level: int = 6,
) -> None:
    """Makes different PNG files of one size.

    Args:
        folder: the folder to make.
        count: the number of files.
        size: width and height in pixels.
        originals: a folder of photographs to make them of; otherwise they are scikit-image's.
        level: the effort of the compression, 0 to 9.

    Raises:
        UserError: there are no originals, or one of them cannot be read.
    """
    sources = [bundled(name) for name in PHOTOS]
    if originals is not None:
        sources = list_images(user_path(originals), "photos")
    log.info("making %d PNG files of %dx%d pixels", count, *size)
    folder.mkdir(parents=True, exist_ok=True)
    make = partial(_make_photo, folder, size, level)
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(make, range(count), cycle(sources)))


def _make_photo(
    folder: Path, size: tuple[int, int], level: int, number: int, original: Path
) -> None:
    """Resizes an original so that it covers the size, and cuts a random part of that size."""
    across, down = np.random.default_rng(number).random(2)
    try:
        picture = Image.fromarray(decode(original).transpose(1, 2, 0))
    except BadImage as error:
        raise UserError(f"{printable(original)}: {error}") from error
    picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS, centering=(across, down))
    if number % 2:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture.save(folder / f"{number:05}.png", compress_level=level)
