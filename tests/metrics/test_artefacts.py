from math import isnan, sqrt

import numpy as np
import pytest
import torch
from skimage import data as skimage_data
from torch import Tensor

from sr_gan.images.resize import downscale, upscale
from sr_gan.metrics import artefacts, colour_shift, grain, grid, lr_consistency


@pytest.fixture
def photo() -> Tensor:
    pixels = np.ascontiguousarray(skimage_data.chelsea()[:296, :448])
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def rounded(image: Tensor) -> Tensor:
    return image.round().clamp(0, 255).to(torch.uint8)


def half_flat() -> Tensor:
    """Mid-grey on the left, strong texture on the right: (1, 1, 200, 400)."""
    image = torch.full((1, 1, 200, 400), 128.0)
    image[..., 200:] += 40 * torch.randn(200, 200)
    return rounded(image)


@pytest.mark.parametrize("strength", [1.0, 2.0, 4.0])
def test_white_noise_reads_its_standard_deviation(strength: float) -> None:
    hr = half_flat()
    noisy = rounded(hr + strength * torch.randn(hr.shape))
    with_rounding = sqrt(strength**2 + 1 / 12)
    assert grain(noisy, hr, 4).item() == pytest.approx(with_rounding, rel=0.05)


def test_noise_in_texture_does_not_count_and_less_than_the_photo_is_negative() -> None:
    hr = half_flat()
    textured = hr.clone()
    textured[..., 220:] = rounded(hr + 20 * torch.randn(hr.shape))[..., 220:]
    assert abs(grain(textured, hr, 4).item()) < 0.3
    noisy = rounded(hr + 2 * torch.randn(hr.shape))
    assert grain(hr, noisy, 4).item() == pytest.approx(-2, rel=0.1)


def test_grain_of_a_photograph(photo: Tensor) -> None:
    assert grain(photo, photo, 4).item() == 0
    enlarged = upscale(downscale(photo, 4), 4)
    checkers = torch.tensor([[3.0, -3.0], [-3.0, 3.0]]).repeat(148, 224)
    assert grain(enlarged, photo, 4) < 0 < grain(rounded(photo + checkers), photo, 4)


@pytest.mark.parametrize("shape", [(6, 200), (200, 6), (8, 8)])
def test_grain_of_nothing_inside_the_border_is_none(shape: tuple[int, int]) -> None:
    image = torch.zeros(1, 3, *shape, dtype=torch.uint8)
    assert isnan(grain(image, image, 4).item())


def test_grain_without_anything_flat_is_none() -> None:
    noise = rounded(128 + 60 * torch.randn(1, 3, 64, 64))
    assert isnan(grain(noise, noise, 4).item())


def test_grid_of_a_photograph_of_noise_and_of_nothing(photo: Tensor) -> None:
    assert grid(photo, 4, 4).item() < 1.2
    noise = rounded(128 + 20 * torch.randn(1, 3, 300, 300))
    assert grid(noise, 4, 4).item() == pytest.approx(1, abs=0.1)
    assert grid(torch.full_like(noise, 128), 4, 4).item() == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_grid_sees_a_faint_grid_with_the_period_of_the_scale(photo: Tensor, scale: int) -> None:
    dots = torch.zeros(photo.shape[-2:])
    dots[1::scale, 1::scale] = 5.0
    assert grid(rounded(photo + dots), scale, 4).item() > grid(photo, scale, 4).item() + 1
    noise = 1.25 * torch.randn(photo.shape)  # of the energy of the dots of scale 4
    assert grid(rounded(photo + noise), 4, 4).item() < 1.2


@pytest.mark.parametrize("shape", [(39, 80), (80, 39)])
def test_grid_of_less_than_a_window_is_none(shape: tuple[int, int]) -> None:
    assert isnan(grid(torch.zeros(1, 3, *shape, dtype=torch.uint8), 4, 4).item())
    larger = torch.zeros(1, 1, 40, 80, dtype=torch.uint8)
    assert grid(larger, 4, 4).item() == 0


def test_colour_shift_sees_a_cast_and_no_detail(photo: Tensor) -> None:
    cast = photo.clone()
    cast[:, 0] = rounded(photo[:, 0] + 12.0)
    blurred = upscale(downscale(photo, 4), 4)
    assert colour_shift(photo, photo).item() == 0
    assert colour_shift(blurred, photo).item() < 0.5 < 2 < colour_shift(cast, photo).item()
    grey = photo[:, :1]
    assert colour_shift(rounded(grey + 5.0), grey).item() > 1


def test_lr_consistency_of_the_photograph_itself_and_of_another(photo: Tensor) -> None:
    lr = downscale(photo, 4)
    assert lr_consistency(photo, lr, 4).item() == float("inf")
    shifted = rounded(photo + 4.0)
    assert lr_consistency(shifted, lr, 4).item() == pytest.approx(20 * np.log10(255 / 4), abs=0.1)


def test_strips_change_nothing(photo: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = rounded(photo + 3 * torch.randn(photo.shape))
    monkeypatch.setattr(artefacts, "_ROWS", 10_000)
    whole = grain(noisy, photo, 4), colour_shift(noisy, photo)
    monkeypatch.setattr(artefacts, "_ROWS", 32)
    torch.testing.assert_close((grain(noisy, photo, 4), colour_shift(noisy, photo)), whole)
