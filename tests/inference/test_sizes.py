"""Results of any size, against MATLAB's reduction by whole factors and Pillow's by any other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from sr_gan.images.pixels import Pixels
from sr_gan.images.resize import downscale
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.inference.sizes import reduced
from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Options, Size
from tests.conftest import Shell, random_photo


def bands(image: Pixels, *heights: int) -> Iterator[Pixels]:
    yield from np.split(image, np.cumsum(heights))


def whole(image: Pixels, size: tuple[int, int], *heights: int) -> Pixels:
    parts = list(reduced(bands(image, *heights), image.shape, size))
    assert all(len(part) for part in parts)
    return np.concatenate(parts)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_whole_factors_are_matlabs(factor: int) -> None:
    image = random_photo(24 * factor, 20 * factor).astype(np.float64) / 255
    result = whole(image, (24, 20), 7, 50 // factor, 1)
    given = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = downscale(given, factor)[0].permute(1, 2, 0).clamp(0, 1)
    np.testing.assert_allclose(result, expected, atol=2e-6)


@pytest.mark.parametrize("size", [(100, 150), (97, 61), (128, 199), (33, 200), (1, 1)])
def test_any_other_is_pillows_but_for_the_borders(size: tuple[int, int]) -> None:
    """Pillow's kernel ends at the border, while MATLAB mirrors the image there."""
    image = astronaut()[100:228, 150:350]
    result = whole(image, size, 5, 64, 1).astype(float)
    height, width = size
    channels = [
        Image.fromarray(image[..., c].astype(np.float32)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for c in range(3)
    ]
    expected = np.stack([np.asarray(channel) for channel in channels], axis=2)
    border = (slice(3, -3), slice(3, -3)) if min(size) > 6 else (slice(None), slice(None))
    assert np.abs(result - expected.clip(0, 255))[border].max() < (0.51 if min(size) > 6 else 5)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_bands_do_not_show(kind: str, channels: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((150, 30, channels))
    image = (image * np.iinfo(kind).max if kind != "float32" else image).astype(kind)
    result = whole(image, (47, 29))
    for heights in [(1,) * 149, (75,), (149,), (10, 100)]:
        np.testing.assert_array_equal(whole(image, (47, 29), *heights), result)
    assert result.dtype == image.dtype
    assert result.shape == (47, 29, channels)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(), (40, 80)),
        (Size(outscale=2), (20, 40)),
        (Size(outscale=1.26), (13, 25)),
        (Size(outscale=0.01), (1, 1)),
        (Size(width=50), (25, 50)),
        (Size(height=39), (39, 78)),
        (Size(width=30, height=40), (40, 30)),
        (Size(longest=80), (40, 80)),
    ],
)
def test_sizes(size: Size, expected: tuple[int, int]) -> None:
    assert size.of((10, 20), 4) == expected
    assert Size(longest=50).of((20, 10), 4) == (50, 25)


@pytest.mark.parametrize("size", [{"outscale": 4.1}, {"width": 81}, {"height": 41, "width": 3}])
def test_no_result_is_larger_than_what_the_network_makes(size: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="20x10 pixels become 80x40 at most"):
        Size(**size).of((10, 20), 4)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"width": 0}, "width=0: should be greater than 0"),
        ({"outscale": float("nan")}, "outscale=nan: should be a finite number"),
        ({"outscale": 2, "longest": 10}, "outscale=2 and longest=10: give one of"),
        ({"width": 2, "height": 4, "longest": 3}, "give one of"),
    ],
)
def test_refuses(size: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Size(**size)


def test_an_upscaler_gives_any_size_of_any_type() -> None:
    upscaler = Upscaler(load_pretrained("bicubic", 4), Options(tile=16))
    pixels = random_photo(30, 20)
    large = upscaler(pixels)
    expected = whole(large, (45, 30))
    size = Size(outscale=1.5)
    np.testing.assert_array_equal(upscaler(pixels, size), expected)
    np.testing.assert_array_equal(np.asarray(upscaler(Image.fromarray(pixels), size)), expected)
    tensor = upscaler(torch.from_numpy(pixels).permute(2, 0, 1), size)
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), expected)
    grey = upscaler(pixels[..., 0], Size(width=10, height=70))
    assert grey.shape == (70, 10)


def test_the_command_makes_the_size_that_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    """The model has scale factor 4. The setting ``scale=2`` used to be ignored with it."""
    (tmp_path / "in").mkdir()
    for name, (height, width) in {"a": (12, 17), "b": (30, 10)}.items():
        Image.fromarray(random_photo(height, width)).save(tmp_path / "in" / f"{name}.png")
    sizes = {
        "scale=2": [(34, 24), (20, 60)],
        "outscale=1.5": [(26, 18), (15, 45)],
        "longest=40": [(40, 28), (13, 40)],
        "height=48": [(68, 48), (16, 48)],
    }
    for setting, expected in sizes.items():
        code, _, err = shell("upscale", "model=psnr", "input=in", f"output={setting}", setting)
        assert code == 0, err
        made = [Image.open(tmp_path / setting / f"{name}.png").size for name in "ab"]
        assert made == expected
    code, _, err = shell("upscale", "model=psnr", "input=in", "output=wide", "width=60")
    assert code == 1
    assert "failed  in/b.png: width=60: 10x30 pixels become 40x120 at most" in err
    assert [path.name for path in (tmp_path / "wide").iterdir()] == ["a.png"]
    for wrong, message in {
        ("scale=8",): "scale=8: this model enlarges by 4 at most",
        ("scale=2", "width=20"): "scale=2 and width=20: give one of them",
        ("outscale=2", "width=20"): "outscale=2 and width=20: give one of",
        ("outscale=-1",): "outscale=-1: should be greater than 0",
        ("outscale=abc",): "outscale=abc: must be a number",
        (
            "overwrite=true",
            "output=in",
        ): "output=in would overwrite in/a.png with its own enlargement",
    }.items():
        code, _, err = shell("upscale", "model=psnr", "input=in", "output=no", *wrong)
        assert code == 1
        assert message in err.splitlines()[-1]
        assert not (tmp_path / "no").exists()
