"""Files: written whole or not at all, read with an error that names them."""

import os
import sys
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


def bar_interval() -> float:
    """Seconds between two drawings of a progress bar: few where a log takes them."""
    return 0.2 if sys.stderr.isatty() else 10.0


def readable(size: float) -> str:
    """Bytes as MB or GB, powers of ten."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def relative(path: Path) -> Path:
    """A path as a user would type it: relative to where the command runs, if it lies there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def default_cache_dir() -> Path:
    """``$SR_GAN_CACHE``, or ``sr_gan`` in the user's cache folder."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("SR_GAN_CACHE") or f"{user}/sr_gan").expanduser()
