"""What libvips does not read or write of a TIFF: its tags."""

import io
import struct
from typing import IO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import UNDEFINED

from sr_gan.images.metadata import DIRECTORIES, EXIF, IPTC, Metadata

_COMPRESSION, _PHOTOMETRIC, _EXTRA_SAMPLES, _SUBSAMPLING, _IPTC = 259, 262, 338, 530, 33723
_PIECES = (273, 324), (279, 325)  # where strips or tiles begin, and how long they are
_YCBCR, _JPEGS = 6, (6, 7)
_COLOURS = (0, 1, 2, 3, 5, _YCBCR, 8)  # grey, RGB, palette, CMYK, YCbCr, LAB
_ALPHA = (1, 2)  # multiplied into the colours, or not


class Tags:
    """The tags of the first picture in a TIFF of the content ``data``.

    Raises:
        Exception: of many types, if the file is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self.directory = ImageFileDirectory_v2(data[: 16 if data[2] == 43 else 8])
        file = io.BytesIO(data)
        file.seek(self.directory.next)
        self.directory.load(file)
        self.colours: int = self.directory.get(_PHOTOMETRIC, 1)

    @property
    def are_colours_known(self) -> bool:
        """Whether libvips knows what the samples mean; it takes a camera's mosaic for grey."""
        return self.colours in _COLOURS

    @property
    def is_ycbcr(self) -> bool:
        """Whether the samples are YCbCr that libvips takes for RGB; in JPEG it converts them."""
        return self.colours == _YCBCR and self.directory.get(_COMPRESSION, 1) not in _JPEGS

    @property
    def is_subsampled(self) -> bool:
        """Whether YCbCr has fewer colours than pixels."""
        return bool(self.directory.get(_SUBSAMPLING, (2, 2)) != (1, 1))

    @property
    def has_alpha(self) -> bool:
        """Whether the sample after the colours is alpha; libvips takes any sample for it."""
        return self.directory.get(_EXTRA_SAMPLES, (0,))[0] in _ALPHA

    def end_after(self, size: int) -> bool:
        """Whether strips or tiles end after ``size`` bytes; libvips leaves missing tiles black."""
        places = (
            self.directory.get(strips, self.directory.get(tiles)) for strips, tiles in _PIECES
        )
        starts, lengths = (place or () for place in places)
        return any(start + length > size for start, length in zip(starts, lengths))


def add_tags(file: IO[bytes], metadata: Metadata) -> bool:
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
        extra.tagtype[_IPTC] = UNDEFINED
        extra[_IPTC] = metadata.blocks[IPTC]
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
