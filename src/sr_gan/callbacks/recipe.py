"""Adds the stage and the configuration of a run to its checkpoints and loggers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

import sr_gan
from sr_gan.files import atomic_write
from sr_gan.runs.folder import OVERRIDES


class Recipe(L.Callback):
    """Writes the stage and the resolved configuration into every checkpoint, as plain data.

    Loggers get the same when the stage begins. Those with a method ``begin_after`` are told the
    step after which it begins. The settings on the command line go into the run's folder with the
    first checkpoint, as the run is resumed with those that its checkpoint had.

    Args:
        stage: the name of the stage.
        config: the resolved configuration of the run, from which its networks can be rebuilt.
        photos: a digest of the photographs that the run is trained on.
        run_dir: the folder of the run.
        overrides: the settings on the command line; None where there was none.
    """

    def __init__(
        self,
        stage: str,
        config: dict[str, Any],
        photos: str,
        run_dir: Path,
        overrides: Sequence[str] | None = None,
    ) -> None:
        self.run_dir, self.overrides = run_dir, overrides
        self.content: dict[str, Any] = {
            "version": sr_gan.__version__,
            "stage": stage,
            "config": config,
            "photos": photos,
        }

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        for logger in trainer.loggers:
            if hasattr(logger, "begin_after"):
                logger.begin_after(done.processed)
            logger.log_hyperparams({**self.content["config"], "stage": self.content["stage"]})

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["sr_gan"] = self.content
        if self.overrides is not None and trainer.is_global_zero:
            with atomic_write(self.run_dir / OVERRIDES) as file:
                json.dump(list(self.overrides), file, indent=2)
            self.overrides = None
