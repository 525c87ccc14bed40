import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms
from skimage import data as skimage_data

from sr_gan.images import decode as module
from sr_gan.images.decode import BadImage, count_pixels, decode, read_picture
from sr_gan.images.find import EXTENSIONS
from tests.conftest import ROOT, random_photo
from tests.images.made_files import claim, png, save, twelve_bits

RGB = random_photo(6, 9)
DEEP = np.random.default_rng(0).integers(0, 65536, (6, 9, 4), dtype=np.uint16)
TURNS: dict[int, np.ndarray] = {  # EXIF 2.3, tag 0x0112: where the first row and column lie
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: RGB.swapaxes(0, 1)[::-1, ::-1],
    8: np.rot90(RGB, 1),
}


def pixels(path: Path) -> np.ndarray:
    """Decodes a file to (H, W, 3), the order of NumPy and Pillow."""
    result: np.ndarray = decode(path).transpose(1, 2, 0)
    return result


def grey(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., :1], 3, axis=2)


def test_is_planar_and_lossless(tmp_path: Path) -> None:
    array = random_photo(13, 17)
    result = decode(save(tmp_path / "a.png", array))
    assert result.shape == (3, 13, 17)
    assert result.flags.c_contiguous
    assert np.array_equal(result, array.transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_turns_as_exif_says(tmp_path: Path, orientation: int, extension: str) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if extension == "webp" else {}
    path = save(tmp_path / f"a.{extension}", stored, exif=exif, **options)
    turned = {  # EXIF 2.3, tag 0x0112: where the stored picture's first row and column lie
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_allclose(pixels(path)[4::8, 4::8], turned[4::8, 4::8], atol=12)


def test_damaged_exif_does_no_harm(tmp_path: Path) -> None:
    array = random_photo(16, 16)
    path = save(tmp_path / "a.png", array, exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff garbage")
    assert np.array_equal(pixels(path), array)


def test_reads_grey_of_every_depth(tmp_path: Path) -> None:
    array = random_photo(16, 24)
    bits = Image.fromarray(array[..., 0] > 127)
    expected = grey((array > 127) * np.uint8(255))
    assert np.array_equal(pixels(save(tmp_path / "1.png", bits)), expected)
    assert np.array_equal(pixels(save(tmp_path / "8.png", array[..., 0])), grey(array))
    wide = array[..., 0].astype(np.uint16) * 257
    for name in ("16.png", "16.tif"):
        assert np.array_equal(pixels(save(tmp_path / name, wide)), grey(array))
    tifffile.imwrite(tmp_path / "big.tif", wide, byteorder=">")
    assert np.array_equal(pixels(tmp_path / "big.tif"), grey(array))
    rounded = np.full((8, 8), 300, np.uint16)  # 300 / 257 is nearer to 1 than to 2
    assert np.unique(pixels(save(tmp_path / "r.png", rounded))).tolist() == [1]


def test_reads_palettes_and_animations(tmp_path: Path) -> None:
    picture = Image.fromarray(skimage_data.chelsea()[:40, :60])
    palette = picture.quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(pixels(save(tmp_path / "p.png", palette)), expected)
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "lime", "blue")]
    for name in ("a.gif", "a.png", "a.webp", "a.tif"):
        path = tmp_path / name
        frames[0].save(path, save_all=True, append_images=frames[1:])
        assert np.abs(pixels(path).astype(int) - [255, 0, 0]).max() <= 2, name


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_transparency_lies_over_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (8, 0, 16, 16))
    converted = picture.convert(mode)
    if mode == "P":
        converted = Image.new("P", (16, 16), 0)
        converted.putpalette([0, 0, 0, 0, 0, 0])
        converted.paste(1, (8, 0, 16, 16))
        converted.info["transparency"] = 0
    path = save(tmp_path / ("a.tif" if mode == "PA" else "a.png"), converted)
    expected = np.zeros((16, 16, 3), np.uint8)
    expected[:, :8] = 255
    assert np.array_equal(pixels(path), expected)


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGBA", (8, 8), (100, 0, 0, 51)))
    assert np.abs(pixels(path).astype(int) - [224, 204, 204]).max() <= 1


def test_reads_cmyk(tmp_path: Path) -> None:
    array = np.asarray(skimage_data.astronaut()[:64, :64])
    path = save(tmp_path / "a.tif", Image.fromarray(array).convert("CMYK"))
    assert np.abs(pixels(path).astype(int) - array).max() <= 1


def test_reads_16_bit_colour_within_a_level(tmp_path: Path) -> None:
    array = random_photo(16, 24)
    wide = array.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", wide, photometric="rgb")
    assert np.abs(pixels(tmp_path / "a.tif").astype(int) - array).max() <= 1


