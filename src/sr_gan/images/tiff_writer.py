"""Writes TIFF strip by strip: any size, 8 or 16 bits, with colour profile and EXIF."""

import struct
import zlib
from collections.abc import Iterable
from typing import IO, Any

import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Rows = NDArray[Any]

STRIP = 64  # rows
_LEVEL = 4  # of deflate
_LARGE = 3_500_000_000  # bytes of pixels; above, 64-bit offsets (BigTIFF) are used
_ICC = 34675
_DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS, which tifffile does not write
_ASCII, _LONG, _BYTES = 2, 4, 7


def write_tiff(
    file: IO[bytes],
    shape: tuple[int, int, int],
    bits: int,
    strips: Iterable[Rows],
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
) -> None:
    """Writes a TIFF and holds no more than one strip in memory.

    The strips are compressed here because tifffile itself compresses whole pages.

    Args:
        file: the target, open for reading and writing bytes.
        shape: (H, W, C), where C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.
        bits: 8 or 16.
        strips: rows (n, W, C) from top to bottom, :data:`STRIP` in each but the last strip.
        icc_profile: the colour profile to embed.
        exif: the EXIF block to embed; with more than 3.5 GB of pixels, only its plain texts.
    """
    height, width, channels = shape
    large = height * width * channels * bits // 8 > _LARGE
    block = Image.Exif()
    block.load(exif or b"")
    extra: list[Any] = [
        (tag, _ASCII, 0, value.encode() + b"\0", True)
        for tag, value in block.items()
        if isinstance(value, str)
    ]
    if icc_profile:
        extra.append((_ICC, _BYTES, len(icc_profile), icc_profile, True))
    directories = {} if large else {t: d for t in _DIRECTORIES if (d := block.get_ifd(t))}
    # tifffile ignores the tags of these directories. So it gets placeholders with the next lower
    # numbers, at the same place in the sorted tags, which _append replaces afterwards.
    extra += [(tag - 1, _LONG, 1, 0, True) for tag in directories]
    with tifffile.TiffWriter(file, bigtiff=large, byteorder="<") as tiff:
        tiff.write(
            (_packed(strip) for strip in strips),
            shape=shape if channels > 1 else shape[:2],
            dtype=f"uint{bits}",
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            rowsperstrip=STRIP,
            compression="zlib",
            predictor=2,
            metadata=None,
            software=False,
            extratags=extra,
        )
    for tag, directory in directories.items():
        _append(file, tag, dict(directory))


def _packed(strip: Rows) -> bytes:
    """Subtracts from each pixel its left neighbour (TIFF's predictor 2) and deflates the result."""
    differences = strip.copy()
    differences[:, 1:] -= strip[:, :-1]
    return zlib.compress(differences.astype(strip.dtype.newbyteorder("<")).tobytes(), _LEVEL)


def _append(file: IO[bytes], tag: int, content: dict[int, Any]) -> None:
    """Appends a directory to the file and replaces its placeholder by a tag that points to it."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        entry = tiff.pages.first.tags[tag - 1].offset
    at = file.seek(0, 2)
    at += file.write(b"\0" * (at % 2))  # TIFF requires an even offset
    directory = ImageFileDirectory_v2(prefix=b"II")
    for inner, value in content.items():
        directory[inner] = value
    file.write(directory.tobytes(at))
    file.seek(entry)
    file.write(struct.pack("<HHII", tag, _LONG, 1, at))
