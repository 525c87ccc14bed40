from pathlib import Path

import pytest
import torch
from torch import Tensor

from sr_gan.losses import TotalVariationLoss, VGGLoss
from sr_gan.networks import VGG19Features


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "cosine"}, "distance must be mse or l1, got cosine"),
        ({"feature_scale": 0.0}, "feature_scale must be positive"),
        ({"layer_weights": [1.0, 2.0]}, "layer_weights must hold one number for each"),
    ],
)
def test_refuses_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VGGLoss(["relu2_2"], "random", **arguments)  # type: ignore[arg-type]
