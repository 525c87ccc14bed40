"""Reads image files of every kind: libvips those that it knows, and Pillow the others."""

import io
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from sr_gan.devices import out_of_memory
from sr_gan.images.find import FORMATS
from sr_gan.images.metadata import ICC, Metadata
from sr_gan.images.pixels import fit, plain_mode
from sr_gan.images.tiff import Tags
from sr_gan.images.vips import pyvips

Pixels = NDArray[np.uint8]

MAX_MEGAPIXELS = 179.0  # as in Pillow, which takes larger files for decompression bombs
# The classes of libvips' loaders. It has others, for PDF, SVG and CSV, which we do not want.
_LOADERS = tuple(
    f"VipsForeignLoad{name}" for name in ("Jpeg", "Png", "Webp", "Tiff", "Nsgif", "Heif")
)
_BITS_OF_TIFF = 258
_HEIF_CODEC, _BITS = "heif-compression", "bits-per-sample"
_TO_SRGB = ("cmyk", "lab", "labs", "labq", "xyz", "lch", "cmc", "yxy", "hsv")
_UNKNOWN_RANGE = "whose range is unknown: save it with 8 or 16 bits"


class BadImage(Exception):  # noqa: N818  it describes the file
    """Raised if an image file cannot be used.

    Args:
        reason: what is wrong with the file.
        lasting: whether the fault is in the file's content, so that trying again cannot help.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True)
class Picture:
    """Upright pixels and what else the file says.

    Args:
        pixels: uint8 or uint16 (H, W, C): 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        metadata: all that an enlargement keeps.
    """

    pixels: NDArray[Any]
    metadata: Metadata = field(default_factory=Metadata)


def decode(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
    """Reads an image file as upright RGB: uint8 (3, H, W).

    It is what :func:`read_picture` returns, with grey repeated in all colours, transparent pixels
    over white, and 16 bits rounded to 8.

    Raises:
        BadImage: as in :func:`read_picture`.
    """
    pixels = read_picture(path, max_megapixels, "data.max_megapixels").pixels
    plain = torch.from_numpy(fit(pixels, alpha=False, bits=8)).permute(2, 0, 1)
    # PyTorch reorders ten times as fast as NumPy.
    return plain.expand(3, -1, -1).contiguous().numpy()


def read_picture(
    path: Path, max_megapixels: float = MAX_MEGAPIXELS, key: str = "max_megapixels"
) -> Picture:
    """Reads an image file; its content determines the format, not the extension.

    Grey stays grey, a palette becomes RGB, and transparency becomes an alpha channel that is not
    multiplied into the colours. CMYK and LAB are converted to sRGB through the file's profile.
    PNG, TIFF and AVIF keep more than 8 bits, as 16. EXIF's orientation is applied. If the file
    contains several pictures, the first is read. ``key`` is the setting of ``max_megapixels``.

    Raises:
        BadImage: the file is missing, damaged, not an image, has pixels whose range is unknown, or
            more than ``max_megapixels``, which is found before they are decoded.
    """
    with _reasons(path):
        data = path.read_bytes()  # errors of the disk have other causes than those of decoding
        with _opened(pyvips.Source.new_from_memory(data), io.BytesIO(data)) as image:
            if image.width * image.height > max_megapixels * 1e6:
                size = f"{image.width}x{image.height} pixels"
                raise BadImage(f"{size}, more than {key}={max_megapixels:g}", lasting=False)
            if isinstance(image, Image.Image):
                return _by_pillow(image)
            return _by_vips(image, data)


def count_pixels(path: Path) -> int:
    """Returns the number of pixels from a file's header alone, or 0 if it cannot be read."""
    try:
        with _reasons(path), path.open("rb") as file:
            source = pyvips.SourceCustom()  # reads no more than the header
            source.on_read(file.read)
            source.on_seek(file.seek)
            with _opened(source, file) as image:
                return int(image.width * image.height)
    except BadImage:  # decode() will report the reason
        return 0


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turns every error into a :class:`BadImage`, and refuses what is no regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadImage("not a regular file")
        yield
    except BadImage:
        raise
    except FileNotFoundError as error:
        what = "a broken link" if path.is_symlink() else "no such file"
        raise BadImage(what, lasting=False) from error
    except Exception as error:  # decoders raise errors of many types on damaged files
        if out_of_memory(error) or "out of memory" in str(error):
            raise BadImage("memory is full", lasting=False) from error
        if isinstance(error, OSError) and error.errno:
            raise BadImage(str(error.strerror), lasting=False) from error
        if isinstance(error, UnidentifiedImageError):
            raise BadImage("not an image, or damaged at its beginning") from error
        if isinstance(error, Image.DecompressionBombError):
            raise BadImage(f"more than {MAX_MEGAPIXELS:g} megapixels: save it as PNG") from error
        if isinstance(error, pyvips.Error):
            # Threads share the buffer of libvips' messages, so the text may be another file's.
            raise BadImage("cannot be decoded: damaged, cut off, or of a rare kind") from error
        raise BadImage(f"cannot be decoded: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Returns what an error of Pillow or libvips says in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("unable to")]
    text = (said or ["damaged" if lines else type(error).__name__])[0]
    return re.sub(r"^(\w+: |image file is )", "", text)


@contextmanager
def _opened(source: pyvips.Source, file: IO[bytes]) -> Iterator[pyvips.Image | Image.Image]:
    """Reads the header of a file with the library that will decode its pixels."""
    if _loader(source).startswith(_LOADERS):
        try:
            image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error")
        except pyvips.Error as error:
            yield _lab(file, error)
            return
        compression = _HEIF_CODEC in image.get_fields() and image.get(_HEIF_CODEC)
        yield _heic(file) if compression == "hevc" else image
        return
    Image.init()  # an old Pillow without AVIF must not be asked for it
    formats = [name for name in FORMATS if name in Image.OPEN]
    file.seek(0)
    with Image.open(file, formats=formats) as opened:
        yield opened


def _loader(source: pyvips.Source) -> str:
    """Returns the class of libvips' loader for a file, or an empty string."""
    name = pyvips.vips_lib.vips_foreign_find_load_source(source.pointer)
    if name == pyvips.ffi.NULL:
        pyvips.vips_lib.vips_error_clear()  # or the next error would say it, too
        return ""
    return str(pyvips.ffi.string(name), "ascii")


def _lab(file: IO[bytes], error: pyvips.Error) -> Image.Image:
    """Reads a TIFF in LAB of 8 bits, which libvips refuses; others that it refuses are refused."""
    file.seek(0)
    image = Image.open(file, formats=["TIFF"])
    bits = image.tag_v2.get(_BITS_OF_TIFF, (1,)) if isinstance(image, TiffImageFile) else (1,)
    if bits[0] not in (1, 2, 4, 8, 16, 32):
        raise BadImage(f"samples of {bits[0]} bits: save it with 8 or 16")
    if image.mode != "LAB":
        raise error
    return image


def _heic(file: IO[bytes]) -> Image.Image:
    try:
        plugin = import_module("pillow_heif")
    except ImportError as error:
        what = "HEIC needs a package: pip install 'sr_gan[heic]'"
        raise BadImage(what, lasting=False) from error
    file.seek(0)
    image: Image.Image = plugin.HeifImageFile(file)
    return image


def _by_vips(image: pyvips.Image, data: bytes) -> Picture:
    metadata = Metadata.of_vips(image, data)
    tags = Tags(data) if image.get("vips-loader").startswith("tiff") else None
    if tags and not tags.are_colours_known:
        raise BadImage(f"a TIFF of photometric interpretation {tags.colours}: save it as RGB")
    if tags and tags.end_after(len(data)):
        raise BadImage("truncated")
    if tags and tags.is_ycbcr:
        if tags.is_subsampled:
            raise BadImage("a TIFF in YCbCr with fewer colours than pixels: save it as RGB")
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as opened:
            return _by_pillow(opened)
    shift = image.get(_BITS) if _HEIF_CODEC in image.get_fields() else 16
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        image = image.copy_memory().autorot()  # rows from the bottom cannot come first otherwise
    if image.interpretation in _TO_SRGB:
        image, metadata = _in_srgb(image), metadata.without(ICC)
    if image.format not in ("uchar", "ushort"):
        raise BadImage(f"pixels of type {image.format}, {_UNKNOWN_RANGE}")
    grey = image.bands < 3 or image.interpretation in ("b-w", "grey16")
    channels = min(image.bands, 2 if grey else 4)
    if tags and channels in (2, 4) and not tags.has_alpha:
        channels -= 1
    pixels = image.extract_band(0, n=channels).numpy().reshape(image.height, image.width, channels)
    if shift < 16 and image.format == "ushort":
        pixels |= pixels >> shift  # libvips leaves the lower bits of AVIF's 10 or 12 at 0
    return Picture(pixels, metadata)


def _in_srgb(image: pyvips.Image) -> pyvips.Image:
    deep = image.format in ("ushort", "short")
    if image.interpretation != "cmyk":
        return image.colourspace("rgb16" if deep else "srgb")
    if image.get_typeof(ICC):
        return image.icc_transform("srgb", embedded=True, depth=16 if deep else 8)
    limit = 65535 if deep else 255  # without a profile, as in Pillow and in browsers
    paper = (limit - image.extract_band(0, n=4)).cast("float")
    colours = paper.extract_band(0, n=3) * paper.extract_band(3) / limit
    return colours.rint().cast(image.format).copy(interpretation="rgb16" if deep else "srgb")


def _by_pillow(image: Image.Image) -> Picture:
    metadata = Metadata.of_pillow(image)
    if image.mode in ("CMYK", "LAB"):
        metadata = metadata.without(ICC)
    image = ImageOps.exif_transpose(image)
    if image.mode == "LAB":
        lab, srgb = (ImageCms.createProfile(name) for name in ("LAB", "sRGB"))
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    if image.mode == "F" or (image.mode == "I" and np.asarray(image).max() > 0xFFFF):
        raise BadImage(f"pixels of 32 bits, {_UNKNOWN_RANGE}")
    if image.mode.startswith("I"):
        return Picture(np.asarray(image).astype(np.uint16)[..., None], metadata)
    pixels = np.array(plain_mode(image))
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], metadata)
