"""The adversarial stage: discriminator and generator in turn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from sr_gan.losses import Objective
from sr_gan.modules.base import Batch, SRModule, channels_last
from sr_gan.modules.schedules import Constant


class GAN(SRModule):
    """Alternates one update of the discriminator and one of the generator on every batch.

    Args:
        generator: the network under training.
        discriminator: images in [-1, 1] to logits.
        loss: the generator's content terms and the adversarial loss, with their weights.
        epochs: length of the stage.
        generator_lr: the generator's learning rate.
        discriminator_lr: the discriminator's learning rate.
        betas: Adam's averaging factors, of both.
        schedule: of both learning rates; ``None`` keeps them constant.
        accumulate: parts that a batch is cut into, one at a time in memory. Their gradients add up
            to those of the whole batch, but for BN, which averages over a part.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Ledig et al. 2017, equations 2 to 6.
    """

    players = ("generator", "discriminator")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Objective,
        epochs: int,
        generator_lr: float = 1e-4,
        discriminator_lr: float = 1e-4,
        betas: Sequence[float] = (0.9, 0.999),
        schedule: Constant | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(generator, loss, epochs, betas, schedule)
        if loss.adversarial is None:
            raise ValueError("a GAN needs an adversarial loss: choose a loss that has one")
        for name, lr in {
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr,
        }.items():
            if lr <= 0:
                raise ValueError(f"{name} must be positive, got {lr}")
        if accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, got {accumulate}")
        self.accumulate = accumulate
        self.discriminator = channels_last(discriminator)
        self.adversarial = loss.adversarial
        self.generator_lr, self.discriminator_lr = generator_lr, discriminator_lr
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        optimizer_g, optimizer_d = self.optimizers()  # type: ignore[attr-defined]
        parts = list(zip(batch["lr"].chunk(self.accumulate), batch["hr"].chunk(self.accumulate)))
        # (B, 3, H, W) in [-1, 1]: one pass for both players, unless its graph is to be small
        whole = self.generator(batch["lr"]) if len(parts) == 1 else None

        with self._stepping(optimizer_d):
            for lr, hr in parts:
                sr = self._glimpse(lr) if whole is None else whole.detach()
                real, fake = self.discriminator(hr), self.discriminator(sr)  # (B, 1) logits
                loss_d = self.adversarial.discriminator(real, fake)
                self.manual_backward(loss_d / len(parts))
                self._log_discriminator(loss_d, real, fake)

        with self._stepping(optimizer_g):
            for lr, hr in parts:
                sr = self.generator(lr) if whole is None else whole
                terms = self.loss.content(sr, hr)
                terms["adversarial"] = self.adversarial.generator(self.discriminator(sr))
                loss_g = self.loss.total(terms)
                self.manual_backward(loss_g / len(parts))
                self.log_terms(terms, loss_g)

        if self.schedule.interval == "step":
            self._advance_schedules()
        return {"D": loss_d.detach(), "G": loss_g.detach()}

    def on_train_epoch_end(self) -> None:
        if self.schedule.interval == "epoch":
            self._advance_schedules()

    def configure_optimizers(self) -> Any:
        optimizer_g, schedule_g = self.adam(self.generator, self.generator_lr)
        optimizer_d, schedule_d = self.adam(self.discriminator, self.discriminator_lr)
        return [optimizer_g, optimizer_d], [schedule_g, schedule_d]

    @contextmanager
    def _stepping(self, optimizer: Any) -> Iterator[None]:
        """An update of one player from the gradients that are made inside; the other rests."""
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            yield
            optimizer.step()

    def _glimpse(self, lr: Tensor) -> Tensor:
        """The image that the discriminator learns from, without what its gradient would take; BN
        leaves its averages to the pass from which the generator learns."""
        norms = [norm for norm in self.generator.modules() if isinstance(norm, nn.BatchNorm2d)]
        for norm in norms:
            norm.track_running_stats = False
        sr: Tensor = self.generator(lr)  # at rest: no graph is made
        for norm in norms:
            norm.track_running_stats = True
        return sr

    def _advance_schedules(self) -> None:
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()

    def _log_discriminator(self, loss: Tensor, real: Tensor, fake: Tensor) -> None:
        values = {
            "loss/discriminator": loss,
            "discriminator/real": real.float().sigmoid().mean(),
            "discriminator/fake": fake.float().sigmoid().mean(),
        }
        self.log_dict(values, on_step=False, on_epoch=True)
