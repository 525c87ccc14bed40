"""MLflow: one MLflow run per stage, in a store that all runs share."""

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from sr_gan.files import real

_SQLITE = "sqlite:///"


class MLflow(MLFlowLogger):
    """Lightning's logger with images and all settings; a local store has its pictures beside it.

    Args:
        tracking_uri: the store: ``sqlite:///FILE``, created if it is missing, or a server's URI.
        experiment_name: the experiment under which MLflow shows the runs.
        run_name: the name of the MLflow run.
        tags: the tags of the MLflow run.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str,
        run_name: str,
        tags: dict[str, Any] | None = None,
    ) -> None:
        artifacts = None  # the server decides
        if tracking_uri.startswith(_SQLITE):
            store = real(Path(tracking_uri.removeprefix(_SQLITE)))
            artifacts = str(store.with_suffix(""))
            rank_zero_only(store.parent.mkdir)(parents=True, exist_ok=True)
        logging.getLogger("alembic").setLevel(logging.WARNING)  # no line for each table
        super().__init__(experiment_name, run_name, tracking_uri, tags, artifact_location=artifacts)

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Logs pictures under ``key``, with ``step`` on the slider."""
        for image in images:
            self.experiment.log_image(self.run_id, image, key=key, step=step)

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Logs settings as parameters, cut at 250 characters, and uncut in ``config.yaml``."""
        super().log_hyperparams(params)
        self.experiment.log_dict(self.run_id, params, "config.yaml")
