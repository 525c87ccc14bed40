import math

import pytest
import torch

from sr_gan.losses import BCEAdversarialLoss


def test_equals_the_equations() -> None:
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [3.0]])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    expected_d = -sum(math.log(sigmoid(x)) for x in (2.0, -1.0)) / 2
    expected_d -= sum(math.log(1 - sigmoid(x)) for x in (0.5, 3.0)) / 2
    expected_g = -sum(math.log(sigmoid(x)) for x in (0.5, 3.0)) / 2
    loss = BCEAdversarialLoss()
    assert loss.discriminator(real, fake).item() == pytest.approx(expected_d)
    assert loss.generator(fake).item() == pytest.approx(expected_g)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_is_computed_in_fp32_and_stays_finite(dtype: torch.dtype) -> None:
    """A saturated discriminator: in half precision log(1 - sigmoid) would be infinite."""
    logits = torch.tensor([[30000.0]], dtype=dtype)
    loss = BCEAdversarialLoss().discriminator(-logits, logits)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert BCEAdversarialLoss().generator(-logits).item() == pytest.approx(30000, rel=0.01)
