import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from sr_gan.images.decode import BadImage
from sr_gan.images.picture import read_picture
from sr_gan.images.png_writer import PngStream
from tests.conftest import random_photo

RGB = random_photo(6, 9)
DEEP = np.random.default_rng(0).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def deep_png(path: Path, channels: int) -> None:
    with path.open("wb") as file:
        png = PngStream(file, 9, 6, channels, 16)
        png.write(DEEP[..., :channels])
        png.close()


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGB", 3), ("RGBA", 4)]
)
def test_modes_keep_their_channels(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.fromarray(RGB).convert(mode)
    image.save(tmp_path / "x.png")
    picture = read_picture(tmp_path / "x.png")
    expected = image.convert({"1": "L", "P": "RGB"}.get(mode, mode))
    np.testing.assert_array_equal(picture.pixels, np.asarray(expected).reshape(6, 9, channels))


def test_a_transparent_palette_has_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).convert("P")
    image.save(tmp_path / "x.png", transparency=image.getpixel((0, 0)))
    alpha = read_picture(tmp_path / "x.png").pixels[..., 3]
    assert alpha[0, 0] == 0
    assert alpha.max() == 255


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_of_sixteen_bits(tmp_path: Path, channels: int) -> None:
    deep_png(tmp_path / "x.png", channels)
    pixels = read_picture(tmp_path / "x.png").pixels
    np.testing.assert_array_equal(pixels, DEEP[..., :channels])


def test_grey_of_sixteen_bits(tmp_path: Path) -> None:
    for name in ("x.png", "x.tif"):
        Image.fromarray(DEEP[..., 0]).save(tmp_path / name)
        np.testing.assert_array_equal(read_picture(tmp_path / name).pixels[..., 0], DEEP[..., 0])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_of_sixteen_bits(tmp_path: Path, planar: Any, compression: str | None) -> None:
    rgb = DEEP[..., :3]
    data = rgb if planar == "contig" else np.moveaxis(rgb, -1, 0).copy()
    options: dict[str, Any] = {"planarconfig": planar, "compression": compression}
    tifffile.imwrite(tmp_path / "x.tif", data, photometric="rgb", **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").pixels, rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tif"])
def test_the_orientation_is_applied_once(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    options: dict[str, Any] = {"lossless": True} if name == "x.webp" else {}
    Image.fromarray(RGB).save(tmp_path / name, exif=exif, **options)
    picture = read_picture(tmp_path / name)
    turns: dict[int, np.ndarray] = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB, -1),
        7: RGB.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(RGB, 1),
    }
    np.testing.assert_array_equal(picture.pixels, turns[orientation])
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert kept[0x010F] == "Camera"
    assert 0x0112 not in kept


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_deep_pixels_turn_as_shallow_ones_do(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with (tmp_path / "deep.png").open("wb") as file:
        png = PngStream(file, 9, 6, 3, 16, exif=exif.tobytes())
        png.write(RGB.astype(np.uint16) * 257)
        png.close()
    Image.fromarray(RGB).save(tmp_path / "shallow.png", exif=exif)
    deep, shallow = (read_picture(tmp_path / f"{name}.png").pixels for name in ("deep", "shallow"))
    np.testing.assert_array_equal(deep // 257, shallow)


def test_cmyk_becomes_rgb_without_its_profile(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=100)
    picture = read_picture(tmp_path / "x.jpg")
    assert picture.pixels.shape == (4, 4, 3)
    assert picture.pixels[0, 0, 0] > 200 > 60 > picture.pixels[0, 0, 1]
    assert picture.icc_profile is None


def test_the_profile_comes_along(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "x.jpg", icc_profile=profile)
    assert read_picture(tmp_path / "x.jpg").icc_profile == profile


def bomb() -> bytes:
    """A PNG of a few bytes whose header claims 10 gigapixels."""
    file = io.BytesIO()
    PngStream(file, 100_000, 100_000, 3, 8).close()
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "not an image"),
        (b"", "not an image"),
        (bomb(), "100000x100000 pixels, more than max_megapixels=179"),
    ],
)
def test_files_that_are_of_no_use(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BadImage, match=reason):
        read_picture(tmp_path / "x.png")


def test_a_damaged_file_and_pixels_of_unknown_range(tmp_path: Path) -> None:
    deep_png(tmp_path / "x.png", 3)
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:120])
    with pytest.raises(BadImage):
        read_picture(tmp_path / "x.png")
    Image.new("F", (4, 4)).save(tmp_path / "x.tif")
    with pytest.raises(BadImage, match="range is unknown"):
        read_picture(tmp_path / "x.tif")
