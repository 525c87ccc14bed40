import numpy as np
import pytest
import torch
from torch import Tensor

from sr_gan.losses import LDLLoss
from sr_gan.losses.ldl import artefact_map


def naive_map(sr: Tensor, hr: Tensor, averaged: Tensor) -> np.ndarray:
    """Computes the map of the paper's section 3 pixel by pixel in float64; images are in [0, 1]."""
    maps = []
    for ours, photo, other in zip(*(image.double().numpy() for image in (sr, hr, averaged))):
        residual, average = np.abs(photo - ours).sum(0), np.abs(photo - other).sum(0)
        padded = np.pad(residual, 3, mode="reflect")
        whole = np.var(residual, ddof=1) ** (1 / 5)
        rows = np.zeros_like(residual)
        for y, x in np.ndindex(*residual.shape):
            if residual[y, x] >= average[y, x]:
                rows[y, x] = whole * np.var(padded[y : y + 7, x : x + 7], ddof=1)
        maps.append(rows[None])
    return np.stack(maps)


@pytest.fixture
def images() -> tuple[Tensor, Tensor, Tensor]:
    """Returns SR, HR and the average's image, two each; the second pair has small errors."""
    hr = torch.rand(2, 3, 12, 17) * 2 - 1
    noise = torch.rand(2, 3, 12, 17) * torch.tensor([0.5, 0.02]).view(2, 1, 1, 1)
    return hr + noise, hr, hr + noise.roll(1, -1)


def test_the_map_is_the_papers(images: tuple[Tensor, Tensor, Tensor]) -> None:
    inputs = [image / 2 for image in images]
    ours, expected = artefact_map(*inputs), naive_map(*inputs)
    assert 0.2 < (expected == 0).mean() < 0.8  # both cases occur
    assert np.array_equal(ours.numpy() == 0, expected == 0)
    for one, other in zip(ours, expected):  # the second map is a thousandth of the first
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * other.max())


def test_the_loss_is_l1_under_the_map(images: tuple[Tensor, Tensor, Tensor]) -> None:
    sr, hr, averaged = (image / 2 for image in images)
    expected = np.abs(naive_map(sr, hr, averaged) * (sr - hr).double().numpy()).mean()
    with torch.autocast("cpu", torch.bfloat16):
        value = LDLLoss()(*images)
    assert value.item() == pytest.approx(expected, rel=1e-4)


def test_the_gradient_is_that_of_finite_differences(images: tuple[Tensor, Tensor, Tensor]) -> None:
    """It includes the gradient of the map; the direction leaves zeroed pixels zeroed."""
    sr, hr, averaged = images
    x = sr.clone().requires_grad_()
    LDLLoss()(x, hr, averaged).backward()
    assert x.grad is not None

    def by_hand(step: float) -> float:
        moved = hr + (1 + step) * (sr - hr)
        weights = naive_map(moved / 2, hr / 2, hr / 2) * (
            naive_map(sr / 2, hr / 2, averaged / 2) > 0
        )
        return float(np.abs(weights * ((moved - hr) / 2).double().numpy()).mean())

    slope = (by_hand(1e-3) - by_hand(-1e-3)) / 2e-3
    assert float((x.grad * (sr - hr)).sum()) == pytest.approx(slope, rel=1e-3)
    detached = by_hand(0)  # the slope if the map were constant
    assert slope == pytest.approx(3.4 * detached, rel=1e-3)  # 2 and 2/5 from the map


def test_nothing_is_asked_of_a_perfect_image_or_of_one_better_than_the_average(
    images: tuple[Tensor, Tensor, Tensor],
) -> None:
    sr, hr, averaged = images
    perfect = hr.clone().requires_grad_()
    value = LDLLoss()(perfect, hr, averaged)
    value.backward()
    assert value.item() == 0
    assert perfect.grad is not None
    assert torch.isfinite(perfect.grad).all()
    assert LDLLoss()(sr, hr, hr + 2 * (sr - hr)).item() == 0
    assert LDLLoss()(sr, hr, sr).item() > 0  # an equal residual counts
