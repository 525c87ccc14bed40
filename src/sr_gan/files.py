"""Files: written whole or not at all, read with an error that names them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sr_gan.errors import UserError


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file beside ``path`` that takes its place once it is written in full.

    An exception, or a full disk, leaves what was at ``path`` before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open(mode, newline=None if "b" in mode else "") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tensors(path: Path) -> dict[str, Any]:
    """Reads a ``.safetensors`` file, or anything that torch saved, onto the CPU.

    Nothing but tensors and plain data is unpickled, and a checkpoint is mapped, not copied.

    Raises:
        UserError: the file cannot be read, or holds no dictionary.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if "PytorchStreamReader" in reason:
            reason = "the file is damaged or cut off"
        elif isinstance(error, UnpicklingError):
            reason = "it holds more than tensors and plain data, or is no such file"
        raise UserError(f"{path} cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    return content


def _is_zip(path: Path) -> bool:
    """Whether torch wrote it in its format since 1.6, the only one that can be mapped."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def bar_interval() -> float:
    """Seconds between two drawings of a progress bar: few where a log takes them."""
    return 0.2 if sys.stderr.isatty() else 10.0


def readable(size: float) -> str:
    """Bytes as MB or GB, powers of ten."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"
