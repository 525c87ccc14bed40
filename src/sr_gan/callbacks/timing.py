"""Measures how fast a run is, and how long it waits for data."""

import logging
from time import perf_counter
from typing import Annotated, Any

import lightning as L
from pydantic import Field

from sr_gan.arguments import checked

log = logging.getLogger(__name__)

_WARM_UP = 10  # steps that are not counted: workers start and caches fill
_ENOUGH = 50  # counted steps after which the share of waiting is reliable


class Timing(L.Callback):
    """Logs an epoch's seconds per step, seconds of waiting per batch, and images per second.

    If waiting takes too much of a stage, one warning names the setting to change. The clock is the
    host's and nothing is synchronised: on a GPU the time of one step means little, but the mean
    over an epoch is right.

    Args:
        most_waiting: the share of the time, in (0, 1], that may go into waiting for data; with 1
            there is no warning.
    """

    @checked
    def __init__(self, most_waiting: Annotated[float, Field(gt=0, le=1)] = 0.1) -> None:
        self.most_waiting = most_waiting
        self.warned = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.total_steps, self.total_waiting, self.total_time = 0, 0.0, 0.0
        self._reset()  # an epoch resumed in its middle has no start

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._reset()

    def _reset(self) -> None:
        self.steps, self.images, self.waiting = 0, 0, 0.0
        self.begin = self.last = perf_counter()

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        self.waited = perf_counter() - self.last
        self.waiting += self.waited

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        before, self.last = self.last, perf_counter()
        self.steps += 1
        self.images += len(batch["hr"]) * trainer.world_size
        self.total_steps += 1
        if self.total_steps > _WARM_UP:
            self.total_waiting += self.waited
            self.total_time += self.last - before
        if self.total_steps <= _WARM_UP + _ENOUGH or self.warned:
            return
        share = self.total_waiting / self.total_time
        if share > self.most_waiting:
            self.warned = True
            advice = getattr(trainer, "datamodule").advice()  # noqa: B009  unknown to mypy
            log.warning("training waits for data %.0f %% of the time: %s", 100 * share, advice)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.steps == 0:
            return
        elapsed = self.last - self.begin
        pl_module.log_dict(
            {
                "speed/step_time": elapsed / self.steps,
                "speed/data_time": self.waiting / self.steps,
                "speed/images_per_second": self.images / elapsed,
            }
        )
