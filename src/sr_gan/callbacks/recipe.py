"""What checkpoints and loggers say of the run that made them."""

from typing import Any

import lightning as L

import sr_gan


class Recipe(L.Callback):
    """Writes the stage and the resolved configuration into every checkpoint, as plain data.

    Loggers are given the same at the beginning of the stage.

    Args:
        stage: name of the stage.
        config: what the run was told; enough to rebuild its networks.
    """

    def __init__(self, stage: str, config: dict[str, Any]) -> None:
        self.content: dict[str, Any] = {
            "version": sr_gan.__version__,
            "stage": stage,
            "config": config,
        }

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            logger.log_hyperparams({**self.content["config"], "stage": self.content["stage"]})

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["sr_gan"] = self.content
