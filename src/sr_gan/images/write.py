"""Writes image files from bands of rows: to a raw file first, which libvips encodes."""

import io
import os
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import UNDEFINED

from sr_gan.files import temporary
from sr_gan.images.decode import BadImage, one_line
from sr_gan.images.metadata import DIRECTORIES, EXIF, IPTC, Metadata
from sr_gan.images.pixels import colour_channels, fit
from sr_gan.images.vips import pyvips

Rows = NDArray[Any]  # (n, W, C) uint8 or uint16

_HEADER = 33  # bytes of a PNG's signature and first chunk, which the chunks on colours follow
_MOST_EXIF = 65_527  # bytes of EXIF in a JPEG
_IPTC_TAG = 33723  # TIFF
_IPTC_STARTS = {"JPEG": b"Photoshop", "TIFF": b"\x1c"}
_LARGE = 3_500_000_000  # bytes of pixels above which a TIFF needs 64-bit offsets


@dataclass(frozen=True)
class Layout:
    """What a picture's file needs to know beside the rows.

    Args:
        width, height: the size in pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: 8 or 16.
        metadata: what to write beside the pixels.
    """

    width: int
    height: int
    channels: int
    bits: int
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Format:
    """The capabilities of a file format.

    Args:
        name: the name of the format.
        alpha: whether it supports transparency.
        bits: the largest number of bits per channel, 8 or 16.
        most: the largest width and height in pixels.
        options: libvips' options for it.
    """

    name: str
    alpha: bool
    bits: int
    most: int
    options: dict[str, Any] = field(default_factory=dict)


