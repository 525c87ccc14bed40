"""Archives of data sets: what is known of them, and what fetching and unpacking share."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sr_gan.errors import UserError
from sr_gan.files import bar_interval, readable

CHUNK = 1 << 18  # bytes in memory at a time
AGAIN = "run the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Archive:
    """A zip file of a data set; sizes are in bytes, and None where they are not known."""

    name: str  # of the file: "DIV2K_train_HR.zip"
    folder: str  # in the zip and below root, with "/": "DIV2K_train_LR_bicubic/X4"
    count: int  # files below that folder
    size: int | None = None
    sha256: str | None = None
    unpacked: int | None = None  # None: about `size`, as photos do not compress


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def check_free(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if needed > free:
        raise UserError(
            f"{root} needs {readable(needed)} of free disk for the archives and their files, "
            f"and has {readable(free)}: make room, or choose another place with data.root=FOLDER"
        )


def byte_bar(what: str, total: int | None, delay: float = 0) -> "tqdm[Any]":
    """A bar in bytes, drawn rarely where it would fill a log."""
    options = {"unit": "B", "unit_scale": True, "dynamic_ncols": True}
    return tqdm(desc=what, total=total, mininterval=bar_interval(), delay=delay, **options)


def staging_folder(archive: Archive, root: Path) -> Path:
    return root / f".{archive.folder.replace('/', '-')}.part"


def reason_of(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split()) or type(reason).__name__
