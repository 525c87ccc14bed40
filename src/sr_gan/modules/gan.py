"""The adversarial stage: discriminator and generator in turn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sr_gan.losses import GradientPenalty, Objective
from sr_gan.modules.base import Batch, SRModule, channels_last, images
from sr_gan.modules.schedules import Constant


@dataclass(frozen=True)
class Turn:
    """What an update does besides moving the generator; equal turns run the same kernels.

    Args:
        discriminator: it moves, too.
        penalty: on its gradient.
        noise: standard deviation of the noise before it, in units of [-1, 1].
        random: random numbers are drawn.
    """

    discriminator: bool
    penalty: bool
    noise: float
    random: bool


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
        ema: of the generator, see :class:`SRModule`.
        penalty: on the discriminator's gradient; ``None`` for no penalty.
        adversarial_ramp: share of the stage in which the weight of the adversarial term grows
            linearly from 0, in [0, 1]: the discriminator learns before it is listened to.
        instance_noise: standard deviation, in units of [-1, 1], of the Gaussian noise on everything
            that the discriminator sees, at the start (Sønderby et al. 2017).
        noise_until: share of the stage in which that noise decays linearly to 0, in (0, 1].
        discriminator_every: update the discriminator on every so many-th batch.

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
        ema: float = 0.0,
        penalty: GradientPenalty | None = None,
        adversarial_ramp: float = 0.0,
        instance_noise: float = 0.0,
        noise_until: float = 0.5,
        discriminator_every: int = 1,
    ) -> None:
        super().__init__(generator, loss, epochs, betas, schedule, ema)
        if loss.adversarial is None:
            raise ValueError("a GAN needs an adversarial loss: choose a loss that has one")
        for name, lr in {
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr,
        }.items():
            if lr <= 0:
                raise ValueError(f"{name} must be positive, got {lr}")
        for name, count in {
            "accumulate": accumulate,
            "discriminator_every": discriminator_every,
        }.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, got {count}")
        if not 0 <= adversarial_ramp <= 1:
            raise ValueError(f"adversarial_ramp must be in [0, 1], got {adversarial_ramp}")
        if instance_noise < 0 or not 0 < noise_until <= 1:
            raise ValueError(
                "instance_noise must be at least 0 and noise_until in (0, 1], got "
                f"{instance_noise} and {noise_until}"
            )
        self.accumulate = accumulate
        self.discriminator = channels_last(discriminator)
        self.adversarial = loss.adversarial
        self.generator_lr, self.discriminator_lr = generator_lr, discriminator_lr
        self.penalty = penalty
        self.adversarial_ramp = adversarial_ramp
        self.instance_noise, self.noise_until = instance_noise, noise_until
        self.discriminator_every = discriminator_every
        self.discriminator_slowdown = 1.0  # of its learning rate, and noise: set while it is to be
        self.extra_noise = 0.0  # held back
        self.replay: Callable[..., dict[str, Any]] | None = None  # in place of ``update``
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        turn = self._turn(batch_idx)
        generator_lr, discriminator_lr = (
            optimizer.param_groups[0]["lr"] for optimizer in self.trainer.optimizers
        )
        numbers = {
            "ramp": self.ramp,
            "generator_lr": generator_lr,
            "discriminator_lr": discriminator_lr * self.discriminator_slowdown,
        }
        run = self.replay or self.update
        outputs = run(images(batch), turn, numbers)
        if not self.rehearsing:
            self.follow()
            if self.schedule.interval == "step":
                self._advance_schedules()
        return outputs

    def update(
        self, batch: Sequence[Tensor], turn: Turn, numbers: Mapping[str, float | Tensor]
    ) -> dict[str, Any]:
        """One update of the players, of which all numbers that change from one to the next come
        from outside, so that it can be recorded and replayed.

        Args:
            batch: LR (B, 3, h, w) in [0, 1] and HR (B, 3, H, W) in [-1, 1].
            turn: what is done besides the generator's update.
            numbers: ``ramp``, ``generator_lr`` and ``discriminator_lr``, scalars.

        Returns:
            What callbacks look at: losses, answers, and the last part's images.
        """
        optimizer_g, optimizer_d = self.optimizers()  # type: ignore[attr-defined]
        parts = list(zip(*(image.chunk(self.accumulate) for image in batch)))
        # (B, 3, H, W) in [-1, 1]: one pass for both players, unless its graph is to be small
        whole = self.generator(parts[0][0]) if len(parts) == 1 else None
        judge = self._judge(turn.noise)
        answers: dict[str, Tensor] = {}

        if turn.discriminator:
            with self._stepping(optimizer_d, numbers["discriminator_lr"]):
                for lr, hr in parts:
                    sr = self._glimpse(lr) if whole is None else whole.detach()
                    real, fake = judge(hr), judge(sr)  # logits
                    loss_d = self.adversarial.discriminator(real, fake)
                    if turn.penalty and self.penalty:
                        draws = self._draws() if self.penalty.random else None
                        penalty = self.penalty(self.discriminator, hr, sr, draws)
                        self.means.add({"loss/penalty": penalty})
                        loss_d = loss_d + penalty
                    self._propagate(loss_d / len(parts))
                    answers = self._answers(loss_d, real, fake)

        with self._stepping(optimizer_g, numbers["generator_lr"]):
            for lr, hr in parts:
                sr = self.generator(lr) if whole is None else whole
                terms = self.content(lr, sr, hr)
                terms["adversarial"] = self.adversarial_term(sr, hr, judge)
                loss_g = self.loss.total(terms, adversarial=numbers["ramp"])
                self._propagate(loss_g / len(parts))
                self.log_terms(terms, loss_g)

        return {**answers, "G": loss_g.detach(), "lr": lr, "sr": sr.detach(), "hr": hr}

    def adversarial_term(self, sr: Tensor, hr: Tensor, judge: Any = None) -> Tensor:
        """The adversarial loss of ``sr``, not weighted; ``judge`` is the discriminator."""
        judge = judge or self.discriminator
        real = None
        if self.adversarial.relative:
            with torch.no_grad():
                real = judge(hr)
        return self.adversarial.generator(judge(sr), real)

    @property
    def ramp(self) -> float:
        """What the adversarial weight is multiplied with at this batch, in [0, 1]."""
        return min(1.0, self.progress / self.adversarial_ramp) if self.adversarial_ramp else 1.0

    def on_train_epoch_end(self) -> None:
        if self.schedule.interval == "epoch":
            self._advance_schedules()

    def configure_optimizers(self) -> Any:
        optimizer_g, schedule_g = self.adam(self.generator, self.generator_lr)
        optimizer_d, schedule_d = self.adam(self.discriminator, self.discriminator_lr)
        return [optimizer_g, optimizer_d], [schedule_g, schedule_d]

    def _turn(self, batch_idx: int) -> Turn:
        """What the update of this batch does."""
        moves = batch_idx % self.discriminator_every == 0
        penalty = self.penalty if moves else None
        if penalty and batch_idx % penalty.every:
            penalty = None
        noise = self.instance_noise * max(0.0, 1 - self.progress / self.noise_until)
        noise = max(noise, self.extra_noise)
        random = bool(noise) or bool(penalty and penalty.random)
        return Turn(moves, penalty is not None, noise, random)

    @contextmanager
    def _stepping(self, optimizer: Any, rate: float | Tensor) -> Iterator[None]:
        """An update of one player from the gradients that are made inside; the other rests."""
        (group,) = optimizer.param_groups
        lr = group["lr"]
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            yield
            if self.rehearsing:
                return
            group["lr"] = rate
            try:
                optimizer.step()
            finally:
                group["lr"] = lr

    def _propagate(self, loss: Tensor) -> None:
        """The backward pass; a rehearsal's neither scales the loss nor tells other processes."""
        (self.backward if self.rehearsing else self.manual_backward)(loss)

    def _glimpse(self, lr: Tensor) -> Tensor:
        """The image that the discriminator learns from, without what its gradient would take; BN
        leaves its averages to the pass from which the generator learns."""
        norms = [norm for norm in self.generator.modules() if isinstance(norm, _BatchNorm)]
        for norm in norms:
            norm.track_running_stats = False
        with torch.no_grad():  # else a compiler takes it for the pass with a graph
            sr: Tensor = self.generator(lr)
        for norm in norms:
            norm.track_running_stats = True
        return sr

    def _judge(self, sigma: float) -> Any:
        """The discriminator, behind instance noise."""
        if not sigma:
            return self.discriminator
        draws = self._draws()

        def behind_noise(image: Tensor) -> Tensor:
            noise = torch.randn(image.shape, device=image.device, generator=draws)
            logits: Tensor = self.discriminator(image + sigma * noise)
            return logits

        return behind_noise

    def _draws(self) -> torch.Generator:
        """Random numbers that depend on the update alone, so that a resumed run repeats them."""
        seed = self.trainer.global_step * self.trainer.world_size + self.trainer.global_rank
        return torch.Generator(self.device).manual_seed(seed)

    def _advance_schedules(self) -> None:
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()

    def _answers(self, loss: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's loss and answers, which are logged as means over the epoch."""
        real, fake = real.detach(), fake.detach()
        p_real, p_fake = self.adversarial.probabilities(real, fake)
        values = {
            "loss/discriminator": loss.detach(),
            "discriminator/real": p_real,
            "discriminator/fake": p_fake,
            "discriminator/logit_real": real.float().mean(),
            "discriminator/logit_fake": fake.float().mean(),
        }
        self.means.add(values)
        return {"D": loss.detach(), "real": p_real, "fake": p_fake}
