"""How fast a run is, and how long it waits for data."""

from time import perf_counter
from typing import Any

import lightning as L


class Timing(L.Callback):
    """Logs seconds a step, seconds of waiting for a batch, and images a second, over an epoch.

    The clock is the host's and nothing is synchronised: on a GPU one step means little, and the
    mean over an epoch is right.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._reset()  # an epoch that is resumed in its middle has no start of its own

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._reset()

    def _reset(self) -> None:
        self.steps, self.images, self.waiting = 0, 0, 0.0
        self.begin = self.last = perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.waiting += perf_counter() - self.last

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.steps += 1
        self.images += len(batch["hr"]) * trainer.world_size
        self.last = perf_counter()

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
