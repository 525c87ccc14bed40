"""Adds the stage and the configuration of a run to its checkpoints and loggers."""

from typing import Any

import lightning as L

import sr_gan


class Recipe(L.Callback):
    """Writes the stage and the resolved configuration into every checkpoint, as plain data.

    Loggers get the same when the stage begins.

    Args:
        stage: the name of the stage.
        config: the resolved configuration of the run, from which its networks can be rebuilt.
        photos: a digest of the photographs that the run is trained on.
    """

    def __init__(self, stage: str, config: dict[str, Any], photos: str) -> None:
        self.content: dict[str, Any] = {
            "version": sr_gan.__version__,
            "stage": stage,
            "config": config,
            "photos": photos,
        }

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams({**self.content["config"], "stage": self.content["stage"]})

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["sr_gan"] = self.content
