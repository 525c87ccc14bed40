"""The first stage, which trains the generator without a discriminator."""

from typing import Any

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sr_gan.arguments import Decay, Pair, checked
from sr_gan.losses import Objective
from sr_gan.modules.base import Batch, SRModule, images, named_losses
from sr_gan.modules.schedules import Constant


class Pretrain(SRModule):
    """Trains the generator on content terms alone; for SRResNet, on the mean squared error.

    It also takes the arguments of its base class.

    Args:
        loss: content terms and weights; no adversarial term.
        lr: Adam's learning rate.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Ledig et al. 2017, section 3.2, where the GAN's generator starts from these weights.
    """

    @checked
    def __init__(
        self,
        generator: nn.Module,
        loss: Objective,
        epochs: PositiveInt,
        lr: PositiveFloat = 1e-4,
        betas: Pair[Decay] = (0.9, 0.999),
        schedule: Constant | None = None,
        ema: Decay = 0.0,
    ) -> None:
        super().__init__(generator, loss, epochs, betas, schedule, ema)
        if loss.adversarial is not None:
            raise ValueError("a pretrain has no discriminator: choose a loss without one")
        self.learning_rates = (lr,)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        lr, hr = images(batch)
        sr = self.generator(lr)  # (B, 3, H, W) in [-1, 1]
        terms = self.content(lr, sr, hr)
        total = self.loss.total(terms)
        self.means.add(named_losses(terms, total))
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.follow()
