import io
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms
from torchvision.io import ImageReadMode, decode_png

from sr_gan.images.decode import BadImage
from sr_gan.images.writers import Layout, write_picture
from tests.conftest import random_photo

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(channels: int, bits: int, height: int = 150, width: int = 37) -> np.ndarray:
    values = np.concatenate([random_photo(height, width), random_photo(height, width, 1)], axis=2)
    deep = values[..., :channels].astype(np.uint16) * 257 + values[..., 1 : channels + 1] % 7
    return np.clip(deep, 0, 65535).astype(np.uint16) if bits == 16 else values[..., :channels]


def written(suffix: str, image: np.ndarray, band: int = 40, **blocks: Any) -> bytes:
    file = io.BytesIO()
    height, width, channels = image.shape
    layout = Layout(width, height, channels, image.dtype.itemsize * 8, **blocks)
    bands = (image[top : top + band] for top in range(0, height, band))
    write_picture(file, suffix, layout, bands)
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("band", [1, 40, 1000])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".jpg"])
def test_pillow_reads_what_was_written(suffix: str, channels: int, band: int) -> None:
    image = pixels(channels, 8)
    data = written(suffix, image, band)
    read = np.asarray(Image.open(io.BytesIO(data)))
    if suffix in (".png", ".tif"):
        assert np.array_equal(read.reshape(image.shape), image)
        return
    flat = image.astype(float)
    if channels in (2, 4) and suffix != ".webp":  # BMP and JPEG have no alpha
        alpha = flat[..., -1:] / 255
        flat = flat[..., :-1] * alpha + 255 * (1 - alpha)
    read = read if read.ndim == 3 else read[..., None]
    assert read.shape[:2] == image.shape[:2]
    if suffix == ".bmp":
        np.testing.assert_allclose(read, flat, atol=0.51)
    if suffix == ".jpg":
        assert np.abs(read - flat).mean() < 6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_in_png_and_tiff(channels: int) -> None:
    image = pixels(channels, 16)
    png = torch.frombuffer(bytearray(written(".png", image)), dtype=torch.uint8)
    read = decode_png(png, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(read, image)
    tiff = tifffile.imread(io.BytesIO(written(".tif", image)))
    np.testing.assert_array_equal(tiff.reshape(image.shape), image)


def test_sixteen_bits_are_rounded_where_a_format_has_eight() -> None:
    image = pixels(3, 16)
    read = np.asarray(Image.open(io.BytesIO(written(".bmp", image))))
    assert np.abs(read - image / 257).max() <= 0.51


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_profile_and_exif_are_put_in(suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    data = written(suffix, pixels(3, 8), icc_profile=ICC, exif=exif.tobytes())
    image = Image.open(io.BytesIO(data))
    assert image.info["icc_profile"] == ICC
    assert image.getexif()[0x010F] == "Camera"


def test_png_is_as_small_as_pillows() -> None:
    from skimage import data as skimage_data

    image = skimage_data.chelsea()
    theirs = io.BytesIO()
    Image.fromarray(image).save(theirs, "PNG")
    assert len(written(".png", image)) < 1.2 * len(theirs.getvalue())


def test_a_picture_too_large_for_its_format() -> None:
    layout = Layout(20_000, 10, 3, 8)
    with pytest.raises(BadImage, match=r"20000x10 pixels is too large for WEBP.*format=png"):
        write_picture(io.BytesIO(), ".webp", layout, iter(()))
