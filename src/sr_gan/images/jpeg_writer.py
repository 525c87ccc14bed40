"""Writes JPEG strip by strip: Pillow compresses the strips, restart markers join them."""

import io
import struct
from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIP = 64  # rows: eight rows of blocks, one for each of the eight restart markers
_FRAME, _SCAN = 0xC0, 0xDA
_LAST_RESTART, _END = b"\xff\xd7", b"\xff\xd9"


def write_jpeg(
    file: IO[bytes], height: int, strips: Iterable[NDArray[np.uint8]], **options: Any
) -> None:
    """Writes a baseline JPEG and holds no more than one strip in memory.

    Args:
        file: the target, open for writing bytes.
        height: the height of the picture in pixels.
        strips: rows (n, W, 1 or 3) from top to bottom, :data:`STRIP` in each but the last strip.
        options: options of Pillow's JPEG writer, including ``exif`` and ``icc_profile``.

    Source: ITU-T T.81, annexes B.2 (markers) and E.1.4 (restart).
    """
    # A restart marker (RST0 to RST7, in turn) after each row of blocks resets the encoder, and
    # Pillow's tables are the same for every image: strips can follow each other in one scan.
    # Pillow writes RST0 to RST6 between the eight rows of a strip; RST7 belongs between strips.
    begun = False
    for strip in strips:
        buffer = io.BytesIO()
        image = Image.fromarray(strip[..., 0] if strip.shape[2] == 1 else strip)
        image.save(buffer, "JPEG", restart_marker_rows=1, **options)
        header, data = _parts(buffer.getvalue(), height)
        file.write(_LAST_RESTART if begun else header)
        file.write(data)
        begun = True
    file.write(_END)


def _parts(jpeg: bytes, height: int) -> tuple[bytes, bytes]:
    """Splits a strip's file into its header, changed to the given height, and its scan's data."""
    header, at = bytearray(jpeg), 2
    while True:
        kind, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        if kind == _FRAME:
            struct.pack_into(">H", header, at + 5, height)
        at += 2 + length
        if kind == _SCAN:
            return bytes(header[:at]), jpeg[at : -len(_END)]
