"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
