"""How fast a run is, and how long it waits for data."""

import logging
from time import perf_counter
from typing import Any

import lightning as L

log = logging.getLogger(__name__)

_WARM_UP = 10  # steps that do not count: workers start, caches fill
_ENOUGH = 50  # steps after which the share of waiting means something


class Timing(L.Callback):
    """Logs seconds a step, seconds of waiting for a batch, and images a second, over an epoch.

    Says once, with the setting to change, when waiting takes more of a stage than it may. The
    clock is the host's and nothing is synchronised: on a GPU one step means little, and the mean
    over an epoch is right.

    Args:
        most_waiting: share of the time, 0 to 1, that may go into waiting for data; 1 is silent.
    """

    def __init__(self, most_waiting: float = 0.1) -> None:
        if not 0 < most_waiting <= 1:
            raise ValueError(f"most_waiting must be above 0 and at most 1, got {most_waiting}")
        self.most_waiting = most_waiting
        self.told = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.total_steps, self.total_waiting, self.total_time = 0, 0.0, 0.0
        self._reset()  # an epoch that is resumed in its middle has no start of its own

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._reset()

    def _reset(self) -> None:
        self.steps, self.images, self.waiting = 0, 0, 0.0
        self.begin = self.last = perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.waited = perf_counter() - self.last
        self.waiting += self.waited

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        before, self.last = self.last, perf_counter()
        self.steps += 1
        self.images += len(batch["hr"]) * trainer.world_size
        self.total_steps += 1
        if self.total_steps > _WARM_UP:
            self.total_waiting += self.waited
            self.total_time += self.last - before
        if self.total_steps > _WARM_UP + _ENOUGH and not self.told:
            self._judge(trainer)

    def _judge(self, trainer: L.Trainer) -> None:
        share = self.total_waiting / self.total_time
        if share > self.most_waiting:
            self.told = True
            advice = getattr(trainer, "datamodule").advice()  # noqa: B009  mypy knows of none
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
