"""Learning-rate schedules, as functions of the share of a stage that is done."""

from collections.abc import Sequence
from math import cos, pi
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sr_gan.arguments import Decay, Share, checked

Interval = Literal["step", "epoch"]


class Constant:
    """A constant learning rate; the base class of the other schedules, which add a decay.

    Args:
        warmup: the share of the stage, in [0, 1), in which the rate grows linearly from 0.
        interval: whether the rate changes after every ``"step"`` or every ``"epoch"``.

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    @checked
    def __init__(self, warmup: Decay = 0.0, interval: Interval = "step") -> None:
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

    @checked
    def __init__(
        self,
        milestones: Sequence[Annotated[float, Field(gt=0, lt=1)]],
        gamma: PositiveFloat = 0.1,
        warmup: Decay = 0.0,
        interval: Interval = "step",
    ) -> None:
        super().__init__(warmup, interval)
        self.milestones, self.gamma = tuple(milestones), gamma

    def decay(self, progress: float) -> float:
        return float(self.gamma ** sum(progress >= milestone for milestone in self.milestones))


class Cosine(Constant):
    """Lowers the rate along half a cosine to ``final`` times its full value.

    Source: Loshchilov and Hutter 2017, equation 5, without restarts.
    """

    @checked
    def __init__(
        self, final: Share = 0.0, warmup: Decay = 0.0, interval: Interval = "step"
    ) -> None:
        super().__init__(warmup, interval)
        self.final = final

    def decay(self, progress: float) -> float:
        return self.final + (1 - self.final) * (1 + cos(pi * progress)) / 2