def test_a_cut_png_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    data = save(tmp_path / "a.png", random_photo(33, 47)).read_bytes()
    for end in range(60, len(data) - 30, 97):
        (tmp_path / "cut.png").write_bytes(data[:end])
        with pytest.raises(BadImage, match=r"^(cannot be decoded|not an image)"):
            decode(tmp_path / "cut.png")


def test_the_content_decides_not_the_extension(tmp_path: Path) -> None:
    array = random_photo(16, 24)
    path = save(tmp_path / "really_a_png.jpg", Image.fromarray(array), format="PNG")
    assert np.array_equal(pixels(path), array)


def test_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", random_photo(64, 64)).read_bytes()
    jpeg = save(tmp_path / "whole.jpg", skimage_data.chelsea()).read_bytes()
    (tmp_path / "text.png").write_text("no image at all")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(whole[:2000])
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    save(tmp_path / "float.tif", random_photo(8, 8)[..., 0].astype(np.float32))
    save(tmp_path / "wide.tif", random_photo(8, 8)[..., 0].astype(np.int32) * 1000)
    (tmp_path / "twelve.tif").write_bytes(twelve_bits(random_photo(8, 8)[..., 0]))
    for name, reason, lasting in [
        ("text.png", "not an image", True),
        ("empty.png", "not an image", True),
        ("cut.png", "cannot be decoded: ", True),
        ("cut.jpg", "cannot be decoded: damaged, cut off", True),
        ("link.png", "a broken link", False),
        ("none.png", "no such file", False),
        ("folder.png", "not a regular file", True),
        ("pipe.png", "not a regular file", True),
        ("float.tif", "pixels of type float, whose range is unknown: save it with", True),
        ("wide.tif", "pixels of type int, whose range is unknown", True),
        ("twelve.tif", "samples of 12 bits: save it with 8 or 16", True),
    ]:
        with pytest.raises(BadImage, match=reason) as error:
            decode(tmp_path / name)
        assert error.value.lasting == lasting, name


def test_a_file_that_cannot_be_read_may_be_readable_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", random_photo(8, 8))

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadImage, match=r"^Permission denied$") as error:
        decode(path)
    assert not error.value.lasting


def test_refuses_decompression_bombs_before_decoding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(claim(60_000, 60_000))
    with pytest.raises(BadImage, match=r"60000x60000 pixels, more than data\.max") as error:
        decode(bomb)
    assert not error.value.lasting
    with pytest.raises(BadImage, match=r"60000x60000 pixels, more than max_megapixels=179"):
        read_picture(bomb)
    assert count_pixels(bomb) == 3_600_000_000
    bomb.write_bytes(claim(16_000, 16_000))
    with pytest.raises(BadImage, match="cannot be decoded"):
        decode(bomb, max_megapixels=300)
    small = save(tmp_path / "small.png", random_photo(20, 20))
    with pytest.raises(BadImage, match=r"20x20 pixels, more than data.max_megapixels=0.0001"):
        decode(small, max_megapixels=0.0001)


