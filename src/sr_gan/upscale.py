"""``python -m sr_gan.upscale``: enlarges image files with a trained generator."""

import errno
import logging
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import perf_counter
from typing import Any, TypeVar

from omegaconf import DictConfig
from tqdm import tqdm

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, bar_interval
from sr_gan.images.decode import BadImage, count_pixels
from sr_gan.images.picture import Picture, read_picture
from sr_gan.images.writers import FORMATS, Layout, write_picture
from sr_gan.inference import Options, Upscaler
from sr_gan.inference.jobs import Job, plan
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.inference.sizes import Size
from sr_gan.machine import keep_freed_memory
from sr_gan.settings.check import check
from sr_gan.settings.schema import UpscaleConfig

log = logging.getLogger(__name__)
T = TypeVar("T")

# settings whose values are taken as they are
PATHS = ("input", "output", "model")

_HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # the next file would fail as well


def upscale(cfg: DictConfig) -> None:
    """Enlarges every image that ``cfg.input`` names; goes on after one that cannot be read.

    Raises:
        UserError: a setting is not usable, the disk is full, or a file could not be enlarged.
    """
    settings = check(cfg, UpscaleConfig)
    inputs = settings["input"] if isinstance(settings["input"], list) else [settings["input"]]
    jobs = plan(inputs, settings["output"], _suffix(settings["format"]))
    keep_freed_memory()
    upscaler = _upscaler(settings)
    size = _size(settings, upscaler.scale)
    log.info("model   %s", upscaler.model.describe())
    due = [job for job in jobs if settings["overwrite"] or not job.target.exists()]
    if len(due) < len(jobs):
        log.info("exist   %d of %d, left alone (overwrite=true)", len(jobs) - len(due), len(jobs))

    began, failed, done = perf_counter(), [], 0
    pixels = [count_pixels(job.source) * upscaler.scale**2 for job in due]
    with _bar(sum(pixels)) as bar:
        pictures = _ahead(_read(job, settings) for job in due)
        for job, made, picture in zip(due, pixels, pictures):
            try:
                done += _enlarge(job, picture, upscaler, size, settings["quality"], bar)
            except (BadImage, OSError) as error:
                if isinstance(error, OSError) and error.errno in _HOPELESS:
                    raise UserError(f"{job.target}: {error.strerror}; {done} done") from error
                failed.append(f"{job.source}: {_reason(error)}")
                bar.write(f"failed  {failed[-1]}")
                bar.total -= made
    if done:
        log.info("done    %d images in %.1f s, in %s", done, perf_counter() - began, cfg.output)
    if failed:
        raise UserError(f"{len(failed)} of {len(due)} images failed: {'; '.join(failed)}")


def _enlarge(
    job: Job,
    picture: Picture | Exception,
    upscaler: Upscaler,
    size: Size,
    quality: int,
    bar: "tqdm[None]",
) -> int:
    if isinstance(picture, Exception):
        raise picture
    try:
        height, width = size.of(picture.pixels.shape, upscaler.scale)
    except ValueError as error:
        raise BadImage(str(error), lasting=False) from error
    with (
        atomic_write(job.target, "w+b") as file,
        closing(_ahead(upscaler.bands(picture.pixels, bar.update, size))) as bands,
    ):
        layout = _layout(picture, height, width)
        write_picture(file, job.target.suffix.lower(), layout, bands, quality)
    return 1


def _read(job: Job, settings: dict[str, Any]) -> Picture | Exception:
    try:
        return read_picture(job.source, settings["max_megapixels"])
    except (BadImage, OSError) as error:
        return error


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each made in a thread while the one before is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def _reason(error: BadImage | OSError) -> str:
    if isinstance(error, OSError) and error.filename:  # of the result: the source was read
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _layout(picture: Picture, height: int, width: int) -> Layout:
    channels, bits = picture.pixels.shape[2], 8 * picture.pixels.dtype.itemsize
    return Layout(width, height, channels, bits, picture.icc_profile, picture.exif)


def _upscaler(settings: dict[str, Any]) -> Upscaler:
    names = Options.__dataclass_fields__
    try:
        options = Options(**{name: settings[name] for name in names})
        return Upscaler(load_pretrained(settings["model"], settings["scale"] or 4), options)
    except ValueError as error:
        raise UserError(str(error)) from error


def _size(settings: dict[str, Any], scale: int) -> Size:
    """What the settings say of the results' size; ``scale`` is the network's factor."""
    sizes = {name: settings[name] for name in Size.__dataclass_fields__}
    asked = settings["scale"]
    try:
        if asked in (None, scale):
            return Size(**sizes)
        if any(sizes.values()):
            raise ValueError(f"scale={asked} and {Size(**sizes)}: give one of them")
        if asked > scale:
            raise ValueError(f"scale={asked}: this model enlarges by {scale} at most")
        return Size(outscale=asked)
    except ValueError as error:
        raise UserError(str(error)) from error


def _suffix(name: str | None) -> str | None:
    if name is None:
        return None
    suffix = f".{name.lower().lstrip('.')}"
    if suffix not in FORMATS:
        allowed = ", ".join(kind[1:] for kind in FORMATS)
        raise UserError(f"format={name}: allowed are {allowed}, or null: that of each file")
    return suffix


def _bar(pixels: int) -> "tqdm[None]":
    return tqdm(
        total=pixels, unit="px", unit_scale=True, desc="upscale", mininterval=bar_interval()
    )


if __name__ == "__main__":
    command(upscale, "upscale", verbatim=PATHS)
