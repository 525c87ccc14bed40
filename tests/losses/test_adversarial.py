import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from sr_gan.losses import (
    AdversarialLoss,
    BCEAdversarialLoss,
    HingeAdversarialLoss,
    LeastSquaresAdversarialLoss,
    RelativisticAdversarialLoss,
    WassersteinAdversarialLoss,
)

REAL, FAKE = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [3.0]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_equals_the_equations() -> None:
    expected_d = -sum(math.log(sigmoid(x)) for x in (2.0, -1.0)) / 2
    expected_d -= sum(math.log(1 - sigmoid(x)) for x in (0.5, 3.0)) / 2
    expected_g = -sum(math.log(sigmoid(x)) for x in (0.5, 3.0)) / 2
    loss = BCEAdversarialLoss()
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected_d)
    assert loss.generator(FAKE).item() == pytest.approx(expected_g)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_is_computed_in_fp32_and_stays_finite(dtype: torch.dtype) -> None:
    """D is saturated: in half precision log(1 - sigmoid) would be infinite."""
    logits = torch.tensor([[30000.0]], dtype=dtype)
    loss = BCEAdversarialLoss().discriminator(-logits, logits)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert BCEAdversarialLoss().generator(-logits).item() == pytest.approx(30000, rel=0.01)


def test_label_smoothing_by_hand() -> None:
    expected = -sum(0.9 * math.log(sigmoid(x)) + 0.1 * math.log(sigmoid(-x)) for x in (2, -1)) / 2
    expected -= sum(0.2 * math.log(sigmoid(x)) + 0.8 * math.log(sigmoid(-x)) for x in (0.5, 3)) / 2
    loss = BCEAdversarialLoss(real_label=0.9, fake_label=0.2)
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected)
    assert torch.equal(loss.generator(FAKE), BCEAdversarialLoss().generator(FAKE))


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (
            LeastSquaresAdversarialLoss(),
            ((2 - 1) ** 2 + (-1 - 1) ** 2) / 4 + (0.5**2 + 3**2) / 4,
            ((0.5 - 1) ** 2 + (3 - 1) ** 2) / 4,
        ),
        (HingeAdversarialLoss(), (0 + 2) / 2 + (1.5 + 4) / 2, -(0.5 + 3) / 2),
        (WassersteinAdversarialLoss(), 1.75 - 0.5, -1.75),
    ],
)
def test_others_by_hand(loss: AdversarialLoss, discriminator: float, generator: float) -> None:
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator)
    assert loss.generator(FAKE).item() == pytest.approx(generator)


def test_relativistic_by_hand() -> None:
    real, fake = [x - 1.75 for x in (2, -1)], [x - 0.5 for x in (0.5, 3)]
    expected_d = -sum(math.log(sigmoid(x)) for x in real) / 4
    expected_d -= sum(math.log(sigmoid(-x)) for x in fake) / 4
    expected_g = -sum(math.log(sigmoid(-x)) for x in real) / 4
    expected_g -= sum(math.log(sigmoid(x)) for x in fake) / 4
    loss = RelativisticAdversarialLoss()
    assert loss.relative
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected_d)
    assert loss.generator(FAKE, REAL).item() == pytest.approx(expected_g)
    with pytest.raises(ValueError, match="logits of photographs"):
        loss.generator(FAKE)


def test_relativistic_pairs_by_hand() -> None:
    """With pairs, both halves of either loss are the same number."""
    ahead = [2 - 0.5, -1 - 3]
    loss = RelativisticAdversarialLoss(pairs=True)
    expected_d = -sum(math.log(sigmoid(x)) for x in ahead) / 2
    expected_g = -sum(math.log(sigmoid(-x)) for x in ahead) / 2
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected_d)
    assert loss.generator(FAKE, REAL).item() == pytest.approx(expected_g)
    expected = [sum(sigmoid(sign * x) for x in ahead) / 2 for sign in (1, -1)]
    assert [float(p) for p in loss.probabilities(REAL, FAKE)] == pytest.approx(expected)


LOSSES: list[Callable[[], AdversarialLoss]] = [
    BCEAdversarialLoss,
    LeastSquaresAdversarialLoss,
    HingeAdversarialLoss,
    WassersteinAdversarialLoss,
    RelativisticAdversarialLoss,
    partial(RelativisticAdversarialLoss, pairs=True),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_each_player_is_pulled_the_right_way(loss: Callable[[], AdversarialLoss]) -> None:
    """D lowers its loss by raising photographs' logits and lowering those of generated images.

    G lowers its loss by raising those of generated images. The logits are those of a PatchGAN.
    """
    real, fake, other = (torch.zeros(2, 1, 3, 3, requires_grad=True) for _ in range(3))
    to_real, to_fake = torch.autograd.grad(loss().discriminator(real, fake), (real, fake))
    assert (to_real < 0).all()
    assert (to_fake >= 0).all()
    assert loss is LeastSquaresAdversarialLoss or (to_fake > 0).all()
    (to_other,) = torch.autograd.grad(loss().generator(other, real.detach()), other)
    assert (to_other < 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_of_certainty_and_of_guessing(loss: Callable[[], AdversarialLoss]) -> None:
    sure = loss().probabilities(torch.full((4, 1), 20.0), torch.full((4, 1), -20.0))
    assert [float(p) for p in sure] == pytest.approx([1, 0], abs=1e-4)
    real, fake = loss().probabilities(torch.full((4, 1), 0.3), torch.full((4, 1), 0.3))
    assert float(real) == float(fake)
