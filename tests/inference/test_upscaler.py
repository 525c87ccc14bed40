from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as skimage_data
from torch import nn

import sr_gan
from sr_gan.errors import UserError
from sr_gan.images.resize import downscale, upscale
from sr_gan.inference.pretrained import Interpolation, Pretrained
from sr_gan.inference.upscaler import Upscaler
from sr_gan.networks import CompactNet, MSRResNet, SRResNet, tiles
from sr_gan.settings.options import Options
from tests.conftest import random_photo
from tests.networks.test_split import trained

NETWORKS: dict[str, nn.Module] = {
    "srresnet": trained(SRResNet(filters=12, blocks=2)),
    "msrresnet": trained(MSRResNet(filters=12, blocks=2)),
    "compact": trained(CompactNet(filters=12, blocks=2)),
    "x2": trained(SRResNet(2, 8, 1)),
    "lanczos": Interpolation("lanczos"),
}
WHOLE = 10_000


def upscaler(name: str = "msrresnet", **options: Any) -> Upscaler:
    return Upscaler(Pretrained(name, NETWORKS[name]), Options(device="cpu", **options))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"x8": True},
        {"smooth_sigma": 1.3},
        {"smooth_sigma": 1.3, "smooth": "guided", "consistency": True},
    ],
    ids=["plain", "x8", "smooth", "guided-consistent"],
)
def test_tiles_show_no_seams(name: str, options: dict[str, Any]) -> None:
    pixels = random_photo(91, 74).astype(np.float32) / 255
    whole = upscaler(name, tile=WHOLE, **options)(pixels)
    for tile in (16, 23):
        np.testing.assert_allclose(upscaler(name, tile=tile, **options)(pixels), whole, atol=3e-6)


def test_tiles_inside_the_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = random_photo(91, 74).astype(np.float32) / 255
    whole = upscaler(tile=WHOLE)(pixels)
    monkeypatch.setattr(tiles, "memory_budget", lambda device: 2_000_000)
    small = upscaler()
    np.testing.assert_allclose(small(pixels), whole, atol=3e-6)
    assert small.tile is not None
    assert small.tile < 74  # both kinds of tiles were needed


@pytest.mark.gpu
def test_tiles_show_no_seams_on_a_gpu() -> None:
    pixels = random_photo(191, 174).astype(np.float32) / 255
    options = {"device": "cuda", "precision": "fp32"}
    model = Pretrained("msrresnet", NETWORKS["msrresnet"])
    whole = Upscaler(model, Options(tile=WHOLE, **options))(pixels)  # type: ignore[arg-type]
    tile = Upscaler(model, Options(tile=32, **options))(pixels)  # type: ignore[arg-type]
    np.testing.assert_allclose(tile, whole, atol=1e-3)  # TF32 may be on
    half = Upscaler(model, Options(device="cuda"))(pixels)
    np.testing.assert_allclose(half, upscaler()(pixels), atol=5e-3)


def test_bfloat16_is_close_to_float32() -> None:
    pixels = random_photo(40, 30).astype(np.float32) / 255
    np.testing.assert_allclose(upscaler(precision="bf16")(pixels), upscaler()(pixels), atol=0.02)


def test_auto_is_bfloat16_for_8_bits_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eight, sixteen = random_photo(40, 30), random_photo(40, 30).astype(np.uint16) * 257
    for computes, kind in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr("sr_gan.inference.upscaler.cpu_computes_bf16", partial(bool, computes))
        faster = upscaler(precision=kind)
        np.testing.assert_array_equal(upscaler(precision="auto")(eight), faster(eight))
        exact = upscaler(precision="fp32")(sixteen)
        np.testing.assert_array_equal(upscaler(precision="auto")(sixteen), exact)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_layout_keeps_its_type_and_its_content(channels: int, dtype: Any) -> None:
    photo = skimage_data.chelsea()[40:80, 100:151].astype(np.float64) / 255
    pixels = np.concatenate([photo, photo[..., :1]], axis=2)[..., :channels]
    limit = 1 if dtype == np.float32 else np.iinfo(dtype).max
    given = (pixels * limit).round(0 if limit > 1 else 6).astype(dtype)
    large = upscaler("lanczos")(given)
    assert large.dtype == dtype
    assert large.shape == (160, 204, channels)
    back = downscale(torch.from_numpy(large.astype(np.float64)).permute(2, 0, 1)[None], 4)
    assert np.abs(back[0].permute(1, 2, 0).numpy() / limit - pixels).mean() < 0.01


def test_grey_is_what_rgb_of_the_grey_averages_to() -> None:
    grey = random_photo(20, 22)[..., 0]
    rgb = upscaler()(np.repeat(grey[..., None], 3, axis=2).astype(np.float32) / 255)
    large = upscaler()(grey)
    assert large.shape == (80, 88)
    assert np.abs(large / 255 - rgb.mean(axis=2)).max() < 0.6 / 255