def test_a_bomb_inside_a_picture_is_refused(tmp_path: Path) -> None:
    """Pillow's guard is on for the formats that Pillow reads; some of them hold other pictures."""
    data = bytearray(save(tmp_path / "a.bmp", random_photo(8, 8)).read_bytes())
    data[18:26] = (40_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(data)
    with pytest.raises(BadImage, match="more than 179 megapixels"):
        read_picture(tmp_path / "a.bmp", max_megapixels=1e6)
    assert count_pixels(tmp_path / "a.bmp") == 0


def test_colour_profiles_are_left_alone(tmp_path: Path) -> None:
    array = random_photo(8, 8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(pixels(save(tmp_path / "a.png", array, icc_profile=profile)), array)


def test_a_png_whose_data_end_properly_too_soon(tmp_path: Path) -> None:
    """Pillow takes it, and makes the rest black."""
    for image in (random_photo(64, 64), DEEP, RGB[..., :1]):
        (tmp_path / "a.png").write_bytes(png(image, rows=len(image) // 2))
        with pytest.raises(BadImage, match="cannot be decoded") as error:
            decode(tmp_path / "a.png")
        assert error.value.lasting


@pytest.mark.parametrize("error", [MemoryError(), pyvips.Error("unable", b"out of memory")])
def test_full_memory_says_nothing_about_the_file(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(module, "_by_vips", full)
    with pytest.raises(BadImage, match="memory is full") as raised:
        decode(save(tmp_path / "a.png", random_photo(8, 8)))
    assert not raised.value.lasting


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_extension_is_read(tmp_path: Path, extension: str) -> None:
    image = Image.fromarray(random_photo(16, 16)).convert("1" if extension == ".pbm" else "RGB")
    path = tmp_path / f"a{extension}"
    if extension in (".heic", ".heif"):
        plugin = pytest.importorskip("pillow_heif", reason='comes with the extra "heic"')
        plugin.from_pillow(image.resize((64, 64))).save(path)
    else:
        kind = {".jfif": "JPEG", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM"}.get(extension)
        save(path, image, **({"format": kind} if kind else {}))
    side = 64 if extension in (".heic", ".heif") else 16
    assert decode(path).shape == (3, side, side)
    assert count_pixels(path) == side**2


@pytest.mark.parametrize("format", ["EPS", "PDF", "ICO", "PCX", "TGA", "SGI", "IM", "DDS", "PS"])
def test_no_other_format_is_read(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would give PostScript to Ghostscript, a program, whatever the file is called."""
    monkeypatch.setattr("subprocess.check_call", lambda *args, **kwargs: (tmp_path / "ran").touch())
    path = tmp_path / "a.png"
    if format == "PS":
        path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    else:
        Image.fromarray(random_photo(16, 16)).save(path, format)
    with pytest.raises(BadImage, match="not an image"):
        decode(path)
    with pytest.raises(BadImage, match="not an image"):
        read_picture(path)
    assert count_pixels(path) == 0
    assert not (tmp_path / "ran").exists()


def test_no_code_opens_images_of_other_formats() -> None:
    files = [file for file in (ROOT / "src").rglob("*.py") if file.name != "decode.py"]
    calls = [
        line for file in files for line in file.read_text().splitlines() if "Image.open(" in line
    ]
    assert not [line for line in calls if 'Image.open("small.png")' not in line]  # a docstring


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 2), ("P", 3), ("RGB", 3), ("RGBA", 4)]
)
def test_modes_keep_their_channels(tmp_path: Path, mode: str, channels: int) -> None:
    image = Image.fromarray(RGB).convert(mode)
    expected = np.asarray(image.convert({"1": "L", "P": "RGB"}.get(mode, mode)))
    for name in ("x.png", "x.tif"):
        picture = read_picture(save(tmp_path / name, image))
        np.testing.assert_array_equal(picture.pixels, expected.reshape(6, 9, channels))


def test_a_transparent_palette_has_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).convert("P")
    path = save(tmp_path / "x.png", image, transparency=image.getpixel((0, 0)))
    alpha = read_picture(path).pixels[..., 3]
    assert alpha[0, 0] == 0
    assert alpha.max() == 255


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_sixteen_bits(tmp_path: Path, channels: int) -> None:
    (tmp_path / "x.png").write_bytes(png(DEEP[..., :channels]))
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png").pixels, DEEP[..., :channels])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("deep", [False, True])
def test_a_transparent_colour_is_alpha(tmp_path: Path, channels: int, deep: bool) -> None:
    """PNG's chunk tRNS names a colour of which every pixel is transparent; in training, white."""
    image = (DEEP if deep else RGB)[..., :channels].copy()
    image[2:4] = 0
    (tmp_path / "x.png").write_bytes(png(image, (b"tRNS", bytes(2 * channels))))
    read = read_picture(tmp_path / "x.png").pixels
    np.testing.assert_array_equal(read[..., :-1], image)
    hidden = (image == 0).all(axis=2)
    np.testing.assert_array_equal(read[..., -1] == 0, hidden)
    assert np.unique(pixels(tmp_path / "x.png")[hidden]).tolist() == [255]


LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "planar": {"planarconfig": "separate"},
    "deflated": {"compression": "zlib", "predictor": 2},
    "LZW": {"compression": "lzw"},
    "tiles": {"tile": (16, 16)},
    "BigTIFF": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("deep", [False, True])
def test_layouts_of_tiff(tmp_path: Path, layout: str, deep: bool) -> None:
    rgb = DEEP[..., :3] if deep else RGB
    if layout in ("LZW", "deflated"):
        pytest.importorskip("imagecodecs", reason="tifffile needs it for this layout")
    data = np.moveaxis(rgb, -1, 0).copy() if layout == "planar" else rgb
    tifffile.imwrite(tmp_path / "x.tif", data, photometric="rgb", **LAYOUTS[layout])
    np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").pixels, rgb)


@pytest.mark.parametrize("deep", [False, True])
def test_grey_tiff_may_be_white_at_zero(tmp_path: Path, deep: bool) -> None:
    grey = (DEEP if deep else RGB)[..., 0]
    for kind, stored in (("minisblack", grey), ("miniswhite", np.iinfo(grey.dtype).max - grey)):
        tifffile.imwrite(tmp_path / "x.tif", stored, photometric=kind)
        np.testing.assert_array_equal(read_picture(tmp_path / "x.tif").pixels[..., 0], grey)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha", "unspecified"])
def test_the_last_sample_of_tiff_is_what_the_file_says(
    tmp_path: Path, deep: bool, grey: bool, extra: str
) -> None:
    image = (DEEP if deep else np.dstack([RGB, 255 - RGB[..., 0]]))[..., 0 if grey else slice(4)]
    image = np.dstack([image, 255 - RGB[..., 0]]).astype(image.dtype) if grey else image.copy()
    limit = np.iinfo(image.dtype).max
    image[..., -1] = image[..., -1] // 2 + limit // 2  # where alpha is low, rounding shows
    stored = image.copy()
    if extra == "assocalpha":
        opaque = image[..., -1:] / limit
        stored[..., :-1] = (image[..., :-1] * opaque).round()
    kind = "minisblack" if grey else "rgb"
    tifffile.imwrite(
        tmp_path / "x.tif", stored, photometric=kind, planarconfig="contig", extrasamples=[extra]
    )
    read = read_picture(tmp_path / "x.tif").pixels
    expected = image[..., :-1] if extra == "unspecified" else image
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= 2 * (extra == "assocalpha")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tif", "deep.png", "deep.tif"])
def test_the_orientation_is_applied_once(tmp_path: Path, name: str, orientation: int) -> None:
    exif, path = Image.Exif(), tmp_path / name
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    wide = RGB.astype(np.uint16) * 257
    if name == "deep.png":
        path.write_bytes(png(wide, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
    elif name == "deep.tif":
        tags = [(0x0112, 3, 1, orientation, True), (0x010F, 2, 0, "Camera", True)]
        tifffile.imwrite(path, wide, photometric="rgb", extratags=tags)
    else:
        save(path, RGB, exif=exif, **({"lossless": True} if name == "x.webp" else {}))
    picture = read_picture(path)
    turned = TURNS[orientation].astype(int) * (257 if name.startswith("deep") else 1)
    np.testing.assert_array_equal(picture.pixels, turned)
    kept = Image.Exif()
    kept.load(picture.metadata.blocks["exif-data"])
    assert kept[0x010F] == "Camera"
    assert 0x0112 not in kept


def test_cmyk_becomes_rgb_without_its_profile(tmp_path: Path) -> None:
    image = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    for name in ("x.jpg", "x.tif"):
        picture = read_picture(save(tmp_path / name, image, quality=100))
        assert picture.pixels.shape == (4, 4, 3)
        assert picture.pixels[0, 0, 0] > 200 > 60 > picture.pixels[0, 0, 1]
        assert "icc-profile-data" not in picture.metadata.blocks


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.avif", "x.jp2"])
def test_the_profile_comes_along(tmp_path: Path, name: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read_picture(save(tmp_path / name, random_photo(64, 64), icc_profile=profile))
    if name != "x.jp2":  # Pillow writes no profile into it
        assert picture.metadata.blocks["icc-profile-data"] == profile


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_bits_reaches_from_black_to_white(tmp_path: Path, bits: int) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16)
    image = pyvips.Image.new_from_array(np.tile(ramp[None, :, None], (64, 1, 3)))
    image.copy(interpretation="rgb16").heifsave(
        str(tmp_path / "x.avif"), compression="av1", bitdepth=bits, lossless=True
    )
    read = read_picture(tmp_path / "x.avif").pixels
    assert read.dtype == np.uint16
    assert (read.min(), read.max()) == (0, 65535)
    assert np.abs(read.astype(int) - ramp[None, :, None]).max() < 65536 / 2**bits * 3


def test_heic_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("pillow_heif", reason='comes with the extra "heic"')
    photo = skimage_data.chelsea()[:64, :96]
    file, exif = BytesIO(), Image.Exif()
    exif[0x010F] = "Phone"
    image = plugin.from_pillow(Image.fromarray(photo))
    image.save(file, quality=95, exif=exif.tobytes())
    (tmp_path / "a.heic").write_bytes(file.getvalue())
    picture = read_picture(tmp_path / "a.heic")
    assert picture.pixels.shape == photo.shape
    assert np.abs(picture.pixels.astype(int) - photo).mean() < 4
    assert picture.metadata.blocks["exif-data"]
    assert count_pixels(tmp_path / "a.heic") == 64 * 96
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadImage, match=r"HEIC needs a package: pip install 'sr_gan\[heic\]'"):
        decode(tmp_path / "a.heic")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    for value in (10, 200):
        save(tmp_path / "a.png", np.full((8, 8), value, np.uint8))
        assert np.unique(decode(tmp_path / "a.png")).tolist() == [value]


@pytest.mark.parametrize("name", ["a[1].png", "a.png[page=1]", "a:b.png", "\udcff.png", "é 日.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    """libvips takes brackets after a name for options, and names in other encodings for errors."""
    path = tmp_path / name
    path.write_bytes(png(RGB))
    assert np.array_equal(pixels(path), RGB)
