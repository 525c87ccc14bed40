from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import convolve
from scipy.optimize import brentq
from scipy.special import gamma
from skimage.color import rgb2ycbcr

from sr_gan.errors import UserError
from sr_gan.images.resize import downscale, upscale
from sr_gan.metrics import NIQE
from sr_gan.metrics.niqe import FITTED
from tests.images.test_resize import matlab


def asymmetric(block: np.ndarray) -> tuple[float, float, float]:
    """The shape and the scales of an asymmetric generalised Gaussian, by solving for the shape."""
    left, right = (np.sqrt((block[side] ** 2).mean()) for side in (block < 0, block > 0))
    g = left / right
    r = np.abs(block).mean() ** 2 / (block**2).mean() * (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2

    def excess(a: float) -> float:
        return float(gamma(2 / a) ** 2 / gamma(1 / a) / gamma(3 / a) - r)

    shape = brentq(excess, 0.2, 10) if excess(0.2) < 0 < excess(10) else 0.2 if r < 0.1 else 10
    stretch = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * stretch, right * stretch


def niqe(image: np.ndarray, border: int) -> float:
    """NIQE as its authors describe it, a block at a time, with the project's parameters."""
    y = rgb2ycbcr(image)[border:-border, border:-border, 0].round()
    y = y[: y.shape[0] // 96 * 96, : y.shape[1] // 96 * 96]
    at = np.arange(-3, 4)
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    columns = []
    for size, picture in ((96, y), (48, matlab(y, 0.5))):
        mean = convolve(picture, window, mode="nearest")
        deviation = np.sqrt(np.abs(convolve(picture**2, window, mode="nearest") - mean**2))
        normalised = (picture - mean) / (deviation + 1)
        rows = []
        for top in range(0, len(picture), size):
            for start in range(0, picture.shape[1], size):
                block = normalised[top : top + size, start : start + size]
                shape, left, right = asymmetric(block)
                features = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = asymmetric(block * np.roll(block, shift, (0, 1)))
                    middle = (right - left) * gamma(2 / shape) / gamma(1 / shape)
                    features += [shape, middle, left, right]
                rows.append(features)
        columns.append(np.array(rows))
    found = np.hstack(columns)
    with np.load(FITTED) as ours:
        apart = ours["mu_pris_param"].ravel() - found.mean(0)
        spread = (ours["cov_pris_param"] + np.cov(found.T)) / 2
    return float(np.sqrt(apart @ np.linalg.solve(spread, apart)))


def test_agrees_with_an_implementation_by_blocks(shared: Path) -> None:
    files = sorted((shared / "data/photos/valid").iterdir())[:10]
    for path in files:
        with Image.open(path) as opened:
            image = np.array(opened.convert("RGB"))[100:585, 200:880]
        value = NIQE()(torch.from_numpy(image).permute(2, 0, 1)[None], border=4).item()
        assert value == pytest.approx(niqe(image, 4), abs=0.02)


def test_a_photo_is_more_natural_than_its_blurred_and_its_noisy_copy(shared: Path) -> None:
    path = min((shared / "data/photos/valid").iterdir())
    with Image.open(path) as opened:
        hr = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)[None, :, :400, :400]
    noisy = (hr + 20 * torch.randn(hr.shape)).clamp(0, 255).to(torch.uint8)
    photo, blurred, grainy = NIQE()(torch.cat([hr, upscale(downscale(hr, 4), 4), noisy]), border=0)
    assert photo < blurred - 1
    assert photo < grainy - 1


def test_grey_is_taken_as_luma_and_small_or_flat_images_have_no_value() -> None:
    metric = NIQE()
    image = torch.randint(0, 256, (1, 1, 200, 104), dtype=torch.uint8)
    assert metric(image, border=4).isfinite().all()
    assert metric(image, border=5).isnan().all()  # no block is 94 pixels wide
    assert metric(image[..., :100, :], border=0).isnan().all()  # one block has no covariance
    assert metric(torch.zeros_like(image), border=0).isnan().all()


def test_parameters_from_a_file(tmp_path: Path) -> None:
    with np.load(FITTED) as ours:
        mean, covariance = ours["mu_pris_param"], ours["cov_pris_param"]
    image = torch.randint(0, 256, (1, 3, 200, 200), dtype=torch.uint8)
    file = tmp_path / "niqe_pris_params.npz"
    np.savez(file, mu_pris_param=mean, cov_pris_param=covariance, gaussian_window=np.ones((7, 7)))
    assert NIQE(str(file))(image, 0) == NIQE()(image, 0)
    np.savez(file, mu_pris_param=mean + 1, cov_pris_param=covariance)
    assert NIQE(str(file))(image, 0) != NIQE()(image, 0)
    np.savez(file, mu_pris_param=mean)
    with pytest.raises(UserError, match=r"does not hold NIQE's parameters: .* mu_pris_param"):
        NIQE(str(file))
    with pytest.raises(UserError, match=r"none\.npz: no such file"):
        NIQE(str(tmp_path / "none.npz"))
