"""Learning-rate schedules as functions of the finished share of a stage, whatever its length."""

from collections.abc import Sequence
from math import cos, pi
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Constant:
    """A constant learning rate; the base of the others, which add a decay.

    Args:
        warmup: share of the stage in which the rate grows linearly from 0, in [0, 1).
        interval: change the rate after every ``"step"`` or every ``"epoch"``.

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
        """What the rate is multiplied with at ``progress`` in [0, 1]."""
        ramp = min(1.0, progress / self.warmup) if self.warmup else 1.0
        return ramp * self.decay(progress)

    def decay(self, progress: float) -> float:
        """The factor without the warm-up."""
        return 1.0

    def attach(self, optimizer: Optimizer, updates: float) -> LambdaLR:
        """A scheduler that takes the optimiser through the schedule in ``updates`` of its steps."""
        return LambdaLR(optimizer, lambda done: self.factor(min(1.0, (done + 0.5) / updates)))


class Steps(Constant):
    """Multiplies the rate by ``gamma`` at each milestone, a share of the stage in (0, 1).

    Source: SRGAN trains half of its updates at 1e-4 and half at 1e-5: milestones [0.5], gamma 0.1.
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
    """Half a cosine from the full rate to ``final`` times it.

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
