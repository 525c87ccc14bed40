"""Reads image files of every kind as RGB pixels, or reports why that is impossible."""

import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from torch import Tensor

from sr_gan.devices import out_of_memory
from sr_gan.images.find import FORMATS

imagecodecs: Any = None
with suppress(ImportError):  # installed by the extra "fast"
    imagecodecs = import_module("imagecodecs")

Pixels = NDArray[np.uint8]

MAX_MEGAPIXELS = 179.0  # as in Pillow, which takes larger files for decompression bombs
# PNG chunks that can contain an orientation, or make libpng print warnings.
_UNUSUAL = (b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"iCCP")
_MOST_DEFLATED = 1032  # bytes that a byte of a PNG can become
_ORIENTATION = 0x0112  # EXIF tag: how the camera was held
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(Exception):  # noqa: N818  it describes the file
    """Raised if an image file cannot be used.

    Args:
        reason: what is wrong with the file.
        lasting: whether the fault is in the file's content, so that trying again cannot help.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@contextmanager
def own_size_limit() -> Iterator[None]:
    """Disables Pillow's limit on sizes and its warnings; only :func:`check_size` decides."""
    previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = previous


def open_image(path: Path) -> ImageFile:
    """Opens an image file with Pillow in one of our :data:`FORMATS`, and in no other format.

    Raises:
        Exception: of many types, if the file is no image, or is damaged.
    """
    Image.init()  # an old Pillow without AVIF must not be asked for it
    return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])


@contextmanager
def opened(path: Path) -> Iterator[ImageFile]:
    """Opens a file with Pillow and turns every error inside the block into :class:`BadImage`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadImage("not a regular file")
        with open_image(path) as image:
            yield image
    except BadImage:
        raise
    except FileNotFoundError as error:
        reason = "a broken link" if path.is_symlink() else "no such file"
        raise BadImage(reason, lasting=False) from error
    except Exception as error:  # Pillow's readers raise errors of many types on damaged files
        lasting = not ((isinstance(error, OSError) and error.errno) or out_of_memory(error))
        raise BadImage(_reason(error), lasting) from error


def decode(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
    """Reads an image file as upright RGB: uint8 (3, H, W).

    The content determines the format, not the extension. Grey, palette and CMYK images are
    converted to RGB. 16-bit grey is rounded to 8 bits; 16-bit colour keeps its high bytes.
    Transparent images are composited over white. EXIF's orientation is applied. The first frame
    of an animation is read.

    Raises:
        BadImage: the file is missing, damaged, not an image, larger than ``max_megapixels``, or
            has pixels whose range is unknown.
    """
    with opened(path) as image:
        check_size(image.size, max_megapixels, "data.max_megapixels")
        pixels = _plain_png(path, image)
        if pixels is None:
            array = np.array(_to_8_bits(turn_upright(image)))
            pixels = torch.from_numpy(array).permute(2, 0, 1)
        return pixels.contiguous().numpy()  # PyTorch reorders ten times as fast as NumPy


def count_pixels(path: Path) -> int:
    """Returns the number of pixels from a file's header alone, or 0 if it cannot be read."""
    try:
        if not path.is_file():
            return 0
        with open_image(path) as image:
            return int(image.width * image.height)
    except Exception:  # decode() will report the reason
        return 0


def check_size(size: tuple[int, int], max_megapixels: float, key: str) -> None:
    """Raises a BadImage if the size in a file's header exceeds ``max_megapixels``.

    ``key`` is the setting named in the error.
    """
    width, height = size
    if width * height > max_megapixels * 1e6:
        reason = f"{width}x{height} pixels, more than {key}={max_megapixels:g}"
        raise BadImage(reason, lasting=False)


def _plain_png(path: Path, image: ImageFile) -> Tensor | None:
    """Reads an 8-bit RGB PNG (3, H, W) faster than Pillow, or returns None for any other file.

    imagecodecs takes half the time of Pillow, torchvision four fifths.

    Raises:
        BadImage: the file is damaged. Pillow would fill what is missing at its end with black.
    """
    if image.format != "PNG" or image.mode != "RGB" or "transparency" in image.info:
        return None
    data = path.read_bytes()
    wide = image.tile[0][3] != "RGB"  # it is RGB;16B for a file of 16 bits
    if wide or any(chunk in data for chunk in _UNUSUAL):
        return None
    if 3 * image.width * image.height > _MOST_DEFLATED * len(data):
        raise BadImage("image file is truncated: it is too short for its size in pixels")
    try:
        pixels = _decode_png(data)
    except Exception as error:
        if out_of_memory(error):
            raise
        image.load()  # as a rule Pillow says better what is wrong
        raise BadImage("damaged, or truncated") from error
    return pixels if pixels.shape == (3, image.height, image.width) else None


def _decode_png(data: bytes) -> Tensor:
    if imagecodecs is not None:
        return torch.from_numpy(imagecodecs.png_decode(data)).permute(2, 0, 1)
    pixels: Tensor = torchvision.io.decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    return pixels


def turn_upright(image: Image.Image) -> Image.Image:
    """Applies EXIF's orientation."""
    image.load()  # here Pillow itself turns a TIFF and removes the tag
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with damaged EXIF data is still usable
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Converts an image to mode RGB."""
    if image.mode == "F":
        raise BadImage("floating-point pixels, whose range is unknown: save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip it
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise BadImage("32-bit pixels, whose range is unknown: save it with 8 or 16 bits")
        return Image.fromarray((grey / 257).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if out_of_memory(error):
        return "memory is full"
    text = " ".join(str(error).split())
    if text.startswith("cannot identify image file"):
        return "not an image"
    return text or type(error).__name__
