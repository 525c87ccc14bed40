import math

import pytest
import torch
from torch.optim import SGD

from sr_gan.modules import Constant, Cosine, Steps


def rates(schedule: Constant, updates: int) -> list[float]:
    """Returns the learning rates in the steps of an optimiser with the rate 1."""
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule.attach(optimizer, updates)
    seen = []
    for _ in range(updates):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_constant() -> None:
    assert rates(Constant(), 4) == [1.0] * 4


def test_warmup_grows_to_the_full_rate() -> None:
    assert rates(Constant(warmup=0.4), 10) == pytest.approx(
        [0.125, 0.375, 0.625, 0.875] + [1.0] * 6
    )


def test_steps_are_the_papers_two_halves() -> None:
    seen = rates(Steps([0.5], 0.1), 200)
    assert seen == pytest.approx([1.0] * 100 + [0.1] * 100)


def test_cosine_equals_its_equation() -> None:
    seen = rates(Cosine(final=0.1), 8)
    assert seen == pytest.approx(
        [0.1 + 0.45 * (1 + math.cos(math.pi * (i + 0.5) / 8)) for i in range(8)]
    )


def test_stays_at_the_end_when_run_over() -> None:
    assert Cosine().factor(1.0) == pytest.approx(0.0)
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = Steps([0.5]).attach(optimizer, 2)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
