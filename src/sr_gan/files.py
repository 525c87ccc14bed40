"""Helpers for files: atomic writes, readable sizes, paths and the cache folder."""

import errno
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryFile
from typing import IO, Any

from sr_gan.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
else:
    _FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK


LONGEST = 255  # bytes of a name on the usual disks
_OLD = 24 * 60 * 60  # seconds
_HOST = platform.node()[:60]


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file that replaces ``path`` once it is written in full.

    After an exception, or if the disk is full, ``path`` is as it was before. What a killed process
    left of the same file is overwritten; :func:`remove_abandoned` removes it.

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _temporary(path) as part:
            with part.open(mode, newline=None if "b" in mode else "") as file:
                yield file
            part.replace(path)
    except OSError as error:
        if not error.filename or str(error.filename).endswith(".part"):
            error.filename = str(path)
        raise


def check_writable(files: Iterable[Path], setting: str) -> None:
    """Checks that files can be written, before it is worked out what is written into them.

    Where folders are missing, a temporary file is made in the one above them. ``setting`` is the
    setting and its value, which are named in an error.

    Raises:
        UserError: one of the files cannot be written; it names what is in the way.
    """
    tried = set[Path]()
    try:
        for file in map(Path.absolute, files):
            folder = _nearest(file)
            if folder not in tried:
                tried.add(folder)
                _try(folder)
    except OSError as error:
        what = f"{printable(error.filename)}: {error.strerror}"
        raise UserError(f"{setting} cannot be written ({what}): give another folder") from error


def _nearest(file: Path) -> Path:
    """Returns the first folder above a file that exists, or raises what stands in the way."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if S_ISDIR(os.lstat(file).st_mode):
            raise _error(errno.EISDIR, file)
    folder = next(each for each in file.parents if os.path.lexists(each))
    if not folder.is_dir():
        raise _error(errno.ENOTDIR, folder)
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
    for name in file.relative_to(folder).parts:
        if 0 < longest < len(os.fsencode(name)):
            raise _error(errno.ENAMETOOLONG, Path(name))
    return folder


def _try(folder: Path) -> None:
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:  # it names a random file
        raise _error(error.errno or errno.EACCES, folder) from error


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(relative(path)))


def remove_abandoned(folder: Path) -> None:
    """Removes the temporary files below a folder whose writers were killed.

    Those of a living process are locked, and stay. A network disk may not tell one machine of the
    locks of another, so those of other machines stay for a day.
    """
    for file in folder.rglob(".*.part") if fcntl else ():
        with suppress(OSError):  # it is a folder, or another process was faster
            ours = f".{_HOST}." in file.name
            if not ours and time.time() - file.stat().st_mtime < _OLD:
                continue
            descriptor = os.open(file, _FLAGS)
            try:
                if _locked(descriptor, file):
                    file.unlink()
            finally:
                os.close(descriptor)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Makes an empty file beside ``path``, locked if possible, and removes what is left of it."""
    claimed = _claimed(path) if fcntl else None
    if claimed is None:
        own = _part(path, os.getpid())
        try:
            yield own
        finally:
            own.unlink(missing_ok=True)
        return
    file, descriptor = claimed
    try:
        yield file
    finally:
        with suppress(OSError):  # it was renamed, and another process may have taken its name
            if _is_at(descriptor, file):
                file.unlink()
        os.close(descriptor)


def _claimed(path: Path) -> tuple[Path, int] | None:
    """Opens the first temporary file that no living process writes; None if there are no locks."""
    for number in count():
        file = _part(path, number)
        try:
            descriptor = os.open(file, _FLAGS | os.O_CREAT, 0o666)
        except OSError:
            if os.path.lexists(file):  # it is another user's, or no file
                continue
            raise
        locked = _locked(descriptor, file)
        if locked:
            return file, descriptor
        os.close(descriptor)
        if locked is None:
            file.unlink(missing_ok=True)
            break
    return None


def _part(path: Path, number: int) -> Path:
    short = os.fsencode(path.name)[:60].decode(errors="ignore")  # a disk may take no longer names
    return path.with_name(f".{short}.{_HOST}.{number}.part")


def _locked(descriptor: int, file: Path) -> bool | None:
    """Whether a file could be locked, and is still in its place; None if the disk has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    with suppress(FileNotFoundError):
        return _is_at(descriptor, file)
    return False


def _is_at(descriptor: int, file: Path) -> bool:
    return os.path.samestat(os.fstat(descriptor), file.stat())


def shortened(stem: str, end: str) -> str:
    """Returns ``stem + end``, with the stem cut off where a disk would not take the name."""
    room = LONGEST - len(os.fsencode(end))
    if len(os.fsencode(stem)) > room:
        stem = os.fsencode(stem)[:room].decode(errors="ignore")
    return stem + end


def bar_interval() -> float:
    """Returns the seconds between two updates of a progress bar: more if it goes to a log file."""
    return 0.2 if sys.stderr.isatty() else 10.0


def readable(size: float) -> str:
    """Formats a number of bytes as MB or GB, which are powers of ten."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def duration(seconds: float) -> str:
    """Formats a time as ``40 s``, ``12 min``, ``3 h 20 min`` or ``2 d 5 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def user_path(text: str) -> Path:
    """Returns the path with a leading ``~`` replaced, unless no user has that name."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  Path.expanduser() would raise


def printable(path: Path | str) -> str:
    """Returns a path as text that can be printed anywhere, whatever bytes its name contains."""
    return str(path) if str(path).isprintable() else repr(str(path))


def real(path: Path) -> Path:
    """Returns the absolute path behind all links; a link that leads to itself stays as it is."""
    return Path(os.path.realpath(path))  # Path.resolve() raises a RuntimeError for such a link


def relative(path: Path) -> Path:
    """Returns the path relative to the working directory if it lies in it, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def default_cache_dir() -> Path:
    """Returns ``$SR_GAN_CACHE``, or the folder ``sr_gan`` in the user's cache folder."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return user_path(os.environ.get("SR_GAN_CACHE") or f"{user}/sr_gan")
