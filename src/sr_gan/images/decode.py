"""Image files of every kind as RGB pixels, or the reason why not."""

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

imagecodecs: Any = None
with suppress(ImportError):  # it comes with the extra "fast"
    imagecodecs = import_module("imagecodecs")

Pixels = NDArray[np.uint8]

MAX_MEGAPIXELS = 179.0  # Pillow's own limit: beyond it a file is taken for a decompression bomb
# PNG chunks that can hold an orientation, or make libpng print warnings.
_UNUSUAL = (b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"iCCP")
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


class BadImage(Exception):  # noqa: N818  it is the file that errs
    """Why an image file cannot be used.

    Args:
        reason: what is wrong with it.
        lasting: the file's content is to blame, and only another content helps.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@contextmanager
def own_size_limit() -> Iterator[None]:
    """Inside, :func:`decode` alone judges sizes, and Pillow's warnings on odd files are silent."""
    previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = previous


@contextmanager
def opened(path: Path) -> Iterator[ImageFile]:
    """The file as Pillow sees it; inside, whatever goes wrong becomes a :class:`BadImage`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadImage("not a regular file")
        with Image.open(path) as image:
            yield image
    except BadImage:
        raise
    except FileNotFoundError as error:
        reason = "a broken link" if path.is_symlink() else "no such file"
        raise BadImage(reason, lasting=False) from error
    except Exception as error:  # Pillow's readers raise all sorts of things on damaged files
        lasting = not (isinstance(error, OSError) and error.errno)
        raise BadImage(_reason(error), lasting) from error


def decode(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
    """Reads an image file as RGB, upright: uint8 (3, H, W).

    The content decides, not the extension. Grey and palette images become RGB, 16 bits are
    rounded to 8 (of colour images the high byte is kept), transparency is laid over white, CMYK
    is converted, EXIF's orientation applied; of an animation the first picture is taken.

    Raises:
        BadImage: the file is missing, no image, damaged, larger than ``max_megapixels`` or of
            pixels whose range is unknown.
    """
    with opened(path) as image:
        check_size(image.size, max_megapixels, "data.max_megapixels")
        pixels = _plain_png(path, image)
        if pixels is None:
            array = np.array(_to_8_bits(turn_upright(image)))
            pixels = torch.from_numpy(array).permute(2, 0, 1)
        return pixels.contiguous().numpy()  # ten times as fast as NumPy's reordering


def count_pixels(path: Path) -> int:
    """Pixels of an image file from its header alone; 0 where it cannot be read."""
    try:
        if not path.is_file():
            return 0
        with Image.open(path) as image:
            return int(image.width * image.height)
    except Exception:  # decode() will say why
        return 0


def check_size(size: tuple[int, int], max_megapixels: float, key: str) -> None:
    """Refuses, with a BadImage, an image that claims to be larger than the setting ``key``."""
    width, height = size
    if width * height > max_megapixels * 1e6:
        reason = f"{width}x{height} pixels, more than {key}={max_megapixels:g}"
        raise BadImage(reason, lasting=False)


def _plain_png(path: Path, image: ImageFile) -> Tensor | None:
    """An 8-bit RGB PNG (3, H, W), read by a faster decoder than Pillow's: imagecodecs takes half
    the time, torchvision four fifths. Other files, and damaged ones, are left to Pillow."""
    if image.format != "PNG" or image.mode != "RGB" or "transparency" in image.info:
        return None
    data = path.read_bytes()
    wide = image.tile[0][3] != "RGB"  # RGB;16B where it has 16 bits
    if wide or any(chunk in data for chunk in _UNUSUAL):
        return None
    try:
        pixels = _decode_png(data)
    except Exception:
        return None
    return pixels if pixels.shape == (3, image.height, image.width) else None


def _decode_png(data: bytes) -> Tensor:
    if imagecodecs is not None:
        return torch.from_numpy(imagecodecs.png_decode(data)).permute(2, 0, 1)
    pixels: Tensor = torchvision.io.decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    return pixels


def turn_upright(image: Image.Image) -> Image.Image:
    """The image as it was seen: EXIF's orientation applied."""
    image.load()  # a TIFF is turned by Pillow here, and its tag removed
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data do not make a photo unusable
        turn = None
    return image if turn is None else image.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """As mode RGB."""
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
    text = " ".join(str(error).split())
    if text.startswith("cannot identify image file"):
        return "not an image"
    return text or type(error).__name__
