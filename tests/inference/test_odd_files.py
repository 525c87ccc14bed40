"""One folder with an image of every kind, enlarged by one command: each shows the same picture.

The picture is known, and other programs read the results, so no reader of ours is the judge.
"""

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from tests.conftest import Shell
from tests.images.made_files import claim, exif_block, png, twelve_bits

Y, X = np.mgrid[0:40, 0:60]
RGB = np.stack([X * 4, Y * 6, 128 + 100 * np.sin(X / 5 + Y / 7)], -1).astype(np.uint8)
DEEP = RGB.astype(np.uint16) * 257
ALPHA = np.clip(X * 8, 0, 255).astype(np.uint8)
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # what turns upright by EXIF's tag
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
REFUSED = {
    "twelve.tif": "samples of 12 bits: save it with 8 or 16",
    "float.tif": "pixels of type float, whose range is unknown: save it with 8 or 16 bits",
    "claims.png": "1048576x1048576 pixels, more than max_megapixels=179",
    "cut.jpg": "damaged, cut off",
    "cut.tif": "truncated",
    "text.png": "not an image",
    "empty.jpg": "not an image",
    "icon.png": "not an image",
}


def oriented(folder: Path) -> None:
    exif = Image.Exif()
    for turn, stored in STORED.items():
        exif[0x0112] = turn
        pixels = np.ascontiguousarray(stored(RGB))
        for kind in ("png", "jpg", "tif"):
            options: dict[str, Any] = {"quality": 98, "subsampling": 0} if kind == "jpg" else {}
            Image.fromarray(pixels).save(folder / f"turned{turn}.{kind}", exif=exif, **options)
        wide, block = pixels.astype(np.uint16) * 257, exif.tobytes().removeprefix(b"Exif\0\0")
        (folder / f"turned{turn}deep.png").write_bytes(png(wide, (b"eXIf", block)))
        tags = [(0x0112, 3, 1, turn, True)]
        tifffile.imwrite(folder / f"turned{turn}deep.tif", wide, photometric="rgb", extratags=tags)


