"""Reads files of tensors without executing any code that they contain."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sr_gan.errors import UserError


def load_tensors(path: Path) -> dict[str, Any]:
    """Reads a ``.safetensors`` file, or a file written by ``torch.save``, onto the CPU.

    Only tensors and plain data are unpickled. A checkpoint is memory-mapped, not copied.

    Raises:
        UserError: the file cannot be read, or does not contain a dictionary.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:  # a file that is none makes the unpickler raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "PytorchStreamReader" in reason:
            reason = "the file is damaged or cut off"
        elif not isinstance(error, (SafetensorError, OSError, RuntimeError, EOFError, ValueError)):
            reason = "it holds more than tensors and plain data, or is no such file"
        raise UserError(f"{path} cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    return content


def _is_zip(path: Path) -> bool:
    """Whether the file has the zip format of torch 1.6 and later; others cannot be mapped."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"
