from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_gan.images.resize import downscale
from sr_gan.losses import (
    CharbonnierLoss,
    GridLoss,
    LPIPSLoss,
    LRConsistencyLoss,
    TotalVariationLoss,
    VGGLoss,
    WaveletLoss,
)
from sr_gan.losses.content import unit
from sr_gan.metrics import LPIPS
from sr_gan.networks import VGG19Features
from sr_gan.networks.bands import haar


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    return torch.rand(2, 3, 16, 16) * 2 - 1, torch.rand(2, 3, 16, 16) * 2 - 1


@pytest.mark.parametrize("distance", ["mse", "l1"])
def test_vgg_loss_is_the_weighted_mean_distance(
    images: tuple[Tensor, Tensor], vgg_file: Path, distance: str
) -> None:
    sr, hr = images
    layers = ["relu1_1", "conv2_2"]
    loss = VGGLoss(layers, str(vgg_file), [0.5, 2.0], 1 / 12.75, distance)  # type: ignore[arg-type]
    features = VGG19Features(layers, str(vgg_file))
    expected = 0.0
    for layer, weight in zip(layers, [0.5, 2.0]):
        difference = (features(sr)[layer] - features(hr)[layer]) / 12.75
        power = difference.square() if distance == "mse" else difference.abs()
        expected += weight * power.mean().item()
    assert loss(sr, hr).item() == pytest.approx(expected, rel=1e-5)


def test_unit_vectors_are_those_of_an_explicit_normalisation(
    images: tuple[Tensor, Tensor], vgg_file: Path
) -> None:
    """Weighted by its number of channels, a layer gives the mean of 2 - 2 cos over positions."""
    sr, hr = images
    layers, channels = ["relu1_2", "relu2_2"], [64, 128]
    loss = VGGLoss(layers, str(vgg_file), channels, unit=True)
    features = VGG19Features(layers, str(vgg_file))
    expected = 0.0
    for layer in layers:
        a, b = (features(image)[layer].double().numpy() for image in (sr, hr))
        cosines = [
            (a[i, :, y, x] / np.linalg.norm(a[i, :, y, x]))
            @ (b[i, :, y, x] / np.linalg.norm(b[i, :, y, x]))
            for i, y, x in np.ndindex(a.shape[0], *a.shape[2:])
        ]
        expected += 2 - 2 * float(np.mean(cosines))
    assert loss(sr, hr).item() == pytest.approx(expected, rel=1e-4)
    stronger = VGGLoss(layers, str(vgg_file), channels, feature_scale=50.0, unit=True)
    assert stronger(sr, hr).item() == pytest.approx(expected, rel=1e-4)


def test_unit_vectors_of_nothing_have_a_finite_gradient() -> None:
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    unit(features).square().sum().backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_oxford_scale_is_the_papers_0006(images: tuple[Tensor, Tensor], vgg_file: Path) -> None:
    plain = VGGLoss(["relu2_2"], str(vgg_file))
    scaled = VGGLoss(["relu2_2"], str(vgg_file), feature_scale=1 / 12.75)
    assert (scaled(*images) / plain(*images)).item() == pytest.approx(0.00615, rel=1e-3)


def test_vgg_loss_reaches_sr_and_not_hr(images: tuple[Tensor, Tensor], vgg_file: Path) -> None:
    sr, hr = (image.requires_grad_() for image in images)
    VGGLoss(["relu2_2"], str(vgg_file))(sr, hr).backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0
    assert hr.grad is None


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
    loss = TotalVariationLoss()(image, torch.zeros_like(image))
    assert loss.item() == pytest.approx((0.5 + 0.5) / 2 + (1.0 + 0.0) / 2)


def test_charbonnier_by_hand(images: tuple[Tensor, Tensor]) -> None:
    sr, hr = images
    expected = ((sr - hr).square() + 0.25).sqrt().mean()
    assert CharbonnierLoss(0.5)(sr, hr).item() == pytest.approx(expected.item())
    assert CharbonnierLoss(1e-3)(hr, hr).item() == pytest.approx(1e-3)


@pytest.mark.parametrize(("name", "expected"), [("ex_p0.png", 0.722), ("ex_p1.png", 0.138)])
def test_lpips_loss_is_what_its_authors_measure(shared: Path, name: str, expected: float) -> None:
    folder = shared / "data" / "parity" / "lpips"
    image, reference = (
        torch.from_numpy(np.array(Image.open(folder / file))).permute(2, 0, 1)[None] / 127.5 - 1
        for file in (name, "ex_ref.png")
    )
    loss = LPIPSLoss("alex", str(shared / "weights" / "alexnet_features.safetensors"))
    assert float(loss(image, reference)) == pytest.approx(expected, abs=5e-4)


