"""Writes image files from bands of rows: PNG, TIFF and JPEG band by band, WebP and BMP whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_gan.images import jpeg_writer, tiff_writer
from sr_gan.images.decode import BadImage
from sr_gan.images.png_writer import PngStream

Rows = NDArray[Any]  # (n, W, C) uint8 or uint16


@dataclass(frozen=True)
class Layout:
    """The properties of a picture that its file needs before the first row.

    Args:
        width, height: the size in pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: 8 or 16.
        icc_profile, exif: the blocks to embed.
    """

    width: int
    height: int
    channels: int
    bits: int
    icc_profile: bytes | None = None
    exif: bytes | None = None


@dataclass(frozen=True)
class Format:
    """The capabilities of a file format.

    Args:
        name: Pillow's name of the format.
        alpha: whether it supports transparency.
        bits: the largest number of bits per channel, 8 or 16.
        most: the largest width and height in pixels.
    """

    name: str
    alpha: bool
    bits: int
    most: int


FORMATS = {
    ".png": Format("PNG", alpha=True, bits=16, most=2**31 - 1),
    ".tif": Format("TIFF", alpha=True, bits=16, most=2**31 - 1),
    ".tiff": Format("TIFF", alpha=True, bits=16, most=2**31 - 1),
    ".jpg": Format("JPEG", alpha=False, bits=8, most=65_500),
    ".jpeg": Format("JPEG", alpha=False, bits=8, most=65_500),
    ".webp": Format("WEBP", alpha=True, bits=8, most=16_383),
    ".bmp": Format("BMP", alpha=False, bits=8, most=2**15 - 1),
}


def write_picture(
    file: IO[bytes], suffix: str, layout: Layout, bands: Iterable[Rows], quality: int = 95
) -> None:
    """Writes a picture in the format of ``suffix``.

    If the format does not support 16 bits or alpha, the rows are rounded to 8 bits or composited
    over white.

    Args:
        file: the target, open for reading and writing bytes.
        suffix: one of :data:`FORMATS`.
        layout: the layout of the rows.
        bands: rows (n, W, C) from top to bottom, ``layout.height`` in total.
        quality: the quality of JPEG and WebP, 1 to 100.

    Raises:
        BadImage: the picture is too large for the format; the reason names formats that fit.
    """
    kind = FORMATS[suffix]
    if max(layout.width, layout.height) > kind.most:
        reason = (
            f"the result of {layout.width}x{layout.height} pixels is too large for {kind.name}, "
            f"which takes {kind.most} a side: use format=png or format=tiff"
        )
        raise BadImage(reason, lasting=False)
    fitting = fit(layout, kind)
    bands = (convert(band, fitting) for band in bands)
    _WRITERS[kind.name](file, fitting, bands, quality)


def fit(layout: Layout, kind: Format) -> Layout:
    """Returns ``layout`` without the alpha and the bits that the format does not support."""
    channels = layout.channels
    if not kind.alpha and channels in (2, 4):
        channels -= 1
    return replace(layout, channels=channels, bits=min(layout.bits, kind.bits))


def convert(rows: Rows, layout: Layout) -> Rows:
    """Converts rows to ``layout``: composites alpha over white and rounds 16 bits to 8."""
    limit = np.iinfo(rows.dtype).max
    if rows.shape[2] > layout.channels:
        alpha = rows[..., -1:].astype(np.float32) / limit
        rows = (rows[..., :-1] * alpha + limit * (1 - alpha)).round().astype(rows.dtype)
    if layout.bits == 8 and limit > 255:
        rows = (rows / np.float32(257)).round().astype(np.uint8)
    return rows


def _write_png(file: IO[bytes], layout: Layout, bands: Iterable[Rows], quality: int) -> None:
    png = PngStream(
        file,
        layout.width,
        layout.height,
        layout.channels,
        layout.bits,
        layout.icc_profile,
        layout.exif,
    )
    for band in bands:
        png.write(band)
    png.close()


def _write_tiff(file: IO[bytes], layout: Layout, bands: Iterable[Rows], quality: int) -> None:
    shape = (layout.height, layout.width, layout.channels)
    strips = _strips(bands, tiff_writer.STRIP)
    tiff_writer.write_tiff(file, shape, layout.bits, strips, layout.icc_profile, layout.exif)


def _write_jpeg(file: IO[bytes], layout: Layout, bands: Iterable[Rows], quality: int) -> None:
    options = {"quality": quality, "subsampling": 0, **_blocks(layout)}
    jpeg_writer.write_jpeg(file, layout.height, _strips(bands, jpeg_writer.STRIP), **options)


def _write_webp(file: IO[bytes], layout: Layout, bands: Iterable[Rows], quality: int) -> None:
    _whole(layout, bands).save(file, "WEBP", quality=quality, **_blocks(layout))


def _write_bmp(file: IO[bytes], layout: Layout, bands: Iterable[Rows], quality: int) -> None:
    _whole(layout, bands).save(file, "BMP")


_WRITERS = {
    "PNG": _write_png,
    "TIFF": _write_tiff,
    "JPEG": _write_jpeg,
    "WEBP": _write_webp,
    "BMP": _write_bmp,
}


def _blocks(layout: Layout) -> dict[str, bytes]:
    """Returns the profile and EXIF as keyword arguments of Pillow's writers."""
    blocks = {"icc_profile": layout.icc_profile, "exif": layout.exif}
    return {name: block for name, block in blocks.items() if block}


def _whole(layout: Layout, bands: Iterable[Rows]) -> Image.Image:
    """Joins the bands, for writers that need the whole picture."""
    pixels = np.empty((layout.height, layout.width, layout.channels), np.uint8)
    top = 0
    for band in bands:
        pixels[top : top + len(band)] = band
        top += len(band)
    return Image.fromarray(pixels[..., 0] if layout.channels == 1 else pixels)


def _strips(bands: Iterable[Rows], height: int) -> Iterator[Rows]:
    """Regroups the rows into strips of equal height, except for the last."""
    rest: Rows | None = None
    for band in bands:
        rows = band if rest is None else np.concatenate([rest, band])
        whole = len(rows) // height * height
        yield from (rows[top : top + height] for top in range(0, whole, height))
        rest = rows[whole:]
    if rest is not None and len(rest):
        yield rest