def modes(folder: Path) -> None:
    """Every mode of Pillow in every format that takes it."""
    image = Image.fromarray(RGB)
    image.putalpha(Image.fromarray(ALPHA))
    for mode in ("L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "PA", "I;16"):
        converted = image.convert("L" if mode == "I;16" else mode if mode.endswith("A") else "RGB")
        if mode == "I;16":
            converted = Image.fromarray(np.asarray(converted).astype(np.uint16) * 257)
        elif mode == "LAB":
            srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
            converted = ImageCms.profileToProfile(converted, srgb, lab, outputMode="LAB")  # type: ignore[assignment]
        elif converted.mode != mode:
            converted = converted.convert(mode)
        for kind in ("png", "tif", "jpg", "webp", "bmp", "gif", "jp2", "avif", "ppm"):
            options: dict[str, Any] = {"quality": 98} if kind in ("jpg", "webp", "avif") else {}
            name = f"{mode.replace(';', '')}.{kind}"
            try:
                converted.save(folder / name, **options)
            except (OSError, ValueError, KeyError):
                (folder / name).unlink(missing_ok=True)  # the format does not take this mode


def layouts(folder: Path) -> None:
    write = tifffile.imwrite
    write(
        folder / "planar.tif", DEEP.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    write(folder / "white at zero.tif", 65535 - DEEP[..., 0], photometric="miniswhite")
    write(folder / "tiles.tif", DEEP, photometric="rgb", tile=(16, 16))
    write(folder / "BigTIFF.tif", DEEP, photometric="rgb", bigtiff=True)
    write(folder / "big-endian.tif", DEEP, photometric="rgb", byteorder=">")
    fourth = np.dstack([DEEP, ALPHA.astype(np.uint16) * 257])
    associated = fourth.astype(float)
    associated[..., :3] *= associated[..., 3:] / 65535
    for kind, pixels in {
        "assocalpha": associated,
        "unassalpha": fourth,
        "unspecified": fourth,
    }.items():
        rounded = pixels.round().astype(np.uint16)
        write(folder / f"{kind}.tif", rounded, photometric="rgb", extrasamples=[kind])
    (folder / "grey and alpha.png").write_bytes(png(fourth[..., [0, 3]]))
    (folder / "gamma.png").write_bytes(png(RGB, (b"gAMA", struct.pack(">I", 100_000))))
    (folder / "HDR.png").write_bytes(png(RGB, (b"cICP", bytes([9, 16, 0, 1]))))
    hidden = RGB.copy()
    hidden[:10] = 255, 0, 255
    (folder / "keyed.png").write_bytes(png(hidden, (b"tRNS", struct.pack(">HHH", 255, 0, 255))))
    Image.fromarray(RGB).save(folder / "interlaced.gif", interlace=1)
    Image.fromarray(RGB).save(folder / "progressive.jpg", quality=98, progressive=True)
    Image.fromarray(RGB).save(folder / "wrong name.jpg", format="PNG", exif=exif_block()[0])
    frames = [Image.fromarray(RGB), Image.new("RGB", (60, 40))]
    for kind in ("gif", "png", "webp", "tif"):
        frames[0].save(folder / f"animated.{kind}", save_all=True, append_images=frames[1:])


def useless(folder: Path) -> None:
    (folder / "twelve.tif").write_bytes(twelve_bits(RGB[..., 0]))
    tifffile.imwrite(folder / "float.tif", RGB[..., 0].astype(np.float32))
    (folder / "claims.png").write_bytes(claim(2**20, 2**20))
    for name in ("progressive.jpg", "tiles.tif"):
        data = (folder / name).read_bytes()
        (folder / f"cut{Path(name).suffix}").write_bytes(data[: len(data) // 2])
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").touch()
    Image.fromarray(RGB).save(folder / "icon.png", format="ICO")


def shown(path: Path) -> np.ndarray:
    """Reads a file with Pillow or tifffile, over white: float (H, W, 3) in 0 to 255."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages.first
            values = page.asarray().astype(float) / (257 if page.bitspersample == 16 else 1)
        values = values if values.ndim == 3 else values[..., None]
        colours = values[..., :3] if values.shape[2] > 2 else values[..., :1]
        alpha = values[..., -1:] / 255 if values.shape[2] in (2, 4) else 1
    else:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                colours, alpha = np.asarray(image)[..., None] / 257, np.ones(1)
            else:
                values = np.asarray(image.convert("RGBA")).astype(float)
                colours, alpha = values[..., :3], values[..., 3:] / 255
    white: np.ndarray = np.broadcast_to(
        colours * alpha + 255 * (1 - alpha), (*colours.shape[:2], 3)
    )
    return white


def expected(path: Path) -> np.ndarray:
    """The picture over white, as far as the file holds it: float (40, 60, 3)."""
    name, picture = path.name, RGB.astype(float)
    if re.match(r"(L|LA|P|PA|RGBA|I16)\.", name) and path.suffix != ".tif":
        return shown(path)  # some of these formats lack alpha, or have few colours
    if name.startswith("white at"):
        picture = picture[..., :1]
    elif name.startswith(("L.", "I16.", "LA.")):
        picture = np.asarray(Image.fromarray(RGB).convert("L")).astype(float)[..., None]
    elif name.startswith("P."):
        picture = np.asarray(Image.open(path).convert("RGB")).astype(float)
    elif name.startswith("grey and"):
        picture = picture[..., :1]
    alpha = ALPHA[..., None] / 255
    if name.startswith(("LA.", "RGBA.", "PA.", "grey and", "assocalpha", "unassalpha")):
        picture = picture * alpha + 255 * (1 - alpha)
    if name.startswith("keyed"):
        picture[:10] = 255
    return np.broadcast_to(picture, (40, 60, 3))


def test_every_kind_of_file(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for make in (oriented, modes, layouts, useless):
        make(folder)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) > 100
    code, out, err = shell("upscale", "model=bicubic", "scale=2", "input=in", "output=out")
    assert code == 1
    assert "Traceback" not in err + out
    lines = [line for line in err.splitlines() if line.startswith("failed  in/")]
    failed = dict(line.removeprefix("failed  in/").split(": ", 1) for line in lines)
    assert failed.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason in failed[name], name
    assert err.splitlines()[-1] == f"error: {len(REFUSED)} of {len(names)} images failed, see above"
    wrong = {}
    for name in set(names) - REFUSED.keys():
        stem, suffix = name.rsplit(".", 1)
        own = tmp_path / "out" / name
        result = own if own.is_file() else next((tmp_path / "out").glob(f"{stem}_{suffix}.*"), None)
        result = result or tmp_path / "out" / f"{stem}.png"
        large = shown(result)
        if large.shape != (80, 120, 3):
            wrong[name] = str(large.shape)
            continue
        small = large.reshape(40, 2, 60, 2, 3).mean(axis=(1, 3))
        difference = np.abs(small - expected(folder / name))[3:-3, 3:-3].mean()
        coarse = name.startswith(("P.", "PA.", "keyed")) or name.endswith(("gif", "CMYK.jpg"))
        if difference > (8 if coarse else 4):  # edges of few colours
            wrong[name] = f"{difference:.1f}"
    assert not wrong, str(wrong)


@pytest.mark.parametrize("size", ["[1, 1]", "[1, 9]", "[3, 2]"])
def test_the_smallest_pictures(shell: Shell, tmp_path: Path, size: str) -> None:
    height, width = (int(side) for side in size.strip("[]").split(","))
    for kind in ("png", "jpg", "tif", "webp", "avif", "bmp"):
        Image.fromarray(RGB[:height, :width]).save(tmp_path / f"a.{kind}")
        code, _, err = shell("upscale", "model=bicubic", f"input=a.{kind}", f"output=b.{kind}")
        assert code == 0, err
        assert Image.open(tmp_path / f"b.{kind}").size == (4 * width, 4 * height)
