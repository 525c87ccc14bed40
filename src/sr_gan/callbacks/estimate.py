"""Estimates how long a run takes and how much it writes, after its first updates."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import ceil
from time import perf_counter
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from sr_gan.devices import wait
from sr_gan.files import duration, readable
from sr_gan.modules import GAN
from sr_gan.modules.base import Batch, SRModule, images, unchanged

log = logging.getLogger(__name__)

_WARM_UP, _MEASURED = 5, 15  # updates at the start of a stage
_LONG = 10  # seconds of which it is worth speaking
_WORTH = 100  # a later stage of fewer updates is not measured beforehand


class Estimate(L.Callback):
    """Says after the first updates of a stage how long the rest of the run will take.

    The time of an update is measured. That of a later GAN stage is measured on the losses and
    gradients of one batch, which change nothing. A validation is assumed to take as long as
    enlarging its photos, until the first one has been measured.

    Args:
        stages: the stages of the run that are not finished, by name and in their order.
    """

    def __init__(self, stages: Mapping[str, SRModule]) -> None:
        self.stages, self.stage = stages, next(iter(stages))
        self.update: dict[str, float] = {}  # seconds, by stage
        self.validation = 0.0  # seconds
        self.steps, self.begin = 0, 0.0
        self.every = 1  # epochs from a validation to the next

    def seconds(self, trainer: L.Trainer, stage: str, done: int = 0) -> float:
        """Returns the seconds that a stage needs after ``done`` of its updates."""
        batches = int(trainer.num_training_batches)
        epochs = self.stages[stage].epochs
        left = max(0, epochs * batches - done)
        validations = ceil(epochs / self.every) - min(done // batches, epochs) // self.every
        return left * self.update.get(stage, 0.0) + validations * self.validation

    def beyond(self, trainer: L.Trainer, done: int) -> float:
        """Returns the seconds that the run needs besides the updates of this stage."""
        left = self.stages[self.stage].epochs * int(trainer.num_training_batches) - done
        own = self.seconds(trainer, self.stage, done) - left * self.update.get(self.stage, 0.0)
        return own + sum(self.seconds(trainer, stage) for stage in self._later())

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.steps, self.every = 0, trainer.check_val_every_n_epoch or 1
        self.stage = next(name for name, stage in self.stages.items() if stage is pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        self.steps += 1
        if self.steps == _WARM_UP:
            wait(pl_module.device)
            self.begin = perf_counter()
        if self.steps == _WARM_UP + _MEASURED:
            wait(pl_module.device)
            self.update[self.stage] = (perf_counter() - self.begin) / _MEASURED
            self._measure(trainer, cast(SRModule, pl_module), batch)
            self._say(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.began = perf_counter()
        self.begin += self.began  # a validation amid the measured updates does not count

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.validation = perf_counter() - self.began
        self.begin += self.validation - self.began

    def _later(self) -> list[str]:
        names = list(self.stages)
        return names[names.index(self.stage) + 1 :]

    def _measure(self, trainer: L.Trainer, module: SRModule, batch: Batch) -> None:
        lr, _ = images(batch)
        if not self.validation:
            pixels = getattr(trainer, "datamodule").valid_pixels  # noqa: B009  unknown to mypy
            share = lr[:, 0].numel() / pixels * trainer.world_size
            self.validation = _enlarging(module, lr) / share
        for name in self._later():
            stage = self.stages[name]
            long = stage.epochs * int(trainer.num_training_batches) > _WORTH
            if isinstance(stage, GAN) and long and trainer.world_size == 1:
                with suppress(RuntimeError):  # the memory is full, so that it is not known
                    self.update[name] = _rehearsal(stage, batch, trainer)

    def _say(self, trainer: L.Trainer) -> None:
        done = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        times = {self.stage: self.seconds(trainer, self.stage, done)}
        later = self._later()
        times |= {name: self.seconds(trainer, name) for name in later if name in self.update}
        parts = ", ".join(f"{name} {duration(each)}" for name, each in times.items())
        each = f" ({parts})" if len(times) > 1 else ""
        missing = ", ".join(name for name in later if name not in times)
        without = f" without {missing}, which is measured when it begins" if missing else ""
        if trainer.is_global_zero and sum(times.values()) > _LONG:
            log.info(
                "estimate   about %s%s%s, and %s of checkpoints",
                *(duration(sum(times.values())), each, without, readable(self._bytes(trainer))),
            )

    def _bytes(self, trainer: L.Trainer) -> float:
        """Returns the size of the checkpoints of all stages when the run has ended."""
        total = 0.0
        for module in self.stages.values():
            # Adam keeps two numbers for each parameter.
            one = 3 * sum(_size(getattr(module, player)) for player in module.players)
            one += _size(module.average) if module.average else 0
            total += one + _size(module.generator)  # last.ckpt and generator.safetensors
            for saver in trainer.checkpoint_callbacks:
                if isinstance(saver, ModelCheckpoint) and saver.filename != "last":
                    every = saver._every_n_epochs or 1
                    total += one * (module.epochs // every if saver.save_top_k == -1 else 1)
        return total


def _size(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in [*network.parameters(), *network.buffers()])


def _enlarging(module: SRModule, lr: torch.Tensor) -> float:
    """Returns the seconds in which the network that is validated enlarges a batch."""
    network, training = module.evaluated, module.evaluated.training
    network.eval()
    try:
        with torch.no_grad(), module.trainer.precision_plugin.val_step_context():
            return _second_time(lambda: network(lr), lr.device)
    finally:
        network.train(training)


def _rehearsal(module: GAN, batch: Batch, trainer: L.Trainer) -> float:
    """Returns the seconds of the losses and gradients of an update, which is not made."""
    lr, hr = images({key: batch[key].chunk(module.accumulate)[0] for key in ("lr", "hr")})
    movable = (module.discriminator, module.loss)

    def update() -> None:
        with trainer.precision_plugin.train_step_context():
            sr = module.generator(lr)
            answer, _ = module.discriminator_loss(hr, sr.detach(), module.discriminator)
            total, _ = module.generator_loss(lr, hr, sr, module.discriminator)
        torch.autograd.backward([answer, total])

    for network in movable:
        network.to(lr.device)
    try:
        with unchanged(module), torch.compiler.set_stance("force_eager"):
            return _second_time(update, lr.device) * module.accumulate
    finally:
        for network in movable:
            network.to("cpu")


def _second_time(work: Callable[[], Any], device: torch.device) -> float:
    """Returns the seconds that ``work`` takes when it is done again."""
    work()
    wait(device)
    begin = perf_counter()
    work()
    wait(device)
    return perf_counter() - begin
