"""The archive of a data set, and what the download and the unpacking share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sr_gan.files import bar_interval

CHUNK = 1 << 18  # bytes that are read and written at a time


@dataclass(frozen=True)
class Archive:
    """A zip file of a data set.

    Args:
        name: the name of the file, such as ``DIV2K_train_HR.zip``.
        folder: the folder in the zip file that is unpacked, with ``/`` between its parts. It gets
            the same path below the root folder of the data set.
        count: the number of files below that folder.
        size: the size of the zip file in bytes.
        sha256: the SHA-256 of the zip file as 64 lower-case hexadecimal digits.
    """

    name: str
    folder: str
    count: int
    size: int
    sha256: str


def staging_folder(archive: Archive, root: Path) -> Path:
    """The folder below ``root`` that gathers unpacked files until all of them are written."""
    return root / f".{archive.name}.part"


def byte_bar(label: str, total: int, **options: Any) -> "tqdm[Any]":
    """A progress bar of ``total`` bytes, which is redrawn rarely where the output is a log."""
    options = {"unit": "B", "unit_scale": True, "dynamic_ncols": True, **options}
    return tqdm(desc=label, total=total, mininterval=bar_interval(), **options)