def test_lpips_loss_is_the_metric_and_has_a_gradient(shared: Path) -> None:
    weights = str(shared / "weights" / "alexnet_features.safetensors")
    sr, hr = (torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8) for _ in range(2))
    loss = LPIPSLoss("alex", weights)
    loss.train()  # as Lightning does
    image = (sr.float() / 127.5 - 1).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(image, hr.float() / 127.5 - 1)
    assert value.item() == pytest.approx(LPIPS(weights)(sr, hr).mean().item(), rel=1e-4)
    value.backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in loss.parameters())


def test_lr_consistency_sees_what_the_reduction_sees() -> None:
    hr = torch.rand(1, 3, 32, 32) * 2 - 1
    shifted = LRConsistencyLoss(4)(hr + 0.1, hr)
    assert shifted.item() == pytest.approx(0.1, abs=1e-4)
    texture = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)  # gone after the reduction
    assert LRConsistencyLoss(4)(hr + 0.1 * texture, hr).item() < 2e-3
    sr = (hr + 0.1).requires_grad_()
    LRConsistencyLoss(4)(sr, hr).backward()
    expected = (downscale(sr.detach(), 4) - downscale(hr, 4)).abs().mean()
    assert expected.item() == pytest.approx(0.1, abs=1e-4)
    assert sr.grad is not None
    assert sr.grad.sum().item() == pytest.approx(1.0, abs=1e-3)  # a mean of ones


def test_grid_loss_sees_a_grid_and_a_shift_of_colour_but_hardly_texture() -> None:
    hr = torch.rand(2, 3, 64, 64) * 2 - 1
    loss = GridLoss(4, window=8)
    grid = torch.zeros(1, 1, 64, 64)
    grid[..., 1::4, 2::4] = 0.16  # one pixel of sixteen
    assert loss(hr + grid, hr).item() == pytest.approx(0.01, abs=1e-4)
    assert loss(hr + 0.1, hr).item() == pytest.approx(0.1, abs=1e-4)
    texture = 0.1 * torch.randn(hr.shape)
    expected = 0.1 / 8 * (2 / torch.pi) ** 0.5  # the mean of 64 independent values
    assert loss(hr + texture, hr).item() == pytest.approx(expected, rel=0.1)


def test_grid_loss_is_the_mean_over_windows_and_places() -> None:
    sr, hr = torch.randn(1, 3, 24, 16), torch.randn(1, 3, 24, 16)
    values = [
        (sr - hr)[0, channel, top + row : top + 16 : 4, left + column : left + 16 : 4].mean().abs()
        for channel in range(3)
        for row in range(4)
        for column in range(4)
        for top in (0, 8)
        for left in (0,)
    ]
    expected = torch.stack(values).mean().item()
    assert GridLoss(4, window=4)(sr, hr).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_grid_loss_sees_every_pixel(scale: int) -> None:
    hr = torch.zeros(1, 3, 11 * scale, 15 * scale)
    sr = hr.clone().requires_grad_()
    GridLoss(scale, window=8)(sr + 0.1, hr).backward()
    assert sr.grad is not None
    assert (sr.grad > 0).all()


def test_grid_loss_takes_crops_smaller_than_its_window() -> None:
    hr = torch.rand(1, 3, 16, 16)
    assert GridLoss(4, window=8)(hr + 0.1, hr).item() == pytest.approx(0.1, abs=1e-4)


def test_haar_keeps_the_energy_and_wavelet_loss_sees_grain_only() -> None:
    image = torch.rand(2, 3, 16, 16)
    low, details = haar(image)
    assert low.shape == (2, 3, 8, 8)
    assert details.shape == (2, 3, 3, 8, 8)
    total = low.square().sum() + details.square().sum()
    assert total.item() == pytest.approx(image.square().sum().item(), rel=1e-5)
    assert WaveletLoss(2)(image + 0.3, image).item() == pytest.approx(0, abs=1e-6)  # a cast
    grain = 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    expected = (0.1 * 4 / 2) / 3 / 2  # one of three bands, one of two levels
    assert WaveletLoss(2)(image + grain, image).item() == pytest.approx(expected, rel=1e-4)


def test_wavelet_loss_says_which_sizes_fit() -> None:
    with pytest.raises(ValueError, match="3 levels need sides that are multiples of 8, got 12x12"):
        WaveletLoss(3)(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12))


def test_refuses_layer_weights_of_another_number() -> None:
    with pytest.raises(ValueError, match="layer_weights must hold one number for each"):
        VGGLoss(["relu2_2"], "random", layer_weights=[1.0, 2.0])