_TIFF = Format("TIFF", True, 16, 2**31 - 1, {"compression": "deflate", "predictor": "horizontal"})
_JPEG = Format("JPEG", False, 8, 65_500, {"subsample_mode": "off"})
FORMATS = {
    # Three times as fast as the usual 6 for files 5 % larger; of photographs, every row's best
    # filter compresses no better than this one.
    ".png": Format("PNG", True, 16, 2**31 - 1, {"compression": 4, "filter": "up"}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WEBP", True, 8, 16_383),
    ".avif": Format("AVIF", True, 16, 16_384, {"compression": "av1"}),
    ".bmp": Format("BMP", False, 8, 2**15 - 1),
}
_INTERPRETATIONS = {  # by colour and depth
    (False, False): "b-w",
    (False, True): "grey16",
    (True, False): "srgb",
    (True, True): "rgb16",
}
_LOSSY = ("JPEG", "WEBP", "AVIF")


def write_picture(
    file: IO[bytes], suffix: str, layout: Layout, bands: Iterable[Rows], quality: int = 95
) -> list[str]:
    """Writes a picture in the format of ``suffix``.

    If the format does not support 16 bits or alpha, the rows are rounded to 8 bits or composited
    over white.

    Args:
        file: the target, open for reading and writing bytes. The raw file lies beside it.
        suffix: one of :data:`FORMATS`.
        layout: the layout of the rows.
        bands: rows (n, W, C) from top to bottom, ``layout.height`` in total.
        quality: the quality of JPEG, WebP and AVIF, 1 to 100.

    Returns:
        a sentence for each kind of metadata that the format cannot hold and that was left out.

    Raises:
        BadImage: the picture is too large for the format; the reason names formats that fit.
        OSError: the disk is full.
    """
    kind = FORMATS[suffix]
    if max(layout.width, layout.height) > kind.most:
        raise BadImage(
            f"the result of {layout.width}x{layout.height} pixels is too large for {kind.name}, "
            f"which takes {kind.most} a side: use format=png or format=tiff",
            lasting=False,
        )
    channels = layout.channels if kind.alpha else colour_channels(layout.channels)
    deep = min(layout.bits, kind.bits) == 16
    with temporary(Path(f"{file.name}.raw")) as raw:
        with raw.open("wb") as rows:
            for band in bands:
                rows.write(np.ascontiguousarray(fit(band, kind.alpha, kind.bits)).data)
        if kind.name == "BMP":
            shape = layout.height, layout.width, channels
            return _write_bmp(file, np.memmap(raw, np.uint8, "r", shape=shape), layout.metadata)
        return _encode(file, suffix, _mapped(raw, layout, channels, deep), layout.metadata, quality)


def _mapped(raw: Path, layout: Layout, channels: int, deep: bool) -> pyvips.Image:
    return pyvips.Image.rawload(
        os.fsencode(raw),
        layout.width,
        layout.height,
        channels,
        format="ushort" if deep else "uchar",
        interpretation=_INTERPRETATIONS[channels > 2, deep],
        access="sequential",
    )


def _encode(
    file: IO[bytes], suffix: str, image: pyvips.Image, metadata: Metadata, quality: int
) -> list[str]:
    kind = FORMATS[suffix]
    options = kind.options | ({"Q": quality} if kind.name in _LOSSY else {})
    metadata, notes = _fitting(metadata, kind)
    chunks = metadata.chunks if kind.name == "PNG" else b""
    if kind.name == "TIFF":
        size = image.width * image.height * image.bands * (1 if image.format == "uchar" else 2)
        options["bigtiff"] = size > _LARGE
    try:
        known = metadata.without(IPTC) if kind.name == "TIFF" else metadata
        _Target(file, chunks).take(known.put_on(image), suffix, options)
    except pyvips.Error as error:  # pixels that can be written must not fail for the rest
        bare = Metadata(resolution=metadata.resolution)
        _Target(file, b"").take(bare.put_on(image), suffix, options)
        notes.append(
            f"{kind.name} does not take its metadata, which are left out: {one_line(error)}"
        )
    else:
        if kind.name == "TIFF" and not _add_tags(file, metadata):
            notes.append("its EXIF and IPTC data are left out, because it is a BigTIFF")
    return notes


class _Target(pyvips.TargetCustom):
    """A file into which libvips writes, whatever its name; chunks go into the head of a PNG."""

    def __init__(self, file: IO[bytes], chunks: bytes) -> None:
        super().__init__()
        self.file, self.chunks = file, chunks
        self.error: BaseException | None = None
        file.seek(0)
        file.truncate()
        self.on_write(self._write)
        self.on_read(file.read)
        self.on_seek(file.seek)

    def take(self, image: pyvips.Image, suffix: str, options: dict[str, Any]) -> None:
        """Encodes the image in a thread, so that signals are noticed."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(image.write_to_target, self, suffix, **options)
            try:
                done.result()
            except BaseException as error:
                self.error = self.error or error
                image.set_kill(True)
        if self.error:
            raise self.error

    def _write(self, data: Any) -> int:
        try:
            if self.error:  # nobody waits for it any more
                return -1
            start = _HEADER if self.chunks else 0
            self.file.write(data[:start] + self.chunks)
            self.file.write(data[start:])
            self.chunks = b""
        except BaseException as error:  # it cannot pass through libvips
            self.error = error
            return -1
        return len(data)


def _fitting(metadata: Metadata, kind: Format) -> tuple[Metadata, list[str]]:
    """Removes what the format cannot hold; returns the rest, and sentences on what is missing."""
    notes = []
    if kind.name == "JPEG" and len(metadata.blocks.get(EXIF, b"")) > _MOST_EXIF:
        metadata = metadata.without(EXIF)
        notes.append(f"its EXIF data are left out: JPEG takes {_MOST_EXIF} bytes at most")
    start = _IPTC_STARTS.get(kind.name, b"")
    if IPTC in metadata.blocks and not metadata.blocks[IPTC].startswith(start):
        metadata = metadata.without(IPTC)
        notes.append(f"its IPTC data are left out: {kind.name} holds them in another form")
    if kind.name != "PNG" and metadata.tells_of_other_colours:
        notes.append(
            f"it may look different: {kind.name} cannot hold its gamma or HDR chunks, but PNG can"
        )
    return metadata, notes


def _write_bmp(file: IO[bytes], pixels: Rows, metadata: Metadata) -> list[str]:
    """Writes BMP with Pillow, because libvips cannot."""
    across, down = metadata.resolution or (72 / 25.4, 72 / 25.4)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, "BMP", dpi=(across * 25.4, down * 25.4))
    return []


def _add_tags(file: IO[bytes], metadata: Metadata) -> bool:
    """Adds EXIF and IPTC to a TIFF. libvips does not write the one, and damages the other.

    They are written behind the pixels, followed by a new directory of all tags.

    Returns:
        False for a BigTIFF, or where the processor has another byte order.
    """
    tags, extra = Image.Exif(), ImageFileDirectory_v2(prefix=b"II")
    tags.load(metadata.blocks.get(EXIF, b""))
    for tag, value in tags.items():
        extra[tag] = dict(tags.get_ifd(tag)) if tag in DIRECTORIES else value
    if IPTC in metadata.blocks:
        extra.tagtype[_IPTC_TAG] = UNDEFINED
        extra[_IPTC_TAG] = metadata.blocks[IPTC]
    if not len(extra):
        return True
    file.seek(0)
    magic, start = struct.unpack("<4sI", file.read(8))
    if magic != b"II*\0":
        return False
    entries = _entries(file, start)
    at = file.seek(0, io.SEEK_END)
    at += file.write(b"\0" * (at % 2))  # TIFF requires even offsets
    file.write(extra.tobytes(at))
    entries |= _entries(file, at)
    at = file.seek(0, io.SEEK_END)
    at += file.write(b"\0" * (at % 2))
    in_order = b"".join(entries[tag] for tag in sorted(entries))
    file.write(struct.pack("<H", len(entries)) + in_order + bytes(4))
    file.seek(4)
    file.write(struct.pack("<I", at))
    return True


def _entries(file: IO[bytes], at: int) -> dict[int, bytes]:
    """Returns the entries of a TIFF's directory by their tags."""
    file.seek(at)
    entries = [file.read(12) for _ in range(*struct.unpack("<H", file.read(2)))]
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}
