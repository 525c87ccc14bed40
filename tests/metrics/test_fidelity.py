from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as skimage_data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from sr_gan.images.resize import downscale, upscale
from sr_gan.metrics import psnr, psnr_y, rgb_to_y, ssim, ssim_y, to_uint8


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    hr = np.ascontiguousarray(skimage_data.chelsea()[20:121, 30:133])
    noise = np.random.default_rng(0).normal(0, 8, hr.shape)
    sr = (hr + noise).round().clip(0, 255).astype(np.uint8)
    return tuple(torch.from_numpy(x).permute(2, 0, 1)[None] for x in (sr, hr))  # type: ignore[return-value]


def luma(image: Tensor, border: int) -> np.ndarray:
    y: np.ndarray = rgb2ycbcr(image[0].permute(1, 2, 0).numpy())[..., 0]
    return y[border:-border, border:-border]


def test_luma_equals_scikit_images(pair: tuple[Tensor, Tensor]) -> None:
    y = rgb_to_y(pair[0])[0, 0, 4:-4, 4:-4]
    np.testing.assert_allclose(y.numpy(), luma(pair[0], 4), atol=1e-9)
    extremes = rgb_to_y(
        torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    )
    assert extremes.flatten().tolist() == pytest.approx([16, 235], abs=0.01)


@pytest.mark.parametrize("border", [2, 4])
def test_psnr_equals_scikit_images(pair: tuple[Tensor, Tensor], border: int) -> None:
    expected = peak_signal_noise_ratio(luma(pair[1], border), luma(pair[0], border), data_range=255)
    assert psnr_y(*pair, border).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("border", [2, 4])
def test_ssim_equals_scikit_images(pair: tuple[Tensor, Tensor], border: int) -> None:
    _, full = structural_similarity(
        luma(pair[1], border),
        luma(pair[0], border),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim_y(*pair, border).item() == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_means_are_over_images(pair: tuple[Tensor, Tensor]) -> None:
    sr, hr = pair
    batch = psnr_y(torch.cat([sr, hr.flip(-1)]), torch.cat([hr, hr]), 4)
    assert batch.shape == (2,)
    assert batch[0] == psnr_y(sr, hr, 4)[0]


@pytest.mark.parametrize(("name", "psnr"), [("Set5", 28.42), ("Set14", 26.0)])
def test_bicubic_gives_the_published_numbers(shared: Path, name: str, psnr: float) -> None:
    scores = []
    for path in sorted((shared / "data" / "benchmarks" / name / "HR").glob("*.png")):
        image = np.array(Image.open(path).convert("RGB"))
        height, width = (side // 4 * 4 for side in image.shape[:2])
        hr = torch.from_numpy(image[:height, :width]).permute(2, 0, 1)[None]
        scores.append(psnr_y(upscale(downscale(hr, 4), 4), hr, 4).item())
    # Papers use the grey values of Set14's only grey file, which gives 25.99; its luma gives 26.09.
    assert np.mean(scores) == pytest.approx(psnr, abs=0.02 if name == "Set5" else 0.1)


def test_to_uint8_rounds_and_clamps() -> None:
    image = torch.tensor([-1.5, -1.0, 0.0, 0.999, 1.0, 7.0])
    assert to_uint8(image).tolist() == [0, 0, 128, 255, 255, 255]


@pytest.mark.parametrize("metric", [psnr_y, ssim_y])
def test_refuses_what_it_cannot_compare(metric: object) -> None:
    image = torch.zeros(1, 3, 30, 30, dtype=torch.uint8)
    for sr, hr, border, message in [
        (image, image[..., :-1], 4, "differ in size"),
        (image.float(), image, 4, "must be uint8"),
        (image, image, 15, "nothing is left"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric(sr, hr, border)  # type: ignore[operator]


def test_rgb_scores_equal_scikit_images(pair: tuple[Tensor, Tensor]) -> None:
    sr, hr = (x[0, :, 4:-4, 4:-4].permute(1, 2, 0).numpy() for x in pair)
    expected = peak_signal_noise_ratio(hr, sr, data_range=255)
    assert psnr(*pair, border=4).item() == pytest.approx(expected, abs=1e-6)
    channels = [
        structural_similarity(
            hr[..., c],
            sr[..., c],
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5].mean()
        for c in range(3)
    ]
    assert ssim(*pair, border=4).item() == pytest.approx(np.mean(channels), abs=1e-4)


def test_grey_images_are_measured_as_they_are(pair: tuple[Tensor, Tensor]) -> None:
    sr, hr = (x[:, :1] for x in pair)
    expected = peak_signal_noise_ratio(
        hr[0, 0, 4:-4, 4:-4].numpy(), sr[0, 0, 4:-4, 4:-4].numpy(), data_range=255
    )
    assert psnr_y(sr, hr, 4).item() == pytest.approx(expected, abs=1e-6)
    assert psnr_y(hr, hr, 4).item() == float("inf")
    assert ssim_y(hr, hr, 4).item() == pytest.approx(1)
