"""Photos to measure on, made in any number and size from a few."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from sr_gan.images.find import list_images
from sr_gan.machine import cores


def originals(folder: str | None) -> list[Path]:
    """The photos of a folder; without one, those that come with scikit-image."""
    if folder is not None:
        return list_images(Path(folder).expanduser(), "photos")
    names = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
    return [Path(skimage.__file__).parent / "data" / name for name in names]


def make_photos(
    originals: Sequence[Path], scratch: Path, count: int, size: tuple[int, int], level: int = 6
) -> Path:
    """``count`` different PNG files of ``size`` (width, height) in a folder of ``scratch``."""
    folder = scratch / f"photos-{count}-{size[0]}x{size[1]}"
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        jobs = [(originals[i % len(originals)], part, i, size, level) for i in range(count)]
        with ProcessPoolExecutor(cores()) as pool:
            list(pool.map(_make_photo, jobs, chunksize=8))
        part.rename(folder)
    return folder


def _make_photo(job: tuple[Path, Path, int, tuple[int, int], int]) -> None:
    """A photo enlarged or cut to size; a place of its own for each that shares an original."""
    original, folder, number, (width, height), level = job
    with Image.open(original) as image:
        picture = image.convert("RGB")
    scale = max(width / picture.width, height / picture.height, 1.0)
    if scale > 1:
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    rng = np.random.default_rng(number)
    left = int(rng.integers(picture.width - width + 1))
    top = int(rng.integers(picture.height - height + 1))
    picture = picture.crop((left, top, left + width, top + height))
    if number % 2:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture.save(folder / f"{number:05}.png", compress_level=level)
