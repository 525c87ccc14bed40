"""What is written, other programs read: Pillow, tifffile and torchvision are the judges."""

import errno
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image, ImageCms
from skimage import data as skimage_data
from torchvision.io import ImageReadMode, decode_png

from sr_gan.images import write as module
from sr_gan.images.decode import BadImage, read_picture
from sr_gan.images.metadata import Metadata
from sr_gan.images.write import FORMATS, Layout, write_picture
from tests.conftest import random_photo
from tests.images.made_files import chunk, exif_block, png

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
IPTC = b"\x1c\x02\x05\x00\x05hello"
EXIF, LEFT = exif_block()
DPI = (300 / 25.4, 150 / 25.4)
GAMMA = chunk(b"gAMA", (100_000).to_bytes(4, "big"))
SUFFIXES = [".png", ".tif", ".webp", ".avif", ".bmp", ".jpg"]


def pixels(channels: int, bits: int, height: int = 150, width: int = 38) -> np.ndarray:
    """A photograph that lossy formats keep well, with a ramp of alpha."""
    photo = skimage_data.chelsea()[60 : 60 + height, 100 : 100 + width]
    colours = photo if channels > 2 else photo[..., :1]
    ramp = np.linspace(255, 0, height).astype(np.uint8)[:, None, None]
    alpha = np.broadcast_to(ramp, (height, width, 1))
    values = np.concatenate([colours, alpha], axis=2)[..., :channels]
    return values.astype(np.uint16) * 257 - (values % 7) if bits == 16 else values


def written(
    folder: Path, suffix: str, image: np.ndarray, band: int = 40, **metadata: Any
) -> tuple[Path, list[str]]:
    height, width, channels = image.shape
    layout = Layout(width, height, channels, image.dtype.itemsize * 8, Metadata(**metadata))
    bands = (image[top : top + band] for top in range(0, height, band))
    path = folder / f"x{suffix}"
    with path.open("w+b") as file:
        notes = write_picture(file, suffix, layout, bands)
    return path, notes


