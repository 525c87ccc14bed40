"""JPEG written as its rows come: strips that Pillow compresses, joined by restart markers."""

import io
import struct
from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIP = 64  # rows: eight rows of blocks, so that the eight restart markers come round
_FRAME, _SCAN = 0xC0, 0xDA
_LAST_RESTART, _END = b"\xff\xd7", b"\xff\xd9"


def write_jpeg(
    file: IO[bytes], height: int, strips: Iterable[NDArray[np.uint8]], **options: Any
) -> None:
    """Writes a baseline JPEG, holding no more than a strip.

    A restart marker after each row of blocks resets all that an encoder carries from one to the
    next, so that the strips' data can follow each other as if one had written them.

    Args:
        file: where to, open for bytes.
        height: of the picture, in pixels.
        strips: rows (n, W, 1 or 3) from top to bottom, :data:`STRIP` each but for the last.
        options: of Pillow's JPEG writer; ``exif`` and ``icc_profile`` among them.

    Source: ITU-T T.81, annexes B.2 (markers) and E.1.4 (restart).
    """
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
    """The segments up to the scan's, telling the height given, and the scan's data."""
    header, at = bytearray(jpeg), 2
    while True:
        kind, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        if kind == _FRAME:
            struct.pack_into(">H", header, at + 5, height)
        at += 2 + length
        if kind == _SCAN:
            return bytes(header[:at]), jpeg[at : -len(_END)]
