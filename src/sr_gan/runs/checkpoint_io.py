"""Writes checkpoints so that a failure never costs the old one."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sr_gan.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one, which it then replaces.

    Lightning's own class goes through the system's folder for temporary files. If that is on
    another disk, the last step is a copy, and if the copy fails, the old checkpoint is gone.

    Raises:
        OSError: the disk is full or the folder is locked; the error names the checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()  # first, so that a full disk raises an OSError
        torch.save(checkpoint, content)
        with atomic_write(Path(path), "wb") as file:
            file.write(content.getbuffer())