def flat(image: np.ndarray, suffix: str) -> np.ndarray:
    """What a format can hold of (H, W, C), in 0 to 255."""
    values = image / (257 if image.dtype == np.uint16 else 1)
    if image.shape[2] in (2, 4) and not FORMATS[suffix].alpha:
        alpha = values[..., -1:] / 255
        values = values[..., :-1] * alpha + 255 * (1 - alpha)
    return values


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_back(
    tmp_path: Path, suffix: str, channels: int, bits: int
) -> None:
    image = pixels(channels, bits)
    path, notes = written(tmp_path, suffix, image)
    assert notes == []
    kind, read = FORMATS[suffix], read_picture(path).pixels
    assert read.dtype.itemsize * 8 == min(bits, kind.bits)
    if suffix in (".png", ".tif"):
        np.testing.assert_array_equal(read, image)
        return
    expected = flat(image, suffix)
    if suffix in (".webp", ".avif") and channels < 3:  # they have no grey
        expected = np.concatenate([expected[..., :1]] * 3 + [expected[..., 1:]], axis=2)
    assert read.shape == expected.shape
    difference = np.abs(read / (257 if read.dtype == np.uint16 else 1) - expected)
    assert difference.max() <= 0.51 if suffix == ".bmp" else difference.mean() < 2.5


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pillow_reads_what_was_written(tmp_path: Path, suffix: str, channels: int) -> None:
    image = pixels(channels, 8)
    with Image.open(written(tmp_path, suffix, image)[0]) as opened:
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[flat(image, suffix).shape[2]]
        read = np.asarray(opened.convert(mode)).reshape(flat(image, suffix).shape)
    difference = np.abs(read - flat(image, suffix))
    exact = {".png": 0, ".tif": 0, ".bmp": 0.51}
    assert difference.max() <= exact[suffix] if suffix in exact else difference.mean() < 2.5


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_readers_of_sixteen_bits(tmp_path: Path, channels: int) -> None:
    image = pixels(channels, 16)
    path, _ = written(tmp_path, ".png", image)
    content = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    read = decode_png(content, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(read, image)
    path.unlink()
    with tifffile.TiffFile(written(tmp_path, ".tif", image)[0]) as file:
        np.testing.assert_array_equal(file.pages.first.asarray().reshape(image.shape), image)
        kinds = [int(kind) for kind in file.pages.first.extrasamples]
        assert kinds == ([2] if channels in (2, 4) else [])  # not associated


@pytest.mark.parametrize("band", [1, 40, 1000])
def test_bands_of_any_height(tmp_path: Path, band: int) -> None:
    image = pixels(3, 8)
    path, _ = written(tmp_path, ".png", image, band)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


# Format, and which of ICC, EXIF, XMP, IPTC, resolution and texts it holds.
HELD = {
    ".png": "icc exif xmp resolution texts gamma",
    ".tif": "icc exif xmp iptc resolution",
    ".jpg": "icc exif xmp resolution",
    ".webp": "icc exif xmp resolution",
    ".avif": "icc exif xmp resolution",
    ".bmp": "resolution",
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_come_along(tmp_path: Path, suffix: str, bits: int) -> None:
    blocks = {"icc-profile-data": ICC, "exif-data": EXIF, "xmp-data": XMP, "iptc-data": IPTC}
    texts = chunk(b"iTXt", b"parameters" + bytes(5) + "a cat, 日本".encode())
    path, notes = written(
        tmp_path, suffix, pixels(3, bits), blocks=blocks, chunks=texts, resolution=DPI
    )
    held = HELD[suffix].split()
    held_otherwise = "its IPTC data are left out: JPEG holds them in another form"
    assert notes == ([held_otherwise] if suffix == ".jpg" else [])
    image = Image.open(path)
    assert ("icc" in held) == (image.info.get("icc_profile") == ICC)
    exif = image.getexif()
    assert ("exif" in held) == (exif.get(0x013B) == LEFT["Artist"])
    assert ("exif" in held) == (exif.get(0x010F) == LEFT["Make"])
    inner, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    assert ("exif" in held) == (inner.get(0xA434) == LEFT["Lens"])
    if "exif" in held:
        assert float(inner[0x829A]) == pytest.approx(1 / 250, rel=1e-3)
        assert [float(part) for part in place[2]] == [47.0, 22.0, 30.5]
        assert exif.get(0x0112, 1) == 1
    xmp = image.info.get("xmp", image.info.get("XML:com.adobe.xmp", b""))
    assert ("xmp" in held) == (xmp in (XMP, XMP.decode()))
    assert ("iptc" in held) == (b"hello" in path.read_bytes())
    if "resolution" in held:
        stated: Any = image.info.get("dpi") or (exif.get(0x011A), exif.get(0x011B))
        assert [float(each) for each in stated] == pytest.approx([300, 150], rel=1e-3)
    if "texts" in held:
        assert image.info["parameters"] == "a cat, 日本"
    again = read_picture(path).metadata
    assert (again.chunks == texts) == ("texts" in held)
    assert ("iptc" in held) == (again.blocks.get("iptc-data", b"").rstrip(b"\0") == IPTC)
    assert again.blocks.get("icc-profile-data", b"") == (ICC if "icc" in held else b"")
    assert ("exif-data" in again.blocks) == ("exif" in held)
    assert again.resolution == (pytest.approx(DPI, rel=1e-3) if "resolution" in held else None)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_invented(tmp_path: Path, suffix: str) -> None:
    path, _ = written(tmp_path, suffix, pixels(3, 8))
    image = Image.open(path)
    if suffix not in (".tif", ".bmp"):  # their files always state a resolution
        assert not image.getexif()
        assert image.info.get("dpi") is None
        assert read_picture(path).metadata == Metadata()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_notes_of_a_camera_are_kept_as_they_are(tmp_path: Path, suffix: str) -> None:
    exif, note = Image.Exif(), b"no form that a library knows" * 100
    exif[0x010F], exif[0x4746] = "Canon", 5
    exif.get_ifd(0x8769)[0x927C] = note
    path, notes = written(tmp_path, suffix, pixels(3, 8), blocks={"exif-data": exif.tobytes()})
    assert notes == []
    kept = Image.open(path).getexif()
    assert kept.get_ifd(0x8769) == {0x927C: note}
    assert (kept[0x010F], kept[0x4746]) == ("Canon", 5)


def test_texts_that_are_compressed(tmp_path: Path) -> None:
    """They are kept, unless one would become too large for other readers."""
    source = tmp_path / "source.png"
    small, large = (zlib.compress(b"a cat" * times) for times in (100, 10**7))
    texts = [(b"zTXt", b"prompt\0\0" + small), (b"iTXt", b"it\0\1\0\0\0" + small)]
    source.write_bytes(png(random_photo(8, 8), *texts, (b"zTXt", b"bomb\0\0" + large)))
    chunks = read_picture(source).metadata.chunks
    source.unlink()
    image: Any = Image.open(written(tmp_path, ".png", pixels(3, 8), chunks=chunks)[0])
    assert {key: str(text) for key, text in image.text.items()} == {
        "prompt": "a cat" * 100,
        "it": "a cat" * 100,
    }


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jpg", ".png"])
def test_a_resolution_in_exif(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 120.0, 2
    Image.fromarray(random_photo(64, 64)).save(tmp_path / f"a{suffix}", exif=exif)
    resolution = read_picture(tmp_path / f"a{suffix}").metadata.resolution
    assert resolution == pytest.approx((240 / 25.4, 120 / 25.4), rel=1e-3)


def test_iptc_of_a_jpeg_stays_in_a_jpeg(tmp_path: Path) -> None:
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x0a" + IPTC
    path, notes = written(tmp_path, ".jpg", pixels(3, 8), blocks={"iptc-data": iptc})
    assert notes == []
    assert Image.open(path).info["photoshop"][0x0404] == IPTC
    assert read_picture(path).metadata.blocks["iptc-data"] == iptc


def test_a_second_reader_finds_exif_in_tiff(tmp_path: Path) -> None:
    path, _ = written(tmp_path, ".tif", pixels(4, 16), blocks={"exif-data": EXIF})
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        assert (tags[0x013B].value, tags[0x010F].value) == ("Zoe", "Camera")
        assert tags[0x8769].value["LensModel"] == LEFT["Lens"]
        assert list(tags.keys()) == sorted(tags.keys())  # as the format demands
        np.testing.assert_array_equal(file.pages.first.asarray(), pixels(4, 16))


def test_a_large_tiff_has_offsets_of_64_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGE", 1000)
    path, notes = written(tmp_path, ".tif", pixels(3, 8), blocks={"exif-data": EXIF})
    assert notes == ["its EXIF and IPTC data are left out, because it is a BigTIFF"]
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.asarray(), pixels(3, 8))


def test_what_colours_mean_stays_in_a_png(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    hdr = (b"cICP", bytes([9, 16, 0, 1]))
    for chunks in ([(b"gAMA", (100_000).to_bytes(4, "big"))], [hdr, (b"cLLI", bytes(8))]):
        source.write_bytes(png(random_photo(8, 8), *chunks))
        metadata = read_picture(source).metadata
        source.unlink()
        path, notes = written(tmp_path, ".png", pixels(3, 8), chunks=metadata.chunks)
        assert notes == []
        assert read_picture(path).metadata.chunks == metadata.chunks
        assert metadata.chunks == b"".join(chunk(*each) for each in chunks)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels(3, 8))
        path.unlink()
        path, notes = written(tmp_path, ".jpg", pixels(3, 8), chunks=metadata.chunks)
        assert notes == [
            "it may look different: JPEG cannot hold its gamma or HDR chunks, but PNG can"
        ]
        path.unlink()
    plain = chunk(b"gAMA", (45_455).to_bytes(4, "big"))  # that of sRGB: nothing is lost
    assert written(tmp_path, ".jpg", pixels(3, 8), chunks=plain)[1] == []


def test_metadata_that_a_format_does_not_take_never_fail_the_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x927C] = bytes(70_000)
    blocks = {"exif-data": exif.tobytes(), "icc-profile-data": ICC}
    path, notes = written(tmp_path, ".jpg", pixels(3, 8), blocks=blocks)
    assert notes == ["its EXIF data are left out: JPEG takes 65527 bytes at most"]
    assert Image.open(path).info["icc_profile"] == ICC
    path.unlink()
    for name in ("icc-profile-data", "xmp-data", "iptc-data"):  # EXIF that is damaged is not kept
        for rubbish in (b"x", b"\xff" * 300_000):
            for suffix in SUFFIXES:
                path, _ = written(tmp_path, suffix, pixels(3, 8), blocks={name: rubbish})
                difference = read_picture(path).pixels.astype(int) - pixels(3, 8)
                assert np.abs(difference).mean() < 2.5, (name, suffix)
                path.unlink()

    def refuse(self: Metadata, image: pyvips.Image) -> pyvips.Image:
        if self.blocks:
            raise pyvips.Error("unable to write\n  a reason")
        return image

    monkeypatch.setattr(Metadata, "put_on", refuse)
    path, notes = written(tmp_path, ".png", pixels(3, 8), blocks={"xmp-data": XMP})
    assert notes == ["PNG does not take its metadata, which are left out: a reason"]


def test_a_full_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    for suffix in (".png", ".tif", ".jpg", ".webp"):
        layout = Layout(38, 150, 3, 8)
        with (
            Full(tmp_path / f"x{suffix}", "w+") as file,
            pytest.raises(OSError, match="No space left on device"),
        ):
            write_picture(file, suffix, layout, [pixels(3, 8)])


def test_png_is_as_small_as_pillows(tmp_path: Path) -> None:
    image = skimage_data.chelsea()
    theirs = io.BytesIO()
    Image.fromarray(image).save(theirs, "PNG")
    path, _ = written(tmp_path, ".png", image)
    assert path.stat().st_size < 1.2 * len(theirs.getvalue())


def test_jpeg_is_as_good_as_pillows(tmp_path: Path) -> None:
    image, theirs = skimage_data.chelsea(), io.BytesIO()
    Image.fromarray(image).save(theirs, "JPEG", quality=95, subsampling=0)
    path, _ = written(tmp_path, ".jpg", image)
    errors = [
        np.square(np.asarray(Image.open(file)).astype(float) - image).mean()
        for file in (path, theirs)
    ]
    assert errors[0] < 1.05 * errors[1]
    assert path.stat().st_size < 1.05 * len(theirs.getvalue())


@pytest.mark.parametrize(
    ("suffix", "name"), [(".webp", "WEBP"), (".avif", "AVIF"), (".bmp", "BMP")]
)
def test_a_picture_too_large_for_its_format(suffix: str, name: str) -> None:
    layout = Layout(40_000, 10, 3, 8)
    with pytest.raises(BadImage, match=rf"40000x10 pixels is too large for {name}.*format=png"):
        write_picture(io.BytesIO(), suffix, layout, iter(()))


def test_several_pictures_at_once(tmp_path: Path) -> None:
    def one(number: int) -> bool:
        folder = tmp_path / str(number)
        folder.mkdir()
        path, _ = written(folder, ".png", pixels(3, 8))
        return bool((np.asarray(Image.open(path)) == pixels(3, 8)).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(12)))
