"""Helpers for files: atomic writes, readable sizes, paths and the cache folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file that replaces ``path`` once it is written in full.

    After an exception, or if the disk is full, ``path`` is as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open(mode, newline=None if "b" in mode else "") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def bar_interval() -> float:
    """Returns the seconds between two updates of a progress bar: more if it goes to a log file."""
    return 0.2 if sys.stderr.isatty() else 10.0


def readable(size: float) -> str:
    """Formats a number of bytes as MB or GB, which are powers of ten."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def relative(path: Path) -> Path:
    """Returns the path relative to the working directory if it lies in it, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def default_cache_dir() -> Path:
    """Returns ``$SR_GAN_CACHE``, or the folder ``sr_gan`` in the user's cache folder."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("SR_GAN_CACHE") or f"{user}/sr_gan").expanduser()
