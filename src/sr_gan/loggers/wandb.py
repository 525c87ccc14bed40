"""Weights & Biases: one W&B run per stage; the stages of a run form a group."""

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only


class WandB(WandbLogger):
    """Lightning's logger, which ends the W&B run with the stage, so that the next starts its own.

    Args:
        save_dir: the folder of the run, in which ``wandb/`` is created.
        name: the name of the W&B run.
        project: the project in which W&B shows the run.
        group: the group under which W&B shows the stages of a run.
        offline: whether to write to ``save_dir`` only, for ``wandb sync`` to send later;
            ``WANDB_MODE=offline`` in the environment does the same.
        entity: the user or team; ``None`` for the default of the user who is logged in.
        tags: the tags of the W&B run.
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
    def finalize(self, status: str) -> None:
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
