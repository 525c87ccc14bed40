from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan.images.resize import _weights, downscale, upscale
from tests.conftest import random_photo


def matlab_axis(image: np.ndarray, scale: float, axis: int) -> np.ndarray:
    """MATLAB's imresize along one axis, written out from its documentation, in float64."""
    length = image.shape[axis]
    out = int(np.ceil(length * scale))
    stretch = min(scale, 1.0)  # below 1 the kernel is widened
    centres = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centres - 2 / stretch).astype(int)
    taps = int(np.ceil(4 / stretch)) + 2
    index = left[:, None] + np.arange(taps)
    x = np.abs(stretch * (centres[:, None] - index))
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = stretch * np.where(x <= 1, near, np.where(x <= 2, far, 0))
    weights /= weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    pixels = np.take(image, mirror[(index - 1) % (2 * length)], axis=axis)
    shape = [1] * pixels.ndim
    shape[axis], shape[axis + 1] = weights.shape
    result: np.ndarray = (pixels * weights.reshape(shape)).sum(axis=axis + 1)
    return result


def matlab(image: np.ndarray, scale: float) -> np.ndarray:
    return matlab_axis(matlab_axis(image, scale, 0), scale, 1)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(48, 72), (37, 53), (9, 8)])
def test_equals_matlab_on_every_pixel(scale: int, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 255, size)
    tensor = torch.from_numpy(image)[None, None]
    for result, factor in ((downscale(tensor, scale), 1 / scale), (upscale(tensor, scale), scale)):
        np.testing.assert_allclose(result[0, 0].numpy(), matlab(image, factor), atol=1e-9)
        single = (downscale if factor < 1 else upscale)(tensor.float(), scale)
        np.testing.assert_allclose(single[0, 0].numpy(), matlab(image, factor), atol=5e-5)


def test_uint8_is_bit_exact_with_matlabs_files(shared: Path) -> None:
    data = shared / "data"
    files = sorted((data / "benchmarks" / "Set5" / "HR").glob("*.png"))
    assert len(files) == 5
    for file in files:
        hr = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None]
        reference = np.array(Image.open(data / "parity" / "Set5_LRx4_matlab" / file.name))
        assert np.array_equal(downscale(hr, 4)[0].permute(1, 2, 0).numpy(), reference), file.name


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_uint8_rounds_after_each_pass(scale: int, precision: str) -> None:
    """This also holds if the user allows matrix products in fewer bits."""
    image = random_photo(61, 83)[..., 0]
    tensor = torch.from_numpy(image)[None, None]
    torch.set_float32_matmul_precision(precision)
    try:
        results = downscale(tensor, scale), upscale(tensor, scale)
    finally:
        torch.set_float32_matmul_precision("highest")
    for result, factor in zip(results, (1 / scale, scale)):
        rows = np.floor(matlab_axis(image, factor, 0).clip(0, 255) + 0.5 + 1e-9)
        both = np.floor(matlab_axis(rows, factor, 1).clip(0, 255) + 0.5 + 1e-9)
        assert np.array_equal(result[0, 0].numpy(), both.astype(np.uint8))


def test_a_large_photo_is_reduced_in_parts() -> None:
    image = torch.from_numpy(random_photo(1500, 1100).transpose(2, 0, 1).copy())[None]
    whole = downscale(image, 4)
    assert torch.equal(whole[..., :200, :], downscale(image[..., :900, :], 4)[..., :200, :])
    reference = matlab(image[0, 0].numpy(), 0.25)
    np.testing.assert_allclose(downscale(image.double(), 4)[0, 0], reference, atol=1e-9)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_pixels() -> None:
    image = torch.from_numpy(random_photo(203, 301).transpose(2, 0, 1).copy())[None]
    for scale in (2, 3, 4, 8):
        for resize in (downscale, upscale):
            assert torch.equal(resize(image.cuda(), scale).cpu(), resize(image, scale))


def test_mixed_precision_changes_no_pixel() -> None:
    """Validation runs under autocast, which would multiply in 16 bits."""
    photo = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        small, large = downscale(photo, 4), upscale(photo, 4)
    assert torch.equal(small, downscale(photo, 4))
    assert torch.equal(large, upscale(photo, 4))


def test_constants_stay_constant() -> None:
    image = torch.full((1, 3, 13, 22), 77, dtype=torch.uint8)
    assert downscale(image, 4).unique().tolist() == [77]
    assert upscale(image, 4).unique().tolist() == [77]


def test_refuses_a_scale_below_one() -> None:
    with pytest.raises(ValueError, match="scale must be at least 1, got 0"):
        downscale(torch.zeros(1, 3, 8, 8), 0)


@pytest.mark.parametrize("resize", [downscale, upscale])
def test_what_inference_leaves_in_the_cache_serves_a_training(
    resize: Callable[[torch.Tensor, int], torch.Tensor],
) -> None:
    _weights.cache_clear()
    with torch.inference_mode():
        resize(torch.rand(1, 3, 32, 32), 4)
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    resize(image, 4).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
