"""The adversarial stage: discriminator and generator in turn."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from sr_gan.losses import Objective
from sr_gan.modules.base import Batch, SRModule
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
        self.discriminator = discriminator
        self.adversarial = loss.adversarial
        self.generator_lr, self.discriminator_lr = generator_lr, discriminator_lr
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        hr = batch["hr"]
        optimizer_g, optimizer_d = self.optimizers()  # type: ignore[attr-defined]
        sr = self.generator(batch["lr"])  # (B, 3, H, W) in [-1, 1], one pass for both players

        with self.toggled_optimizer(optimizer_d):
            real, fake = self.discriminator(hr), self.discriminator(sr.detach())  # (B, 1) logits
            loss_d = self.adversarial.discriminator(real, fake)
            self._update(optimizer_d, loss_d)

        with self.toggled_optimizer(optimizer_g):
            terms = self.loss.content(sr, hr)
            terms["adversarial"] = self.adversarial.generator(self.discriminator(sr))
            loss_g = self.loss.total(terms)
            self._update(optimizer_g, loss_g)

        if self.schedule.interval == "step":
            self._advance_schedules()
        self.log_terms(terms, loss_g)
        self._log_discriminator(loss_d, real, fake)
        return {"D": loss_d.detach(), "G": loss_g.detach()}

    def on_train_epoch_end(self) -> None:
        if self.schedule.interval == "epoch":
            self._advance_schedules()

    def configure_optimizers(self) -> Any:
        optimizer_g, schedule_g = self.adam(self.generator, self.generator_lr)
        optimizer_d, schedule_d = self.adam(self.discriminator, self.discriminator_lr)
        return [optimizer_g, optimizer_d], [schedule_g, schedule_d]

    def _update(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

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
