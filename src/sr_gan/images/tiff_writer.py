"""TIFF written as its rows come, with profile and EXIF, of 8 or 16 bits and any size."""

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
_LARGE = 3_500_000_000  # bytes from which offsets need 64 bits
_ICC = 34675
_DIRECTORIES = (0x8769, 0x8825)  # EXIF and GPS, in directories that tifffile does not write
_ASCII, _LONG, _BYTES = 2, 4, 7


def write_tiff(
    file: IO[bytes],
    shape: tuple[int, int, int],
    bits: int,
    strips: Iterable[Rows],
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
) -> None:
    """Writes a TIFF, holding no more than a strip.

    Strips are packed here, one at a time: tifffile itself would want a page at a time.

    Args:
        file: where to, open for reading and writing of bytes.
        shape: (H, W, C); 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: 8 or 16.
        strips: rows (n, W, C) from top to bottom, :data:`STRIP` each but for the last.
        icc_profile: colour profile to put in.
        exif: EXIF block to put in; of a file above 3.5 GB its plain texts only.
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
    extra += [(tag - 1, _LONG, 1, 0, True) for tag in directories]  # a stand-in
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
    """Each pixel less the one to its left (TIFF's predictor 2), deflated."""
    differences = strip.copy()
    differences[:, 1:] -= strip[:, :-1]
    return zlib.compress(differences.astype(strip.dtype.newbyteorder("<")).tobytes(), _LEVEL)


def _append(file: IO[bytes], tag: int, content: dict[int, Any]) -> None:
    """Writes a directory behind everything else, and makes of its stand-in what points to it."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        entry = tiff.pages.first.tags[tag - 1].offset
    at = file.seek(0, 2)
    at += file.write(b"\0" * (at % 2))  # a directory begins at an even place
    directory = ImageFileDirectory_v2(prefix=b"II")
    for inner, value in content.items():
        directory[inner] = value
    file.write(directory.tobytes(at))
    file.seek(entry)
    file.write(struct.pack("<HHII", tag, _LONG, 1, at))
