"""Makes image files that Pillow cannot write."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def save(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def header(width: int, height: int, bits: int, channels: int) -> bytes:
    fields = (width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


def png(pixels: np.ndarray, *chunks: tuple[bytes, bytes], rows: int | None = None) -> bytes:
    """Returns a PNG of (H, W, C) uint8 or uint16 with further chunks, perhaps without all rows."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    content = pixels.astype(">u2") if bits == 16 else pixels
    lines = b"".join(b"\0" + line.tobytes() for line in content[:rows])
    extra = b"".join(chunk(*each) for each in chunks)
    data = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return header(width, height, bits, channels) + extra + data


def claim(width: int, height: int) -> bytes:
    """Returns a PNG of about a hundred bytes whose header claims the given size."""
    return header(width, height, 8, 3) + chunk(b"IDAT", zlib.compress(bytes(50)))


def twelve_bits(grey: np.ndarray) -> bytes:
    """Returns a TIFF of 12 bits of (H, W) values up to 4095, where W is even."""
    height, width = grey.shape
    p, q = grey[:, 0::2].astype(int), grey[:, 1::2].astype(int)
    body = np.stack([p >> 4, (p & 15) << 4 | q >> 8, q & 255], -1).astype(np.uint8).tobytes()
    tags = [(256, 4, width), (257, 4, height), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 4, height), (279, 4, len(body))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


def exif_block() -> tuple[bytes, dict[str, Any]]:
    """Returns an EXIF block with an orientation, and what of it an enlargement must keep."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x010F] = 1, "Zoe", "Camera"
    inner = {0x829A: 1 / 250, 0xA434: "a lens of 50 mm"}
    exif.get_ifd(0x8769).update({**inner, 0xA002: 37, 0xA003: 150})
    exif.get_ifd(0x8825)[0x0002] = (47.0, 22.0, 30.5)
    return exif.tobytes(), {"Artist": "Zoe", "Make": "Camera", "Lens": "a lens of 50 mm"}
