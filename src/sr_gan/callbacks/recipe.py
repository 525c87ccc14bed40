"""What a checkpoint says of the run that made it."""

from typing import Any

import lightning as L

import sr_gan


class Recipe(L.Callback):
    """Writes the stage and the resolved configuration into every checkpoint, as plain data.

    Args:
        stage: name of the stage.
        config: what the run was told; enough to rebuild its networks.
    """

    def __init__(self, stage: str, config: dict[str, Any]) -> None:
        self.content = {"version": sr_gan.__version__, "stage": stage, "config": config}

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["sr_gan"] = self.content
