"""The stored values are those of the programs that the docstring names."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sr_gan.doctor.parity import ENLARGED, LPIPS_ALEX, PSNR_Y, REDUCED, SSIM_Y, images
from sr_gan.metrics import LPIPS
from tests.images.test_resize import matlab_axis


def test_psnr_and_ssim_are_scikit_images() -> None:
    sr, hr = (rgb2ycbcr(x[0].permute(1, 2, 0).numpy())[4:-4, 4:-4, 0] for x in images())
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert peak_signal_noise_ratio(hr, sr, data_range=255) == pytest.approx(PSNR_Y, abs=1e-9)
    assert structural_similarity(hr, sr, data_range=255, **window) == pytest.approx(
        SSIM_Y, abs=1e-9
    )


def test_the_bicubic_is_matlabs() -> None:
    red = images()[1][0, 0].numpy().astype(float)
    for part, factor, expected in (
        (red[:32, :32], 1 / 4, REDUCED),
        (red[30:32, 30:32], 4, ENLARGED),
    ):
        for axis in (0, 1):
            part = np.floor(matlab_axis(part, factor, axis).clip(0, 255) + 0.5 + 1e-9)
        assert part.astype(int).tolist() == [list(row) for row in expected]


def test_lpips_is_that_of_its_authors(shared: object) -> None:
    lpips = LPIPS(f"{shared}/weights/alexnet_features.safetensors")
    assert lpips(*images()).item() == pytest.approx(LPIPS_ALEX, abs=1e-7)
