import pytest
import torch
from torch import nn

from sr_gan.losses import R1Penalty, R1R2Penalty, WassersteinPenalty


def linear(slope: float) -> nn.Module:
    """A discriminator whose gradient has the norm ``slope`` everywhere."""
    layer = nn.Linear(12, 1, bias=False)
    nn.init.constant_(layer.weight, slope / 12**0.5)
    return nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize(
    ("penalty", "slope", "expected"),
    [
        (R1Penalty(2.0, every=1), 3.0, 2.0 / 2 * 9),
        (R1Penalty(2.0, every=16), 3.0, 16 * 2.0 / 2 * 9),  # skipping does not weaken it
        (R1R2Penalty(2.0), 3.0, 2.0 / 2 * (9 + 9)),
        (WassersteinPenalty(10.0), 3.0, 10.0 * 4),
        (WassersteinPenalty(10.0), 1.0, 0.0),
    ],
)
def test_of_a_known_slope(penalty: nn.Module, slope: float, expected: float) -> None:
    image = torch.rand(2, 3, 2, 2)
    value = penalty(linear(slope), image, -image, torch.Generator().manual_seed(0))
    assert value.item() == pytest.approx(expected, abs=1e-4)


def test_wasserstein_looks_between_photograph_and_generated() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image.detach())
            return image.flatten(1).sum(1, keepdim=True)

    real, fake = torch.ones(64, 3, 2, 2), torch.zeros(64, 3, 2, 2)
    WassersteinPenalty()(Spy(), real, fake, torch.Generator().manual_seed(0))
    shares = seen[0][:, 0, 0, 0]
    assert torch.equal(seen[0], shares.view(-1, 1, 1, 1).expand_as(real))
    assert 0 <= shares.min() < 0.1 < 0.9 < shares.max() <= 1


def test_r1_and_r2_are_the_gradients_around_both_kinds_of_images_by_hand() -> None:
    """Compares the penalty and its gradient for D's weights."""
    discriminator = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Conv2d(4, 1, 2), nn.Flatten()
    ).double()
    real, fake = (torch.rand(3, 3, 6, 6, dtype=torch.float64) for _ in range(2))
    weights = list(discriminator.parameters())
    expected = torch.zeros((), dtype=torch.float64)
    for images in (real, fake):
        for image in images:  # one by one
            image = image[None].clone().requires_grad_()
            (slope,) = torch.autograd.grad(discriminator(image).mean(), image, create_graph=True)
            expected = expected + 5.0 / 2 * slope.square().sum() / 3
    by_hand = torch.autograd.grad(expected, weights, allow_unused=True)  # the last bias has none

    value = R1R2Penalty(5.0, every=1)(discriminator.float(), real, fake, torch.Generator())
    ours = torch.autograd.grad(value, list(discriminator.parameters()), allow_unused=True)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert sum(gradient is None for gradient in by_hand) == 1
    for a, b in zip(ours, by_hand):
        if b is not None:
            assert a is not None
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-7)
    only = R1Penalty(5.0, every=1)(discriminator, real, fake, torch.Generator())
    assert only.item() < 0.9 * value.item()


def test_is_taken_in_fp32_under_autocast() -> None:
    image = torch.rand(2, 3, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        value = R1Penalty(2.0, 1)(linear(1.001), image, image, torch.Generator())
    assert value.item() == pytest.approx(1.001**2, rel=1e-6)
