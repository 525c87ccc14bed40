import pytest
import torch
from torch import nn

from sr_gan.losses import BCEAdversarialLoss, Objective


def test_total_is_the_weighted_sum_of_named_terms() -> None:
    objective = Objective(
        {"mse": 2.0, "l1": 0.5, "adversarial": 1e-3},
        {"mse": nn.MSELoss(), "l1": nn.L1Loss()},
        BCEAdversarialLoss(),
    )
    sr, hr = torch.zeros(1, 3, 4, 4, requires_grad=True), torch.full((1, 3, 4, 4), 0.5)
    terms = objective.content(sr, hr)
    terms["adversarial"] = torch.tensor(7.0)
    assert objective.total(terms).item() == pytest.approx(2 * 0.25 + 0.5 * 0.5 + 7e-3)
    objective.total(terms).backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "weights", [{}, {"mse": 1.0}, {"mse": 1.0, "adversarial": 1.0, "tv": 1.0}, {"mes": 1.0}]
)
def test_weights_must_name_the_terms(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights must name the terms mse, adversarial, got"):
        Objective(weights, {"mse": nn.MSELoss()}, BCEAdversarialLoss())
