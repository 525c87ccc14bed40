"""The adversarial stage: discriminator and generator in turn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sr_gan.arguments import Decay, Pair, Share, checked
from sr_gan.losses import GradientPenalty, Objective
from sr_gan.modules.base import Batch, SRModule, channels_last, images, named_losses
from sr_gan.modules.schedules import Constant

Network = Callable[[Tensor], Tensor]
Loss = tuple[Tensor, dict[str, Tensor]]  # what is minimised, and numbers that are logged

_NOISE, _PENALTY, _STREAMS = 0, 1, 2  # two streams of random numbers, and their count


@dataclass(frozen=True)
class Turn:
    """What an update does besides moving the generator. Equal turns run the same kernels.

    Args:
        discriminator: whether the discriminator moves, too.
        penalty: whether its gradient is penalised.
        noise: the standard deviation of the instance noise, in units of [-1, 1].
        random: whether random numbers are drawn.
    """

    discriminator: bool
    penalty: bool
    noise: float
    random: bool


class GAN(SRModule):
    """Alternates one update of the discriminator and one of the generator on every batch.

    It also takes the arguments of its base class.

    Args:
        discriminator: images in [-1, 1] to logits.
        loss: the generator's content terms and the adversarial loss, with their weights.
        generator_lr: the generator's learning rate.
        discriminator_lr: the discriminator's learning rate.
        accumulate: the number of parts that a batch is cut into, of which one is in memory at a
            time. Their gradients add up to those of the whole batch, except that BatchNorm
            averages over a part.
        penalty: a penalty on the discriminator's gradient; ``None`` for no penalty.
        adversarial_ramp: the share of the stage, in [0, 1], in which the weight of the adversarial
            term grows linearly from 0, so that the discriminator learns first.
        instance_noise: the standard deviation, in units of [-1, 1], of the Gaussian noise on
            everything that the discriminator sees at the start (Sønderby et al. 2017).
        noise_until: the share of the stage, in (0, 1], in which that noise decays linearly to 0.
        discriminator_every: the discriminator moves on every ``discriminator_every``-th batch.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Ledig et al. 2017, equations 2 to 6.
    """

    players = ("generator", "discriminator")

    @checked
    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Objective,
        epochs: PositiveInt,
        generator_lr: PositiveFloat = 1e-4,
        discriminator_lr: PositiveFloat = 1e-4,
        betas: Pair[Decay] = (0.9, 0.999),
        schedule: Constant | None = None,
        accumulate: PositiveInt = 1,
        ema: Decay = 0.0,
        penalty: GradientPenalty | None = None,
        adversarial_ramp: Share = 0.0,
        instance_noise: NonNegativeFloat = 0.0,
        noise_until: Annotated[float, Field(gt=0, le=1)] = 0.5,
        discriminator_every: PositiveInt = 1,
    ) -> None:
        super().__init__(generator, loss, epochs, betas, schedule, ema)
        if loss.adversarial is None:
            raise ValueError("a GAN needs an adversarial loss: choose a loss that has one")
        self.accumulate = accumulate
        self.discriminator = channels_last(discriminator)
        self.adversarial = loss.adversarial
        self.learning_rates = (generator_lr, discriminator_lr)
        self.penalty = penalty
        self.adversarial_ramp = adversarial_ramp
        self.instance_noise, self.noise_until = instance_noise, noise_until
        self.discriminator_every = discriminator_every
        # These two hold the discriminator back; see sr_gan.callbacks.Health.
        self.discriminator_slowdown = 1.0  # factor of its learning rate
        self.extra_noise = 0.0  # instance noise, in units of [-1, 1]
        self.replay: Callable[..., dict[str, Any]] | None = None  # runs in place of ``update``
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
        """Moves both players once.

        All numbers that change from one update to the next are arguments, so that an update can be
        recorded and replayed.

        Args:
            batch: LR (B, 3, h, w) in [0, 1] and HR (B, 3, H, W) in [-1, 1].
            turn: what is done besides the generator's update.
            numbers: the scalars ``ramp``, ``generator_lr`` and ``discriminator_lr``.

        Returns:
            What callbacks look at: the losses ``G`` and ``D``, the mean answers ``real`` and
            ``fake``, and the images ``lr``, ``sr`` and ``hr`` of the whole batch.
        """
        optimizer_g, optimizer_d = self.optimizers()  # type: ignore[attr-defined]
        parts = list(zip(*(image.chunk(self.accumulate) for image in batch)))
        # One pass serves both players, unless the batch comes in parts: a graph of a part is small.
        whole = self.generator(parts[0][0]) if len(parts) == 1 else None  # (B, 3, H, W)
        discriminator = self._behind_noise(turn.noise)
        generated: list[Tensor] = []
        answers: dict[str, Tensor] = {}

        def discriminate(lr: Tensor, hr: Tensor) -> Loss:
            sr = self._without_graph(lr) if whole is None else whole.detach()
            return self.discriminator_loss(hr, sr, discriminator, turn.penalty)

        def generate(lr: Tensor, hr: Tensor) -> Loss:
            sr = self.generator(lr) if whole is None else whole
            generated.append(sr.detach())
            return self.generator_loss(lr, hr, sr, discriminator, numbers["ramp"])

        if turn.discriminator:
            with self._stepping(optimizer_d, numbers["discriminator_lr"]):
                answers = self._accumulated(parts, discriminate)
        with self._stepping(optimizer_g, numbers["generator_lr"]):
            terms = self._accumulated(parts, generate)

        sr = torch.cat(generated) if len(generated) > 1 else generated[0]
        outputs = {"lr": batch[0], "sr": sr, "hr": batch[1]}
        outputs["G"] = terms["loss/generator"]
        if answers:
            outputs["D"] = answers["loss/discriminator"]
            outputs |= {name: answers[f"discriminator/{name}"] for name in ("real", "fake")}
        return outputs

    def discriminator_loss(
        self, hr: Tensor, sr: Tensor, discriminator: Network, penalised: bool = False
    ) -> Loss:
        """The discriminator's loss: that of its logits, plus the penalty on its gradient.

        Args:
            hr: photographs, (B, 3, H, W) in [-1, 1].
            sr: generated images of the same shape, without gradients.
            discriminator: images to logits.
            penalised: whether the penalty is taken in this update.
        """
        real, fake = discriminator(hr), discriminator(sr)  # logits
        loss = self.adversarial.discriminator(real, fake)
        numbers = {}
        if penalised and self.penalty:
            draws = self._random_numbers(_PENALTY) if self.penalty.random else None
            numbers["loss/penalty"] = self.penalty(self.discriminator, hr, sr, draws)
            loss = loss + numbers["loss/penalty"]
        real, fake = real.detach(), fake.detach()
        p_real, p_fake = self.adversarial.probabilities(real, fake)
        return loss, {
            **numbers,
            "loss/discriminator": loss,
            "discriminator/real": p_real,
            "discriminator/fake": p_fake,
            "discriminator/logit_real": real.float().mean(),
            "discriminator/logit_fake": fake.float().mean(),
        }

    def generator_loss(
        self,
        lr: Tensor,
        hr: Tensor,
        sr: Tensor,
        discriminator: Network,
        ramp: float | Tensor = 1.0,
    ) -> Loss:
        """The generator's loss: the weighted sum of the content terms and the adversarial term.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            hr: photographs, (B, 3, H, W) in [-1, 1].
            sr: the generator's images of ``lr``, with gradients.
            discriminator: images to logits.
            ramp: a factor of the adversarial weight.
        """
        terms = self.content(lr, sr, hr)
        terms["adversarial"] = self.adversarial_term(sr, hr, discriminator)
        total = self.loss.total(terms, adversarial=ramp)
        return total, named_losses(terms, total)

    def adversarial_term(
        self, sr: Tensor, hr: Tensor, discriminator: Network | None = None
    ) -> Tensor:
        """The adversarial loss of ``sr`` without its weight."""
        discriminator = discriminator or self.discriminator
        real = None
        if self.adversarial.relative:
            with torch.no_grad():
                real = discriminator(hr)
        return self.adversarial.generator(discriminator(sr), real)

    def _accumulated(
        self, parts: Sequence[tuple[Tensor, ...]], losses: Callable[..., Loss]
    ) -> dict[str, Tensor]:
        """Adds up the gradients over the parts of a batch; returns and logs the numbers' means."""
        # A rehearsal leaves out loss scaling and other processes.
        backward = self.backward if self.rehearsing else self.manual_backward
        every = []
        for part in parts:
            loss, numbers = losses(*part)
            backward(loss / len(parts))
            every.append({name: number.detach() for name, number in numbers.items()})
        means = every[0]
        if len(every) > 1:
            means = {name: torch.stack([one[name] for one in every]).mean() for name in means}
        self.means.add(means)
        return means

    @property
    def ramp(self) -> float:
        """The factor of the adversarial weight at this batch, in [0, 1]."""
        return min(1.0, self.progress / self.adversarial_ramp) if self.adversarial_ramp else 1.0

    def on_train_epoch_end(self) -> None:
        if self.schedule.interval == "epoch":
            self._advance_schedules()

    def _turn(self, batch_idx: int) -> Turn:
        """Decides what the update of this batch does."""
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
        """Moves one player by the gradients that are computed inside; the other player rests."""
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

    def _without_graph(self, lr: Tensor) -> Tensor:
        """Returns the generator's image without the graph, which would fill the memory.

        BatchNorm's averages stay: only the pass that the generator learns from moves them.
        """
        norms = [norm for norm in self.generator.modules() if isinstance(norm, _BatchNorm)]
        for norm in norms:
            norm.track_running_stats = False
        with torch.no_grad():  # otherwise a compiler would take it for the pass with a graph
            sr: Tensor = self.generator(lr)
        for norm in norms:
            norm.track_running_stats = True
        return sr

    def _behind_noise(self, sigma: float) -> Network:
        """Returns the discriminator with instance noise added to its images."""
        if not sigma:
            return self.discriminator
        draws = self._random_numbers(_NOISE)

        def discriminator(image: Tensor) -> Tensor:
            noise = torch.randn(image.shape, device=image.device, generator=draws)
            logits: Tensor = self.discriminator(image + sigma * noise)
            return logits

        return discriminator

    def _random_numbers(self, stream: int) -> torch.Generator:
        """Returns random numbers that depend on the update only: a resumed run repeats them."""
        update = self.trainer.global_step * self.trainer.world_size + self.trainer.global_rank
        return torch.Generator(self.device).manual_seed(_STREAMS * update + stream)

    def _advance_schedules(self) -> None:
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()
