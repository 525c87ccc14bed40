"""Reads an image file with all that its enlargement must keep: depth, alpha, profile, EXIF."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torchvision.io import ImageReadMode, decode_png

from sr_gan.images.decode import (
    MAX_MEGAPIXELS,
    BadImage,
    check_size,
    opened,
    own_size_limit,
    turn_upright,
)

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
_ORIENTATION, _BITS, _EXIF, _GPS = 0x0112, 0x0102, 0x8769, 0x8825
_KEPT = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, _EXIF, _GPS)
_STALE = (0xA002, 0xA003)  # width and height, which enlarging changes


@dataclass(frozen=True)
class Picture:
    """Upright pixels and their metadata.

    Args:
        pixels: uint8 or uint16 (H, W, C): 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        icc_profile: the colour profile as it is in the file.
        exif: the EXIF block without the orientation, which is already applied.
    """

    pixels: Pixels
    icc_profile: bytes | None = None
    exif: bytes | None = None


def read_picture(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Picture:
    """Reads an image file; its content determines the format, not the extension.

    Grey stays grey, a palette becomes RGB, and transparency becomes an alpha channel. CMYK and LAB
    are converted to sRGB through the file's profile. PNG and TIFF keep 16 bits. If the file
    contains several pictures, the first is read.

    Raises:
        BadImage: the file is missing, damaged, not an image, larger than ``max_megapixels``, or
            has pixels whose range is unknown.
    """
    with own_size_limit(), opened(path) as image:
        check_size(image.size, max_megapixels, "max_megapixels")
        deep = _deep(path, image)
        upright = turn_upright(image)
        exif = _exif(upright)
        profile = upright.info.get("icc_profile")
        if deep is not None:
            return Picture(_turned_like(deep, image), profile, exif)
        plain = _plain(upright, profile)
        pixels = np.array(plain)  # a copy, because the file is about to be closed
        if plain.mode not in ("L", "LA") and upright.mode in ("CMYK", "LAB", "YCbCr"):
            profile = None
        return Picture(pixels if pixels.ndim == 3 else pixels[..., None], profile, exif)


def _plain(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts an image to mode L, LA, RGB, RGBA or I;16."""
    if image.mode == "F" or image.mode == "I":
        pixels = np.asarray(image)
        if image.mode == "I" and pixels.min() >= 0 and pixels.max() <= 0xFFFF:
            return Image.fromarray(pixels.astype(np.uint16))
        raise BadImage("pixels whose range is unknown: save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if image.has_transparency_data else "L")
    if image.mode in ("CMYK", "LAB"):
        return _to_srgb(image, profile)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        if image.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        converted = None  # the profile is missing or damaged: use Pillow's formula
    return converted if converted is not None else image.convert("RGB")


def _exif(image: Image.Image) -> bytes | None:
    try:
        exif = image.getexif()
        for tag in [tag for tag in exif if tag not in _KEPT]:  # layout, orientation, thumbnail
            del exif[tag]
        for tag in _STALE:
            exif.get_ifd(_EXIF).pop(tag, None)
        return exif.tobytes() if any(tag in exif for tag in _KEPT[:-2]) or _inner(exif) else None
    except Exception:  # a picture with damaged EXIF data is still usable
        return None


def _inner(exif: Image.Exif) -> bool:
    return bool(exif.get_ifd(_EXIF) or exif.get_ifd(_GPS))


def _deep(path: Path, image: Image.Image) -> Pixels | None:
    """Reads 16-bit colour as stored, (H, W, C); Pillow would keep only the high bytes."""
    header: Any = image
    colour_png = image.format == "PNG" and image.mode in ("RGB", "RGBA", "LA")
    if colour_png and "16" in str(header.tile[0][3]):
        data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        pixels: Pixels = decode_png(data, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
        return pixels
    colour_tiff = image.format == "TIFF" and image.mode in ("RGB", "RGBA", "RGBX")
    if colour_tiff and 16 in header.tag_v2.get(_BITS, ()):
        return _deep_tiff(path)
    return None


def _deep_tiff(path: Path) -> Pixels:
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            pixels: Pixels = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise BadImage(
            "this compression needs a package: pip install 'sr_gan[fast]'", lasting=False
        ) from error
    return pixels.transpose(1, 2, 0) if page.planarconfig == 2 else pixels


def _turned_like(pixels: Pixels, image: Image.Image) -> Pixels:
    """Applies EXIF's orientation, as Pillow does for images of 8 bits."""
    turn = image.getexif().get(_ORIENTATION, 1)
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    vertical, horizontal = turn in (3, 4, 7, 8), turn in (2, 3, 6, 7)
    turned: Pixels = pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1].copy()
    return turned
