"""Writes image files from bands of rows, which libvips encodes while the next are computed."""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_gan.images.decode import BadImage, one_line
from sr_gan.images.metadata import EXIF, IPTC, SIGNATURE, Metadata, chunk
from sr_gan.images.pixels import colour_channels, fit
from sr_gan.images.tiff import add_tags
from sr_gan.images.vips import pyvips

Rows = NDArray[Any]  # (n, W, C) uint8 or uint16

_HEADER = 33  # bytes of a PNG's signature and first chunk, which the chunks on colours follow
_ROWS = 64  # that are handed over at once
_MOST_EXIF = 65_527  # bytes of EXIF in a JPEG
_EXIF_PREFIX = b"Exif\0\0"
_OWN_EXIF = ("PNG", "JPEG", "TIFF")  # in which we write it
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


_TIFF = Format(
    "TIFF", True, 16, 2**31 - 1, {"compression": "deflate", "predictor": "horizontal", "level": 4}
)
_JPEG = Format("JPEG", False, 8, 65_500, {"subsample_mode": "off"})
FORMATS = {
    # Level 6 with the best filter for each row took half as long again on 16 photographs, and
    # made files 4 % smaller.
    ".png": Format("PNG", True, 16, 2**31 - 1, {"compression": 4, "filter": "up"}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Format("WEBP", True, 8, 16_383),
    ".avif": Format("AVIF", True, 16, 16_384, {"compression": "av1"}),
    ".bmp": Format("BMP", False, 8, 2**15 - 1),
}
_LOSSY = ("JPEG", "WEBP", "AVIF")


def write_picture(
    file: IO[bytes], suffix: str, layout: Layout, bands: Iterable[Rows], quality: int = 95
) -> list[str]:
    """Writes a picture in the format of ``suffix``.

    If the format does not support 16 bits or alpha, the rows are rounded to 8 bits or composited
    over white.

    Args:
        file: the target, open for reading and writing bytes.
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
    fitted = replace(layout, channels=channels, bits=min(layout.bits, kind.bits))
    rows = (fit(band, kind.alpha, kind.bits) for band in bands)
    if kind.name == "BMP":  # which libvips cannot write
        pixels = np.concatenate(list(rows))
        across, down = layout.metadata.resolution or (72 / 25.4, 72 / 25.4)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        image.save(file, "BMP", dpi=(across * 25.4, down * 25.4))
        return []
    return _encode(file, suffix, fitted, rows, quality)


def _encode(
    file: IO[bytes], suffix: str, layout: Layout, bands: Iterable[Rows], quality: int
) -> list[str]:
    """Encodes rows with libvips while they are computed."""
    kind = FORMATS[suffix]
    options = kind.options | ({"Q": quality} if kind.name in _LOSSY else {})
    given = layout.metadata
    if kind.name in _OWN_EXIF or not (EXIF in given.blocks or given.resolution):
        options["keep"] = "icc|xmp|iptc"  # or libvips would write EXIF, with facts that it invents
    metadata, notes = _fitting(layout, suffix, options)
    if kind.name == "TIFF":
        size = layout.width * layout.height * layout.channels * layout.bits // 8
        options = options | {"bigtiff": size > _LARGE}
    target = _Target(file, kind.name, metadata)
    reading, writing = os.pipe()

    def encode() -> None:
        with open(reading, "rb") as rows:  # noqa: PTH123  a descriptor
            source = pyvips.SourceCustom()
            source.on_read(rows.read)
            image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error")
            _known(metadata, kind.name).put_on(image).write_to_target(target, suffix, **options)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(encode)  # which ends if this thread fails, as the pipe is closed then
        try:
            with open(writing, "wb") as pipe:  # noqa: PTH123
                for part in _as_png(bands, layout):
                    pipe.write(part)
        except BrokenPipeError:
            pass  # the encoder has failed, and says why
        encoding = done.exception()  # which waits for the encoder
        if error := target.error or encoding:  # libvips says less of the target's, or nothing
            raise error
    if kind.name == "TIFF" and not add_tags(file, metadata):
        notes.append("its EXIF and IPTC data are left out, because it is a BigTIFF")
    return notes


def _as_png(bands: Iterable[Rows], layout: Layout) -> Iterator[bytes]:
    """Yields a PNG that is not compressed, in which form libvips takes rows one after the other."""
    kinds = {1: 0, 2: 4, 3: 2, 4: 6}  # grey, grey and alpha, RGB, RGB and alpha
    size = struct.pack(">II", layout.width, layout.height)
    header = size + bytes([layout.bits, kinds[layout.channels], 0, 0, 0])
    stored = zlib.compressobj(0)
    yield SIGNATURE + chunk(b"IHDR", header)
    for band in bands:
        for top in range(0, len(band), _ROWS):
            part = band[top : top + _ROWS]
            flat = (part.astype(">u2") if layout.bits == 16 else part).reshape(len(part), -1)
            lines = np.pad(np.ascontiguousarray(flat).view(np.uint8), ((0, 0), (1, 0)))
            yield chunk(b"IDAT", stored.compress(lines.data))
    yield chunk(b"IDAT", stored.flush()) + chunk(b"IEND", b"")


class _Target(pyvips.TargetCustom):
    """A file into which libvips writes, whatever its name.

    The first bytes of a PNG or JPEG are edited: libvips takes EXIF apart and loses what it does not
    know, drops some chunks, and states a resolution where none is known.
    """

    def __init__(self, file: IO[bytes], kind: str, metadata: Metadata) -> None:
        super().__init__()
        self.file, self.metadata = file, metadata
        self.edit = {"PNG": _edit_png, "JPEG": _edit_jpeg}.get(kind)
        self.error: BaseException | None = None
        self.on_write(lambda data: self._try(self._write, data))
        self.on_read(file.read)
        self.on_seek(lambda *place: self._try(file.seek, *place))

    def _try(self, act: Callable[..., int], *arguments: Any) -> int:
        try:
            return act(*arguments)
        except BaseException as error:  # it cannot pass through libvips
            self.error = error
            return -1

    def _write(self, data: Any) -> int:
        if self.edit:
            self.file.write(self.edit(bytes(data), self.metadata))
            self.edit = None
        else:
            self.file.write(data)
        return len(data)


def _edit_png(start: bytes, metadata: Metadata) -> bytes:
    exif = metadata.blocks.get(EXIF, b"").removeprefix(_EXIF_PREFIX)
    at = start.find(b"pHYs", _HEADER) - 4
    if metadata.resolution is None and at > 0:
        start = start[:at] + start[at + 21 :]
    ours = metadata.chunks + (chunk(b"eXIf", exif) if exif else b"")
    return start[:_HEADER] + ours + start[_HEADER:]


def _edit_jpeg(start: bytes, metadata: Metadata) -> bytes:
    """Puts the segments JFIF and EXIF to the front. Source: JFIF 1.02; EXIF 2.3, section 4.7.2."""
    across, down = (round(25.4 * side) for side in metadata.resolution or (0, 0))
    known = min(across, down) > 0 and max(across, down) < 1 << 16
    density = struct.pack(">BHH", 1, across, down) if known else struct.pack(">BHH", 0, 1, 1)
    segments = [(0xE0, b"JFIF\0\1\2" + density + bytes(2))]
    if exif := metadata.blocks.get(EXIF):
        segments.append((0xE1, exif))
    ours = b"".join(struct.pack(">BBH", 255, kind, 2 + len(data)) + data for kind, data in segments)
    rest = start[2:]
    if rest.startswith(b"\xff\xe0"):  # some versions of libvips write JFIF themselves
        rest = rest[2 + int.from_bytes(rest[2:4], "big") :]
    return start[:2] + ours + rest


def _fitting(layout: Layout, suffix: str, options: dict[str, Any]) -> tuple[Metadata, list[str]]:
    """Returns what libvips can write of the metadata, and sentences on what is left out."""
    metadata, kind, notes = layout.metadata, FORMATS[suffix].name, list[str]()
    if kind == "JPEG" and len(metadata.blocks.get(EXIF, b"")) > _MOST_EXIF:
        metadata = metadata.without(EXIF)
        notes.append(f"its EXIF data are left out: JPEG takes {_MOST_EXIF} bytes at most")
    if not metadata.blocks.get(IPTC, start := _IPTC_STARTS.get(kind, b"")).startswith(start):
        metadata = metadata.without(IPTC)
        notes.append(f"its IPTC data are left out: {kind} holds them in another form")
    if kind != "PNG" and metadata.tells_of_other_colours:
        notes.append(
            f"it may look different: {kind} cannot hold its gamma or HDR chunks, but PNG can"
        )
    try:  # on a small picture, because the rows come only once
        small = pyvips.Image.black(8, 8, bands=layout.channels)
        _known(metadata, kind).put_on(small).write_to_buffer(suffix, **options)
    except pyvips.Error as error:
        why = one_line(error)
        notes.append(f"{kind} does not take its metadata, which are left out: {why}")
        metadata = Metadata(resolution=metadata.resolution)
    return metadata, notes


def _known(metadata: Metadata, kind: str) -> Metadata:
    return metadata.without(IPTC) if kind == "TIFF" else metadata  # libvips would damage them
