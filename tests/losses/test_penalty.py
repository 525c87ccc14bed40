import pytest
import torch
from torch import nn

from sr_gan.losses import R1Penalty, WassersteinPenalty


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


def test_is_taken_in_fp32_under_autocast() -> None:
    image = torch.rand(2, 3, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        value = R1Penalty(2.0, 1)(linear(1.001), image, image, torch.Generator())
    assert value.item() == pytest.approx(1.001**2, rel=1e-6)


@pytest.mark.parametrize("arguments", [{"weight": 0.0}, {"every": 0}])
def test_refuses_bad_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        R1Penalty(**arguments)  # type: ignore[arg-type]
