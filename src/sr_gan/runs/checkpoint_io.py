"""How checkpoints reach the disk."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sr_gan.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then takes its place.

    Lightning's own goes through the system's folder for temporary files: on another disk the last
    step is a copy, and where it fails the old checkpoint is gone.

    Raises:
        OSError: the disk is full or the folder locked; it names the checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()  # so that a full disk raises an error of the system's
        torch.save(checkpoint, content)
        try:
            with atomic_write(Path(path), "wb") as file:
                file.write(content.getbuffer())
        except OSError as error:
            error.filename = str(path)
            raise
