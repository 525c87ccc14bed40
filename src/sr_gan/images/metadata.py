"""What a picture's file says beside the pixels: profile, EXIF, XMP, resolution, texts, chunks."""

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from PIL import Image

from sr_gan.images.vips import pyvips

ICC, EXIF, _XMP, IPTC = "icc-profile-data", "exif-data", "xmp-data", "iptc-data"  # in libvips
_UNKNOWN = (1.0, 72 / 25.4)  # what libvips assumes if a file states no resolution
_DESCRIPTION, _EXIF, _GPS = 0x010E, 0x8769, 0x8825
DIRECTORIES = (_EXIF, _GPS)  # tags of EXIF whose values are directories of tags
# The tags that stay true of an enlarged, upright picture: make, model, software, date, artist,
# rating, copyright, Windows' titles and comments.
_KEPT = (_DESCRIPTION, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298)
_KEPT += (*range(0x9C9B, 0x9CA0), *DIRECTORIES)
_ACROSS, _DOWN, _UNIT = 0x011A, 0x011B, 0x0128
_STALE = (0xA002, 0xA003)  # width and height
_STRUCTURE = ("{", "ImageJ=", "<?xml")  # descriptions by scientific programs of the file's layout
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks of PNG that say what the numbers mean: gamma, primaries, HDR.
_COLOUR_CHUNKS = (b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI")
_NO_TEXTS = (b"XML:com.adobe.xmp", b"Raw profile type")  # blocks that are kept or are stale
_LONGEST = 1 << 20  # bytes of a text; Pillow refuses files with longer ones
_SRGB_GAMMA = struct.pack(">I", 45455)

warnings.filterwarnings("ignore", "Corrupt EXIF data", module="PIL")  # it is left out


@dataclass(frozen=True)
class Metadata:
    """Everything of a file that its enlargement keeps, except the pixels.

    Args:
        blocks: the blocks of bytes, by libvips' names.
        resolution: pixels per millimetre, across and down; None if the file states none.
        chunks: the chunks of a PNG with its texts and with what the numbers mean.
    """

    blocks: Mapping[str, bytes] = field(default_factory=dict)
    resolution: tuple[float, float] | None = None
    chunks: bytes = b""

    @classmethod
    def of_vips(cls, image: pyvips.Image, data: bytes) -> "Metadata":
        """Takes the metadata of a file that libvips has opened; ``data`` is its content."""
        fields = image.get_fields()
        blocks = {name: image.get(name) for name in (ICC, EXIF, _XMP, IPTC) if name in fields}
        if image.get("vips-loader").startswith("tiff"):
            blocks[EXIF] = data  # its tags lie among those of the file, where libvips ignores them
        blocks, in_exif = _without_stale_exif(blocks)
        resolution = image.xres, image.yres
        known = all(min(abs(each - none) for none in _UNKNOWN) > 1e-3 for each in resolution)
        return cls(blocks, resolution if known else in_exif, _kept_chunks(data))

    @classmethod
    def of_pillow(cls, image: Image.Image) -> "Metadata":
        """Takes the metadata of a file that Pillow has opened."""
        given = {ICC: "icc_profile", EXIF: "exif", _XMP: "xmp"}
        blocks = {name: image.info[key] for name, key in given.items() if image.info.get(key)}
        blocks = {name: block for name, block in blocks.items() if isinstance(block, bytes)}
        dpi = image.info.get("dpi")
        blocks, in_exif = _without_stale_exif(blocks)
        resolution = (float(dpi[0]) / 25.4, float(dpi[1]) / 25.4) if dpi and all(dpi) else in_exif
        return cls(blocks, resolution)

    def put_on(self, image: pyvips.Image) -> pyvips.Image:
        """Returns the image with this metadata, for libvips to write."""
        across, down = self.resolution or (_UNKNOWN[1], _UNKNOWN[1])
        image = image.copy(xres=across, yres=down)
        for name, block in self.blocks.items():
            image.set_type(pyvips.GValue.blob_type, name, block)
        return image

    def without(self, block: str) -> "Metadata":
        """Returns the metadata without a block of bytes."""
        return replace(self, blocks={k: v for k, v in self.blocks.items() if k != block})

    @property
    def tells_of_other_colours(self) -> bool:
        """Whether the numbers mean other colours than those of sRGB, according to the chunks."""
        kinds = dict(_chunks(SIGNATURE + self.chunks))
        other_gamma = kinds.get(b"gAMA", _SRGB_GAMMA) != _SRGB_GAMMA
        return b"cICP" in kinds or (other_gamma and ICC not in self.blocks)  # ICC overrules gAMA


def _kept_chunks(data: bytes) -> bytes:
    """Returns the chunks of a PNG that libvips would drop; of another file, nothing."""
    return b"".join(
        chunk(kind, content)
        for kind, content in _chunks(data)
        if kind in _COLOUR_CHUNKS or _is_harmless_text(kind, content)
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG with its length and checksum. Source: PNG, section 5.3."""
    crc = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", crc)


def _is_harmless_text(kind: bytes, content: bytes) -> bool:
    """Whether a chunk is a text that other programs read; a small one could become a huge one."""
    keyword, _, rest = content.partition(b"\0")
    if keyword.startswith(_NO_TEXTS) or kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return False
    if kind == b"zTXt":
        return _expands_a_little(rest[1:])
    if kind == b"iTXt" and rest[:1] == b"\1":  # then the method, the language, its own keyword
        return _expands_a_little(rest[2:].split(b"\0", 2)[-1])
    return True


def _expands_a_little(deflated: bytes) -> bool:
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(deflated, _LONGEST)
    except zlib.error:
        return False
    return inflater.eof


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and content of the chunks before the pixels. Source: PNG, section 5.3."""
    at = len(SIGNATURE) if png.startswith(SIGNATURE) else len(png)
    while at + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            return
        yield kind, png[at + 8 : at + 8 + length]
        at += 12 + length


def _without_stale_exif(
    blocks: dict[str, bytes],
) -> tuple[dict[str, bytes], tuple[float, float] | None]:
    """Removes layout, orientation, thumbnail or all damaged EXIF; also returns its resolution."""
    exif, resolution = Image.Exif(), None
    try:
        exif.load(blocks.pop(EXIF, b""))
        unit = {2: 25.4, 3: 10.0}.get(exif.get(_UNIT, 2))  # inches, centimetres
        if unit and exif.get(_ACROSS) and exif.get(_DOWN):
            resolution = float(exif[_ACROSS]) / unit, float(exif[_DOWN]) / unit
        for tag in set(exif) - set(_KEPT):
            del exif[tag]
        if str(exif.get(_DESCRIPTION, "")).startswith(_STRUCTURE):
            del exif[_DESCRIPTION]
        for tag in _STALE:
            exif.get_ifd(_EXIF).pop(tag, None)
        if set(exif) - set(DIRECTORIES) or any(exif.get_ifd(tag) for tag in DIRECTORIES):
            return {**blocks, EXIF: exif.tobytes()}, resolution
    except Exception:  # Pillow's reader raises errors of many types; the pixels are still good
        pass
    return blocks, resolution
