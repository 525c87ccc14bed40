"""Enlarges image files, one after the other."""

import errno
import logging
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from tqdm import tqdm

from sr_gan.errors import UserError
from sr_gan.files import atomic_write, bar_interval, printable
from sr_gan.images.decode import BadImage, Picture, count_pixels, read_picture
from sr_gan.images.write import Layout, write_picture
from sr_gan.inference.plan import Job
from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Size

log = logging.getLogger(__name__)

T = TypeVar("T")

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail as well


def run(
    jobs: Sequence[Job], upscaler: Upscaler, size: Size, quality: int, max_megapixels: float
) -> list[str]:
    """Enlarges the files of all jobs, with a progress bar over their pixels.

    While one picture is enlarged, the next one is read. Pictures of more than ``max_megapixels``
    are refused. ``quality``, 1 to 100, is that of JPEG, WebP and AVIF.

    Returns:
        One line for each file that could not be enlarged.

    Raises:
        UserError: the disk is full or read-only, or not even the smallest tile fits into memory,
            so that the next file would fail as well.
    """
    failed: list[str] = []
    counts = (count_pixels(job.source) for job in jobs)
    pixels = [count * upscaler.scale**2 * (count <= max_megapixels * 1e6) for count in counts]
    total = {"total": sum(pixels), "unit": "px", "unit_scale": True}
    with tqdm(desc="upscale", mininterval=bar_interval(), **total) as bar:
        pictures = _ahead(_read(job, max_megapixels) for job in jobs)
        for number, (job, made, picture) in enumerate(zip(jobs, pixels, pictures)):
            try:
                _enlarge(job, picture, upscaler, size, quality, bar.update)
            except UserError:
                raise
            except Exception as error:  # whatever it is, the other files may be good
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
        with tqdm.external_write_mode():
            log.warning("%s: %s", printable(job.target), note)


def _read(job: Job, max_megapixels: float) -> Picture | Exception:
    try:
        return read_picture(job.source, max_megapixels)
    except Exception as error:
        return error


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yields the same items, each made in a thread while the previous one is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:  # it is the result's, as the source was read
        return f"{error.filename}: {error.strerror}"
    return str(error) if isinstance(error, BadImage) else f"{type(error).__name__}: {error}"
