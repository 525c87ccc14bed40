"""Exports a model in one format; what does not run as the generator does leaves no file."""

import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from errno import ENOSPC
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from sr_gan.errors import UserError, printable
from sr_gan.exports.check import compared, compared_in_fp16
from sr_gan.exports.portable import Portable
from sr_gan.files import readable, relative

_FULL = 1_000_000  # bytes; a disk with less free space counts as full


@dataclass(frozen=True)
class Proven:
    """The files of one format, and what their trial gave.

    Args:
        files: the files.
        difference: the largest difference to the generator, of an output in [0, 1].
        seconds: the time that writing and trying took.
    """

    files: list[Path]
    difference: float
    seconds: float

    def describe(self) -> str:
        """Returns the files and their size, the seconds, and the difference."""
        size = sum(file.stat().st_size for file in self.files)
        names = [str(relative(file)) for file in self.files]
        if len(names) > 2:
            names = [names[0], f"{len(names) - 1} more files"]
        return (
            f"{' and '.join(names)} ({readable(size)}, "
            f"{self.seconds:.0f} s), differs by at most {255 * self.difference:.2g} grey levels of "
            f"255 ({self.difference:.1e})"
        )


def export(portable: Portable, name: str, output: Path) -> Proven:
    """Writes a model in one format, runs it beside the generator, and then moves it into place.

    Args:
        portable: the model.
        name: the format, a module of this room.
        output: the folder; files of the same names are replaced.

    Raises:
        UserError: the format cannot hold the network, or the result differs.
        OSError: the files cannot be written.
    """
    began = perf_counter()
    part = TemporaryDirectory(prefix=".export-", dir=output)
    with part as folder, _one_line(name, output), _quiet():
        form = import_module(f"sr_gan.exports.{name}")
        files = form.write(portable, Path(folder))
        difference = compared(form.load(files), portable.model.generator, portable.half)
        if portable.half:
            difference = max(difference, compared_in_fp16(portable.model.generator))
        placed = [file.replace(output / file.name) for file in files]
    return Proven(placed, difference, perf_counter() - began)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what foreign packages print on their own doings."""
    for package in ("torch", "onnxscript", "onnx_ir"):
        logging.getLogger(package).setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _one_line(name: str, output: Path) -> Iterator[None]:
    """Makes one line of what a foreign package raises, and of a full disk."""
    try:
        yield
    except Exception as error:
        full = shutil.disk_usage(output).free < _FULL or getattr(error, "errno", None) == ENOSPC
        if full or "basic_ios" in str(error):  # OpenVINO says no more when a file cannot grow
            raise UserError(
                f"output={relative(output)}: there is no space left on the disk: make room, or "
                "give another folder"
            ) from error
        if isinstance(error, OSError) and error.filename:
            raise
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise UserError(f"output={relative(output)} cannot be written: {reason}") from error
        if isinstance(error, UserError):
            raise UserError(f"format={name}: {error}") from error
        reason = next(iter(str(error).strip().splitlines()), "")
        what = f"{type(error).__name__}: {printable(reason)}"
        raise UserError(f"format={name} cannot hold this network ({what})") from error