def test_tensors_and_batches() -> None:
    batch = torch.rand(2, 3, 12, 10)
    large = upscaler()(batch)
    assert large.shape == (2, 3, 48, 40)
    torch.testing.assert_close(large[1], upscaler()(batch[1]))
    expected = (NETWORKS["msrresnet"](batch) + 1).div(2).clamp(0, 1)
    torch.testing.assert_close(large, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("mode", "result"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA"),
     ("CMYK", "RGB"), ("I;16", "I;16")],
)  # fmt: skip
def test_pil_images_of_every_mode(mode: str, result: str) -> None:
    image = Image.fromarray(random_photo(12, 10)).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    image.info["icc_profile"] = b"profile"
    large = upscaler()(image)
    assert (large.mode, large.size) == (result, (40, 48))
    if mode not in ("P", "CMYK"):
        assert large.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_the_transparent_colour_of_a_pil_image_becomes_alpha(mode: str) -> None:
    image = Image.fromarray(random_photo(12, 10)).convert(mode)
    image.info["transparency"] = image.getpixel((0, 0))
    large = upscaler()(image)
    assert large.mode == ("LA" if mode == "L" else "RGBA")
    assert np.asarray(large)[0, 0, -1] < 255


def test_sixteen_bits_of_the_other_byte_order_are_the_same() -> None:
    grey = random_photo(12, 10)[..., 0].astype(np.uint16) * 257
    big = Image.frombytes("I;16B", (10, 12), grey.astype(">u2").tobytes())
    np.testing.assert_array_equal(upscaler()(big), upscaler()(Image.fromarray(grey)))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (
            "photos/a.png",
            TypeError,
            r"type str: open it first: upscaler\(PIL.Image.open\('photos/a.png'\)\)",
        ),
        (Path("a.png"), TypeError, r"Path: open it first"),
        (b"\x89PNG", TypeError, r"type bytes: open them .*io.BytesIO"),
        (None, TypeError, "got None: open a file with PIL.Image.open"),
        ([[0, 1], [2, 3]], TypeError, "type list: give one image at a time"),
        (3, TypeError, "type int"),
        (np.zeros((4, 4, 3), bool), TypeError, "got bool: convert it to uint8 and multiply it"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "got int64: if its values are 0 to 255"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), TypeError, "got int64"),
        (torch.zeros(3, 4, 4, dtype=torch.bfloat16), TypeError, r"use image.float\(\)"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, r"1 to 4 channels C, got \(4, 4, 5\)"),
        (np.zeros(4, np.uint8), ValueError, r"got \(4, 1\)|got \(4,\)"),
        (np.zeros((3, 8, 9), np.uint8), ValueError, r"use image.transpose\(1, 2, 0\)"),
        (np.zeros((2, 8, 9, 3), np.uint8), ValueError, "one image at a time"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "empty"),
        (torch.zeros(3, 0, 4), ValueError, "empty"),
        (torch.zeros(0, 3, 4, 4), ValueError, "empty"),
        (torch.zeros(4, 4), ValueError, r"for a grey image use image\[None\]"),
        (torch.zeros(8, 9, 3), ValueError, r"use image.permute\(2, 0, 1\)"),
        (torch.zeros(2, 8, 9, 3), ValueError, r"use image.permute\(0, 3, 1, 2\)"),
        (torch.zeros(5, 8, 9), ValueError, r"1 to 4 channels C, got \(5, 8, 9\)$"),
        (np.full((4, 4, 3), 200.0), ValueError, "from 200 to 200: if they are from 0 to 255"),
        (np.full((4, 4, 3), 2e4), ValueError, "from 0 to 65535, divide"),
        (np.linspace(-1, 1, 48).reshape(4, 4, 3), ValueError, r"use \(image \+ 1\) / 2"),
        (torch.full((3, 4, 4), 1.3), ValueError, "divide"),
        (np.full((4, 4), np.nan), ValueError, "NaN or infinity"),
        (np.full((4, 4), np.inf), ValueError, "NaN or infinity"),
        (Image.new("F", (4, 4)), ValueError, "mode F does not say its range"),
        (Image.new("I", (4, 4)), ValueError, "mode I does not say its range"),
    ],
)
def test_what_is_no_image_is_named(image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        upscaler()(image)
    assert "\n" not in str(caught.value)


def test_a_size_is_a_size() -> None:
    with pytest.raises(TypeError, match=r"Size\(width=1920\), got \(8, 8\)"):
        upscaler()(random_photo(8, 8), (8, 8))  # type: ignore[arg-type]


def test_floats_that_a_resize_overshot_are_clamped() -> None:
    image = random_photo(12, 10).astype(np.float32) / 255
    image[2, 3], image[5, 5], image[6, 6] = -1e-6, 1.2, -0.2
    np.testing.assert_array_equal(upscaler()(image), upscaler()(image.clip(0, 1)))
    learnt = torch.from_numpy(image).permute(2, 0, 1).requires_grad_()
    assert not upscaler()(learnt).requires_grad


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "half"}, ValueError, "auto, fp32, fp16, bf16"),
        ({"precision": "int8"}, ValueError, "with backend=torch are auto, fp32, fp16, bf16"),
        ({"backend": "onnx"}, ValueError, "allowed are torch, openvino"),
        ({"backend": "openvino", "precision": "fp16"}, ValueError, "auto, fp32, bf16, int8"),
        ({"backend": "openvino", "device": "cuda"}, ValueError, "use backend=torch"),
        ({"smooth": "median"}, ValueError, "plain, guided"),
        ({"smooth_sigma": -1.0}, ValueError, "smooth_sigma=-1.0"),
        ({"tile": 4}, ValueError, "tile=4"),
        ({"device": "tpu"}, ValueError, "auto, cpu, cuda"),
        ({"device": "cuda:99"}, UserError, "cuda:99"),
    ],
)
def test_options_that_are_not_allowed(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Upscaler(Pretrained("x", NETWORKS["x2"]), Options(**options))


def test_memory_that_runs_out_halves_the_tile_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = random_photo(100, 90)
    expected = upscaler(tile=WHOLE)(pixels)
    scarce = upscaler(tile=80)
    run = scarce._enlarge

    def only_small(image: torch.Tensor) -> torch.Tensor:
        if image.shape[-1] > 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(image)

    monkeypatch.setattr(scarce, "_enlarge", only_small)
    large = scarce(pixels)
    assert np.abs(large.astype(int) - expected).max() <= 1
    assert scarce.tile == 40
    assert "tiles of 40 instead of 80" in caplog.text


def test_memory_that_is_never_enough_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    scarce = upscaler(tile=40)

    def never(image: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(scarce, "_enlarge", never)
    with pytest.raises(UserError, match="memory is full even for tiles of 20"):
        scarce(random_photo(50, 50))


def test_other_errors_are_not_taken_for_missing_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = upscaler()

    def fail(image: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(broken, "_enlarge", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        broken(random_photo(50, 50))


def test_bands_come_from_top_to_bottom_with_their_progress() -> None:
    pixels, done = random_photo(50, 41), [0]
    tiled = upscaler(tile=16)
    bands = list(tiled.bands(pixels, lambda count: done.append(done[-1] + count)))
    assert len(bands) == 4
    np.testing.assert_array_equal(np.concatenate(bands), tiled(pixels))
    assert done[-1] == 200 * 164
    assert all(before < after for before, after in pairwise(done))


def test_the_package_offers_it(tmp_path: Path) -> None:
    assert sr_gan.Upscaler is Upscaler
    large = sr_gan.Upscaler.from_pretrained("bicubic", scale=2, device="cpu")(random_photo(6, 5))
    photo = torch.from_numpy(random_photo(6, 5)).permute(2, 0, 1)[None]
    expected = upscale(photo.double(), 2)[0].permute(1, 2, 0).clamp(0, 255)
    assert np.abs(large - expected.numpy()).max() < 0.51
    with pytest.raises(AttributeError, match="no attribute Downscaler"):
        _ = sr_gan.Downscaler


def test_a_tile_is_made_for_the_type_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 16-bit image takes twice the memory of an 8-bit one if that is computed in bfloat16."""
    monkeypatch.setattr("sr_gan.inference.upscaler.cpu_computes_bf16", lambda: True)
    monkeypatch.setattr(tiles, "memory_budget", lambda device: 20_000_000)
    pixels = random_photo(300, 280)
    both, alone = upscaler(), upscaler()
    both(pixels)
    first = both.tile
    both(pixels.astype(np.uint16))
    alone(pixels.astype(np.uint16))
    assert first is not None
    assert both.tile == alone.tile is not None
    assert alone.tile < first


def test_a_network_that_sees_far_gets_larger_tiles_or_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tiles, "memory_budget", lambda device: 200_000)
    deep = Pretrained("deep", SRResNet(filters=2, blocks=20, end_kernel=3).eval())
    pixels = random_photo(120, 20)
    rich = Upscaler(deep, Options(precision="fp32"))
    rich(pixels)
    assert rich.halo > 40
    assert rich.tile == 2 * rich.halo
    assert "times the work" not in caplog.text
    monkeypatch.setattr(tiles, "most_memory", lambda device: 4_000_000)
    poor = Upscaler(deep, Options(precision="fp32"))
    poor(pixels)
    assert poor.tile is not None
    assert poor.tile < poor.halo
    times = round(((poor.tile + 2 * poor.halo) / poor.tile) ** 2)
    assert f"sees {poor.halo} pixels to each side" in caplog.text
    assert f"tiles of {poor.tile}: {times} times the work" in caplog.text
