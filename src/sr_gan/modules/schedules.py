"""Learning-rate schedules, as functions of the share of a stage that is done."""

from collections.abc import Sequence
from math import cos, pi
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Constant:
    """A constant learning rate; the base class of the other schedules, which add a decay.

    Args:
        warmup: the share of the stage, in [0, 1), in which the rate grows linearly from 0.
        interval: whether the rate changes after every ``"step"`` or every ``"epoch"``.

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    def __init__(self, warmup: float = 0.0, interval: Literal["step", "epoch"] = "step") -> None:
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup must be at least 0 and below 1, got {warmup}")
        if interval not in ("step", "epoch"):
            raise ValueError(f"interval must be step or epoch, got {interval}")
        self.warmup, self.interval = warmup, interval

    def factor(self, progress: float) -> float:
        """Returns the factor of the learning rate at ``progress`` in [0, 1]."""
        ramp = min(1.0, progress / self.warmup) if self.warmup else 1.0
        return ramp * self.decay(progress)

    def decay(self, progress: float) -> float:
        """Returns the factor without the warm-up."""
        return 1.0

    def attach(self, optimizer: Optimizer, updates: float) -> LambdaLR:
        """Returns a scheduler that runs the whole schedule in ``updates`` of its steps."""
        # Each step takes the factor at its middle, so that a warm-up does not begin at 0.
        return LambdaLR(optimizer, lambda done: self.factor(min(1.0, (done + 0.5) / updates)))


class Steps(Constant):
    """Multiplies the rate by ``gamma`` at each milestone, which is a share of the stage in (0, 1).

    Source: Ledig et al. 2017 train half of the updates at 1e-4 and half at 1e-5, which is
    milestones [0.5] and gamma 0.1.
    """

    def __init__(
        self,
        milestones: Sequence[float],
        gamma: float = 0.1,
        warmup: float = 0.0,
        interval: Literal["step", "epoch"] = "step",
    ) -> None:
        super().__init__(warmup, interval)
        if not all(0 < milestone < 1 for milestone in milestones):
            raise ValueError(
                f"milestones are shares of the stage between 0 and 1, got {list(milestones)}"
            )
        if gamma <= 0:
            raise ValueError(f"gamma must be positive, got {gamma}")
        self.milestones, self.gamma = tuple(milestones), gamma

    def decay(self, progress: float) -> float:
        return float(self.gamma ** sum(progress >= milestone for milestone in self.milestones))


class Cosine(Constant):
    """Lowers the rate along half a cosine to ``final`` times its full value.

    Source: Loshchilov and Hutter 2017, equation 5, without restarts.
    """

    def __init__(
        self,
        final: float = 0.0,
        warmup: float = 0.0,
        interval: Literal["step", "epoch"] = "step",
    ) -> None:
        super().__init__(warmup, interval)
        if not 0 <= final <= 1:
            raise ValueError(f"final must be between 0 and 1, got {final}")
        self.final = final

    def decay(self, progress: float) -> float:
        return self.final + (1 - self.final) * (1 + cos(pi * progress)) / 2
