"""Plans which files to enlarge and where the results go, and enlarges one after the other."""

import errno
import logging
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from sr_gan.errors import UserError
from sr_gan.files import atomic_write, bar_interval, printable, real, user_path
from sr_gan.images.decode import BadImage, Picture, count_pixels, read_picture
from sr_gan.images.find import list_images, matches
from sr_gan.images.write import FORMATS, Layout, write_picture
from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Size

log = logging.getLogger(__name__)

T = TypeVar("T")

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail as well


@dataclass(frozen=True)
class Job:
    """An image file, and the file to which its enlargement is written."""

    source: Path
    target: Path


def plan(inputs: list[str], output: str, suffix: str | None = None) -> list[Job]:
    """Returns a job for every image that ``inputs`` name.

    Args:
        inputs: files, folders (searched recursively) and glob patterns.
        output: a folder, in which the structure of input folders is kept; or, for a single input
            file, the file to write if it ends in one of :data:`FORMATS`.
        suffix: the extension of the results; None keeps each file's own, or takes ``.png`` if
            files of that kind cannot be written.

    Raises:
        UserError: there is nothing to do, a result would overwrite its own source, or the file
            to write has another extension than ``suffix``.
    """
    place = user_path(output)
    found = [pair for entry in inputs for pair in _images(entry, place)]
    single = len(found) == 1 and len(inputs) == 1 and not user_path(inputs[0]).is_dir()
    if single and place.suffix.lower() in FORMATS and not place.is_dir():
        if suffix and _kind(place.suffix) != _kind(suffix):
            raise UserError(f"format={suffix[1:]} and output={output} contradict: give one of them")
        jobs = [Job(found[0][0], place)]
    else:
        jobs = _into_folder(dict.fromkeys(found), place, suffix)
    if not jobs:
        raise UserError(
            f"all that input={inputs[0]} names lies in output={output}: give another folder"
        )
    for job in jobs:
        if job.target.exists() and job.source.exists() and job.target.samefile(job.source):
            raise UserError(
                f"output={output} would overwrite {job.source} with its own enlargement: "
                "give another folder"
            )
    return jobs


def _images(entry: str, output: Path) -> list[tuple[Path, Path]]:
    """Returns the files that an input names, each with its path below the output folder."""
    found = matches(entry, "input")
    folder = found[0]
    if not folder.is_dir():
        return [(image, Path(image.name)) for image in found]
    images = list_images(folder, "input")
    inside = real(output)
    if inside != real(folder):  # results of an earlier run are not enlarged again
        images = [image for image in images if not real(image).is_relative_to(inside)]
    return [(image, image.relative_to(folder)) for image in images]


def _into_folder(
    found: dict[tuple[Path, Path], None], folder: Path, suffix: str | None
) -> list[Job]:
    targets = {pair: _renamed(pair[1], suffix) for pair in found}
    times = Counter(targets.values())
    return [
        Job(source, folder / (target if times[target] == 1 else _told_apart(name, target)))
        for (source, name), target in targets.items()
    ]


def _kind(suffix: str) -> str:
    return suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif")


def _renamed(name: Path, suffix: str | None) -> Path:
    kept = name.suffix if name.suffix.lower() in FORMATS else ".png"
    return name.with_suffix(suffix or kept)


def _told_apart(name: Path, target: Path) -> Path:
    """Tells results of one name apart: ``a.png`` becomes ``a_jpg.png`` or ``a_gif.png``."""
    return target.with_name(f"{name.stem}_{name.suffix[1:].lower()}{target.suffix}")


def run(
    jobs: Sequence[Job], upscaler: Upscaler, size: Size, quality: int, max_megapixels: float
) -> list[str]:
    """Enlarges the files of all jobs, with a progress bar over their pixels.

    While one picture is enlarged, the next one is read.

    Args:
        jobs: the files to enlarge.
        upscaler: enlarges the pixels.
        size: the size of the results.
        quality: the quality of JPEG and WebP, 1 to 100.
        max_megapixels: larger files are refused.

    Returns:
        One line for each file that could not be enlarged.

    Raises:
        UserError: the disk is full or read-only, so that the next file would fail as well.
    """
    failed: list[str] = []
    pixels = [count_pixels(job.source) * upscaler.scale**2 for job in jobs]
    total = {"total": sum(pixels), "unit": "px", "unit_scale": True}
    with tqdm(desc="upscale", mininterval=bar_interval(), **total) as bar:
        pictures = _ahead(_read(job, max_megapixels) for job in jobs)
        for number, (job, made, picture) in enumerate(zip(jobs, pixels, pictures)):
            try:
                _enlarge(job, picture, upscaler, size, quality, bar.update)
            except (BadImage, OSError) as error:
                if isinstance(error, OSError) and error.errno in _HOPELESS:
                    done = number - len(failed)
                    raise UserError(f"{job.target}: {error.strerror}; {done} done") from error
                failed.append(f"{printable(job.source)}: {_reason(error)}")
                if len(jobs) > 1:
                    bar.write(f"failed  {failed[-1]}", file=sys.stderr)
                bar.total -= made
    return failed


def _enlarge(
    job: Job,
    picture: Picture | Exception,
    upscaler: Upscaler,
    size: Size,
    quality: int,
    progress: Callable[[int], None],
) -> None:
    if isinstance(picture, Exception):
        raise picture
    try:
        height, width = size.of(picture.pixels.shape, upscaler.scale)
    except ValueError as error:
        raise BadImage(str(error), lasting=False) from error
    channels, bits = picture.pixels.shape[2], 8 * picture.pixels.dtype.itemsize
    layout = Layout(width, height, channels, bits, picture.metadata)
    given_up = False

    def tile_done(pixels: int) -> None:
        if given_up:  # the thread that enlarges need not finish its band
            raise CancelledError
        progress(pixels)

    with (
        atomic_write(job.target, "w+b") as file,
        closing(_ahead(upscaler.bands(picture.pixels, tile_done, size))) as bands,
    ):
        try:
            notes = write_picture(file, job.target.suffix.lower(), layout, bands, quality)
        except BaseException:
            given_up = True
            raise
    for note in notes:
        log.warning("%s: %s", printable(job.target), note)


def _read(job: Job, max_megapixels: float) -> Picture | Exception:
    try:
        return read_picture(job.source, max_megapixels)
    except (BadImage, OSError) as error:
        return error


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yields the same items, each made in a thread while the previous one is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def _reason(error: BadImage | OSError) -> str:
    if isinstance(error, OSError) and error.filename:  # it is the result's, as the source was read
        return f"{error.filename}: {error.strerror}"
    return str(error)
