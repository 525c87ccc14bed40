"""Saves the state of a run: the best one, now and then, at the end, and when asked to end."""

import logging
import signal
from pathlib import Path
from time import monotonic
from typing import Any, Literal, cast

import lightning as L
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from pydantic import PositiveFloat

from sr_gan import signals
from sr_gan.arguments import checked
from sr_gan.modules.base import SRModule
from sr_gan.runs.health import diverged

log = logging.getLogger(__name__)

_VALIDATION = "epoch_loop.val_loop.batch_progress"  # in Lightning's checkpoints


class SaveBest(ModelCheckpoint):
    """Saves ``best.ckpt`` at the end of an epoch whose validation was better than all before.

    Args:
        folder: the folder of the file.
        monitor: the metric that decides.
        mode: ``min`` if a lower value is better, or ``max``.
    """

    @checked
    def __init__(
        self, folder: str, monitor: str = "quality/rank", mode: Literal["min", "max"] = "min"
    ) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0:
            super().on_train_epoch_end(trainer, pl_module)

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Takes the best score over from a run of version 0.2, which had Lightning's own class."""
        states = checkpoint["callbacks"]
        former = f"ModelCheckpoint{{'monitor': '{self.monitor}'"
        for key in [key for key in states if key.startswith(former)]:
            states.setdefault(self.state_key, states[key])


class SaveState(Checkpoint):  # Lightning calls checkpoints after all other callbacks
    """Saves ``last.ckpt`` between two steps, so that a run that resumes from it loses nothing.

    It saves every ``minutes``, at the end of the stage, and when a signal has asked the run to end,
    see ``sr_gan.signals``. A checkpoint from the middle of a step would hold a discriminator
    that is one update ahead of its generator, so a signal is only noted until the step is done. A
    second Ctrl-C ends the run at once, without saving. A run that resumes from a checkpoint written
    during a validation begins with this validation.

    Args:
        path: the checkpoint to write.
        minutes: the time between two saves.

    Raises:
        Interrupted: a signal came, and the state has been saved, unless the run has diverged.
    """

    @checked
    def __init__(self, path: str, minutes: PositiveFloat = 10) -> None:
        self.path, self.minutes = Path(path), minutes
        self.saved_at = monotonic()
        self.stopped_by: int | None = None
        self.saved = False  # files are written in a thread, so that they may not be there yet

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        signals.postpone()
        self.saved_at = monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        # After an epoch's last batch Lightning could not resume with the validation.
        if not trainer.is_last_batch:
            self._save_if_asked(trainer, self._is_due())
            self._stop_if_asked()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save_if_asked(trainer, self._is_due())
        self._stop_if_asked()

    def on_validation_batch_end(self, trainer: L.Trainer, *args: Any, **kwargs: Any) -> None:
        self._save_if_asked(trainer)
        self._stop_if_asked()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save_if_asked(trainer)  # and stop at the next start: the loggers are not done yet

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop_if_asked()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save_if_asked(trainer, due=True)
        self._stop_if_asked()

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.validating:  # Lightning repeats a validation that has begun and done nothing
            done = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
            progress = checkpoint["loops"]["fit_loop"][_VALIDATION]
            progress |= {"total": done, "current": dict.fromkeys(done, 0), "is_last_batch": False}

    def _is_due(self) -> bool:
        return monotonic() - self.saved_at > 60 * self.minutes

    def _save_if_asked(self, trainer: L.Trainer, due: bool = False) -> None:
        asked = signals.received()
        if _agreed(trainer, asked is not None or (due and trainer.is_global_zero)):
            self._save(trainer, cast(SRModule, trainer.lightning_module))
            if _agreed(trainer, asked is not None):
                self.stopped_by = asked or signal.SIGTERM

    def _save(self, trainer: L.Trainer, module: SRModule) -> None:
        so_far = {**module.taken, **module.means.peek()}
        wrong = diverged({name: float(value) for name, value in so_far.items()})
        if _agreed(trainer, bool(wrong)):  # the older checkpoint is worth more
            log.warning("not saved: the run has diverged (%s)", ", ".join(wrong) or "elsewhere")
            return
        trainer.save_checkpoint(self.path)
        self.saved_at, self.saved = monotonic(), True

    def _stop_if_asked(self) -> None:
        if self.stopped_by is not None:
            there = self.saved or self.path.exists()
            raise signals.Interrupted(self.stopped_by, self.path if there else None)


def _agreed(trainer: L.Trainer, wanted: bool) -> bool:
    """Whether any process wants it, so that all of them do the same after the same step."""
    if trainer.world_size == 1:
        return wanted
    return bool(trainer.strategy.reduce_boolean_decision(wanted, all=False))
