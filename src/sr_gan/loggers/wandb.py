"""Weights & Biases: one run a stage, the stages of a run in a group."""

from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image


class WandB(WandbLogger):
    """Lightning's logger, which ends its run with the stage, so that the next begins its own.

    Args:
        save_dir: folder of the run, in which ``wandb/`` is made.
        name: of the W&B run.
        project: in which it is shown.
        group: under which the stages of a run are shown.
        offline: write to ``save_dir`` only, to be sent with ``wandb sync``; so does
            ``WANDB_MODE=offline`` in the environment.
        entity: user or team; ``None`` for the default of who is logged in.
        tags: of the W&B run.
    """

    def __init__(
        self,
        save_dir: str,
        name: str,
        project: str,
        group: str | None = None,
        offline: bool = False,
        entity: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        super().__init__(
            name, save_dir, offline=offline, project=project, group=group, entity=entity, tags=tags
        )

    @rank_zero_only
    def log_image(
        self, key: str, images: list[Image.Image], step: int | None = None, **kwargs: Any
    ) -> None:
        """Adds pictures under ``key``; the epoch, ``step``, is their caption, not their step."""
        caption = [f"epoch {step}"] * len(images)
        super().log_image(key, images, None, caption=caption, **kwargs)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
