import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data as skimage_data
from torch import Tensor

from sr_gan.images.resize import downscale, upscale
from sr_gan.inference.refine import (
    back_project,
    gaussian,
    gaussian_radius,
    guided,
    self_ensemble,
)


@pytest.fixture
def photo() -> Tensor:
    pixels = np.ascontiguousarray(skimage_data.chelsea()[20:148, 100:260])
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_the_gaussian_is_scipys(photo: Tensor, sigma: float) -> None:
    ours = gaussian(photo, sigma)[0].permute(1, 2, 0).numpy()
    radius = gaussian_radius(sigma)
    theirs = gaussian_filter(photo[0].permute(1, 2, 0).numpy(), (sigma, sigma, 0), radius=radius)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_window_larger_than_the_image() -> None:
    assert gaussian(torch.full((1, 3, 2, 5), 0.5), 4.0).allclose(torch.tensor(0.5))


def test_guided_smoothing_keeps_a_step_that_the_plain_one_blurs() -> None:
    torch.manual_seed(0)
    step = torch.zeros(1, 3, 64, 64)
    step[..., 32:] = 0.8
    noisy = step + 0.1 + 0.01 * torch.randn_like(step)
    plain, kept = gaussian(noisy, 2.0), guided(noisy, 2.0)
    flat = (..., slice(8, 56), slice(6, 20))
    assert kept[flat].std() < 0.4 * noisy[flat].std()  # the grain goes
    edge = (..., slice(8, 56), slice(31, 33))
    assert (kept - noisy)[edge].abs().mean() < 0.02 < 0.1 < (plain - noisy)[edge].abs().mean()


def test_guided_smoothing_is_a_weighted_fit_of_each_window(photo: Tensor) -> None:
    """By least squares in each window, not by the filter's closed form."""
    image, sigma, edge = photo[0, :1, :18, :20].double().numpy()[0], 1.0, 0.03
    radius = gaussian_radius(sigma)
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(image, radius, mode="symmetric")
    fits = np.empty((2, *image.shape))
    for y, x in np.ndindex(*image.shape):
        part = padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1].ravel()
        root = np.sqrt(window.ravel())
        rows = np.vstack([np.column_stack([root * part, root]), [edge, 0.0]])  # a ridge on a
        fits[:, y, x] = np.linalg.lstsq(rows, np.append(root * part, 0.0), rcond=None)[0]
    slope, offset = (gaussian_filter(fit, sigma, radius=radius) for fit in fits)
    ours = guided(torch.from_numpy(image)[None, None], sigma, edge)[0, 0]
    np.testing.assert_allclose(ours, slope * image + offset, atol=1e-9)


def test_guided_smoothing_of_grey_equals_that_of_its_rgb(photo: Tensor) -> None:
    grey = photo.mean(1, keepdim=True)
    torch.testing.assert_close(
        guided(grey, 1.5).expand(-1, 3, -1, -1), guided(grey.expand(-1, 3, -1, -1), 1.5)
    )


def test_back_projection_reduces_to_the_input(photo: Tensor) -> None:
    lr = downscale(photo, 4)
    wrong = upscale(lr, 4) * 0.9 + 0.05 * torch.rand(1, 3, 128, 160)
    right = back_project(wrong, lr, 4)
    assert (downscale(wrong, 4) - lr).abs().mean() > 0.01
    assert (downscale(right, 4) - lr).abs().mean() < 1 / 1000  # a quarter of a grey level
    assert (downscale(right, 4) - lr).abs().max() < 1 / 100
    assert (right - photo).square().mean() < (wrong - photo).square().mean()


def test_the_ensemble_of_a_symmetric_function_is_the_function(photo: Tensor) -> None:
    torch.testing.assert_close(
        self_ensemble(lambda x: upscale(x, 2), photo), upscale(photo, 2), atol=1e-6, rtol=0
    )


def test_the_ensemble_takes_each_of_the_eight_once() -> None:
    corner = torch.zeros(1, 1, 4, 5)
    corner[..., 0, 1] = 1.0  # in one image only; the result has its mirror images

    def mark(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        out[..., 0, 1] = 1.0
        return out

    result = self_ensemble(mark, corner)[0, 0] * 8
    expected = torch.zeros(4, 5)
    for row, column in [(0, 1), (0, 3), (3, 1), (3, 3), (1, 0), (1, 4), (2, 0), (2, 4)]:
        expected[row, column] = 1.0
    torch.testing.assert_close(result, expected)
