import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from skimage import data as skimage_data

from sr_gan.images import decode as module
from sr_gan.images.decode import BadImage, count_pixels, decode, own_size_limit
from sr_gan.images.find import EXTENSIONS
from sr_gan.images.picture import read_picture
from tests.conftest import ROOT, random_photo


def save(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def pixels(path: Path) -> np.ndarray:
    """Decodes a file to (H, W, 3), the order of NumPy and Pillow."""
    result: np.ndarray = decode(path).transpose(1, 2, 0)
    return result


def grey(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[..., :1], 3, axis=2)


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def claim(width: int, height: int) -> bytes:
    """Returns a PNG of about a hundred bytes whose header claims the given size."""

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(50)))


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


@pytest.mark.parametrize("reader", ["imagecodecs", "torchvision", "Pillow"])
def test_every_png_reader_gives_the_same(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain PNGs go to a fast reader, unusual ones to Pillow."""
    if reader == "imagecodecs":
        pytest.importorskip("imagecodecs", reason='comes with the extra "fast"')
    if reader == "torchvision":
        monkeypatch.setattr(module, "imagecodecs", None)
    if reader == "Pillow":
        monkeypatch.setattr(module, "_plain_png", lambda path, image: None)
    array = random_photo(33, 47)
    whole = save(tmp_path / "a.png", array)
    assert np.array_equal(pixels(whole), array)
    turned = Image.Exif()
    turned[0x0112] = 6
    assert np.array_equal(pixels(save(tmp_path / "t.png", array, exif=turned)), np.rot90(array, -1))
    text = PngInfo()
    text.add_text("Comment", "text" * 100)
    assert np.array_equal(pixels(save(tmp_path / "c.png", array, pnginfo=text)), array)
    keyed = save(tmp_path / "k.png", np.zeros((8, 8, 3), np.uint8), transparency=(0, 0, 0))
    assert np.unique(pixels(keyed)).tolist() == [255]
    data = whole.read_bytes()
    for end in range(60, len(data) - 30, 97):
        (tmp_path / "cut.png").write_bytes(data[:end])
        with pytest.raises(BadImage):
            decode(tmp_path / "cut.png")


def test_plain_pngs_do_go_to_the_fast_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", random_photo(33, 47))
    monkeypatch.setattr(module, "_decode_png", lambda data: torch.full((3, 33, 47), 7))
    assert np.unique(decode(path)).tolist() == [7]


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
    for name, reason, lasting in [
        ("text.png", "not an image", True),
        ("empty.png", "not an image", True),
        ("cut.png", "truncated", True),
        ("cut.jpg", "truncated", True),
        ("link.png", "a broken link", False),
        ("none.png", "no such file", False),
        ("folder.png", "not a regular file", True),
        ("pipe.png", "not a regular file", True),
        ("float.tif", "floating-point pixels, whose range is unknown", True),
        ("wide.tif", "32-bit pixels, whose range is unknown", True),
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

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(BadImage, match=r"^Permission denied$") as error:
        decode(path)
    assert not error.value.lasting


def test_refuses_decompression_bombs_before_decoding(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(claim(60_000, 60_000))
    with (
        own_size_limit(),
        pytest.raises(BadImage, match=r"60000x60000 pixels, more than data\.max"),
    ):
        decode(bomb)
    with own_size_limit():
        assert count_pixels(bomb) == 3_600_000_000
    bomb.write_bytes(claim(16_000, 16_000))  # above Pillow's limit, below the user's
    with own_size_limit(), pytest.raises(BadImage, match="truncated"):
        decode(bomb, max_megapixels=300)
    small = save(tmp_path / "small.png", random_photo(20, 20))
    with pytest.raises(BadImage, match=r"20x20 pixels, more than data.max_megapixels=0.0001"):
        decode(small, max_megapixels=0.0001)


def test_colour_profiles_are_left_alone(tmp_path: Path) -> None:
    array = random_photo(8, 8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(pixels(save(tmp_path / "a.png", array, icc_profile=profile)), array)


def test_a_png_whose_data_end_properly_too_soon(tmp_path: Path) -> None:
    """Pillow takes it, and makes the rest black."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    noise = np.random.default_rng(0).bytes(32 * (1 + 3 * 64))  # half of the rows
    rows = b"".join(b"\0" + noise[i * 192 : i * 192 + 192] for i in range(32))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    (tmp_path / "a.png").write_bytes(data + chunk(b"IEND", b""))
    with pytest.raises(BadImage, match=r"damaged|truncated") as error:
        decode(tmp_path / "a.png")
    assert error.value.lasting


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
def test_full_memory_says_nothing_about_the_file(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(data: bytes) -> None:
        raise error

    monkeypatch.setattr(module, "_decode_png", full)
    with pytest.raises(BadImage, match="memory is full") as raised:
        decode(save(tmp_path / "a.png", random_photo(8, 8)))
    assert not raised.value.lasting


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_extension_is_read(tmp_path: Path, extension: str) -> None:
    image = Image.fromarray(random_photo(16, 16)).convert("1" if extension == ".pbm" else "RGB")
    kind = {".jfif": "JPEG", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM"}.get(extension)
    path = save(tmp_path / f"a{extension}", image, **({"format": kind} if kind else {}))
    assert decode(path).shape == (3, 16, 16)
    assert count_pixels(path) == 256


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
