"""Photographs decoded into memory, with their exact reductions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from sr_gan.data.resize import downscale
from sr_gan.data.sources import Source
from sr_gan.errors import UserError

Pixels = NDArray[np.uint8]
_SHOWN = 10


@dataclass(frozen=True)
class Photo:
    """A photograph and its reduction: uint8 (scale * h, scale * w, 3) and (h, w, 3)."""

    name: str
    hr: Pixels
    lr: Pixels


def load_photos(sources: Sequence[Source], scale: int, least: int) -> list[Photo]:
    """Decodes every photo, once, and reduces the whole of it.

    Photos are cut to a multiple of ``scale`` at the right and the bottom.

    Args:
        sources: the files.
        scale: factor between HR and LR.
        least: smallest side, in HR pixels, that is of use.

    Raises:
        UserError: files that cannot be read, are smaller than ``least`` or do not fit their LR
            file, all named in one message; or the photos do not fit into free memory.
    """
    problems: list[str] = []
    pixels = sum(_pixels(source, least, problems) for source in sources)
    _report(problems)
    _check_memory(len(sources), 3 * pixels * (1 + 1 / scale**2))

    def load(source: Source) -> Photo | None:
        try:
            return _load(source, scale)
        except _ImageError as error:
            problems.append(str(error))
            return None

    with ThreadPoolExecutor() as pool:
        loaded = pool.map(load, sources)
        quiet = len(sources) < 20
        photos = list(tqdm(loaded, "reading photos", len(sources), disable=quiet, leave=False))
    _report(problems)
    return [photo for photo in photos if photo is not None]


class _ImageError(Exception):
    """A file and what is wrong with it."""


def _pixels(source: Source, least: int, problems: list[str]) -> int:
    """Pixels of a photo, from its header alone."""
    try:
        with Image.open(source.hr) as image:
            width, height = image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        problems.append(f"{source.hr}: {_reason(error)}")
        return 0
    if min(width, height) < least:
        problems.append(f"{source.hr}: {width}x{height} pixels, smaller than {least}x{least}")
    return int(width * height)


def _load(source: Source, scale: int) -> Photo:
    hr = _decode(source.hr)
    height, width = (side // scale * scale for side in hr.shape[:2])
    hr = np.ascontiguousarray(hr[:height, :width])
    if source.lr is None:
        lr = downscale(torch.from_numpy(hr).permute(2, 0, 1)[None], scale)[0]
        return Photo(source.hr.name, hr, np.ascontiguousarray(lr.permute(1, 2, 0).numpy()))
    lr_pixels = _decode(source.lr)[: height // scale, : width // scale]
    if lr_pixels.shape[:2] != (height // scale, width // scale):
        raise _ImageError(
            f"{source.lr}: {lr_pixels.shape[1]}x{lr_pixels.shape[0]} pixels, but a x{scale} "
            f"reduction of {source.hr.name} has {width // scale}x{height // scale}"
        )
    return Photo(source.hr.name, hr, np.ascontiguousarray(lr_pixels))


def _decode(path: Path) -> Pixels:
    """An image file as RGB, EXIF rotation applied: (H, W, 3)."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16-bit grey: Pillow would clip it
                grey = (np.asarray(upright, dtype=np.float64) / 257).round().clip(0, 255)
                return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _ImageError(f"{path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    text = str(error)
    return "not an image" if text.startswith("cannot identify image file") else text


def _report(problems: list[str]) -> None:
    if not problems:
        return
    shown = sorted(problems)[:_SHOWN]
    rest = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    count = f"{len(problems)} images" if len(problems) > 1 else "1 image"
    raise UserError(f"{count} cannot be used; remove or replace:\n  " + "\n  ".join(shown) + rest)


def _check_memory(count: int, wanted: float) -> None:
    free = psutil.virtual_memory().available
    if wanted > free:
        raise UserError(
            f"{count} photos need {wanted / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are "
            "free: use fewer photos (data.train_dir), or a machine with more memory"
        )
