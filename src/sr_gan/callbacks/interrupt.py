"""Ends a run on Ctrl-C or SIGTERM, after it has finished its step and saved its state."""

import signal
import sys
from pathlib import Path
from typing import Any

import lightning as L

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A run that was asked to stop and has saved its state.

    Args:
        signum: the number of the signal.
        checkpoint: the file that holds the state.
    """

    def __init__(self, signum: int, checkpoint: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.checkpoint = signum, checkpoint


class SaveOnSignal(L.Callback):
    """Saves ``last.ckpt`` on Ctrl-C or SIGTERM between two steps, and at the end of the stage.

    A checkpoint from the middle of a step would hold a discriminator that is one update ahead of
    its generator, so the signal is only noted until the step is done. A second Ctrl-C ends the run
    at once, without saving.

    Args:
        path: the checkpoint to write.

    Raises:
        Interrupted: a signal came, and the state has been saved.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for signum in _SIGNALS:
            self.previous[signum] = signal.signal(signum, self._note)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._save_if_asked(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        self._save_if_asked(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.path)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)
        self.previous = {}

    def _note(self, signum: int, frame: Any) -> None:
        if self.received is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signum
        print("\nstopping after this step; Ctrl-C again leaves at once", file=sys.stderr)

    def _save_if_asked(self, trainer: L.Trainer) -> None:
        asked = self.received is not None
        if trainer.world_size > 1:  # all processes stop at the same step, or none does
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked:
            trainer.save_checkpoint(self.path)
            raise Interrupted(self.received or signal.SIGTERM, self.path)
