"""Unpacks an archive so that half of it never looks whole, and nothing leaves its folder."""

import errno
import shutil
import stat
import struct
import zlib
from collections.abc import Sequence
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from sr_gan.data.download.archive import (
    CHUNK,
    Archive,
    byte_bar,
    check_free,
    files_below,
    reason_of,
    size_of,
    staging_folder,
)
from sr_gan.errors import UserError
from sr_gan.files import atomic_write

# What zipfile raises on a file that is cut off or has flipped bits; bz2 an OSError without errno.
DAMAGE = (BadZipFile, zlib.error, LZMAError, EOFError, struct.error, ValueError, RuntimeError)


def unpack(archive: Archive, root: Path) -> None:
    """Writes the files of ``archive``, which lies in ``root``, to its folder there.

    They are gathered in a folder aside, where an interrupted unpacking goes on.

    Raises:
        UserError: the archive is damaged, unsafe, incomplete or too large for the disk.
        OSError: the disk cannot be written.
    """
    file = root / archive.name
    try:
        with ZipFile(file) as content:
            _extract(content, _members(content, file, archive), archive, root)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise UserError(
            f"{file} is damaged or not a zip archive ({reason_of(error)}): delete it and run the "
            "same command again"
        ) from error


def _members(content: ZipFile, file: Path, archive: Archive) -> dict[PurePosixPath, ZipInfo]:
    """The files below the archive's folder, by their path in it, once all members are checked."""
    members = {}
    for info in content.infolist():
        _check_member(info, file)
        path = PurePosixPath(info.filename)
        hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        if PurePosixPath(archive.folder) in path.parents and not info.is_dir() and not hidden:
            members[path.relative_to(archive.folder)] = info
    if len(members) < archive.count:
        raise UserError(
            f"{file} holds {len(members)} files in {archive.folder}, expected {archive.count}: it "
            "is incomplete or another archive; delete it and run the same command again"
        )
    return members


def _check_member(info: ZipInfo, file: Path) -> None:
    """Refuses what could write outside of the folder, or cannot be read."""
    name = info.orig_filename  # zipfile changes \ on Windows and cuts at a zero byte
    outside = name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0")
    if outside:
        what = "has a path that is not relative to the folder"
    elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "is a link or a device"
    elif info.flag_bits & 1:
        what = "is encrypted"
    else:
        return
    raise UserError(
        f"{file} is not safe and was not unpacked: its member {name!r} {what}. Delete it and take "
        "the archive from a source that you trust"
    )


def _extract(
    content: ZipFile, members: dict[PurePosixPath, ZipInfo], archive: Archive, root: Path
) -> None:
    """Writes what is missing to a folder aside, and moves it when it is complete."""
    staging, final = staging_folder(archive, root), root / archive.folder
    wanted = {path: info for path, info in members.items() if not (final / path).exists()}
    for path in set(members) - set(wanted):
        if not _has(final, path, members[path]):
            raise UserError(
                f"{final / path} is not the file of {archive.name}, its size differs: remove it "
                "and run the same command again"
            )
    for stray in set(files_below(staging)) - {staging / path for path in wanted}:
        stray.unlink()  # of a process that was killed, or of another version
    todo = {path: info for path, info in wanted.items() if not _has(staging, path, info)}
    size = sum(info.file_size for info in todo.values())
    check_free(root, size)
    with byte_bar(f"unpack {archive.name}", size) as bar:
        for path, info in todo.items():
            with content.open(info) as source, atomic_write(staging / path, "wb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            bar.update(info.file_size)
    _publish(staging, final, list(wanted))


def _has(folder: Path, path: PurePosixPath, info: ZipInfo) -> bool:
    file = folder / path
    return file.is_file() and size_of(file) == info.file_size


def _publish(staging: Path, final: Path, paths: Sequence[PurePosixPath]) -> None:
    final.parent.mkdir(parents=True, exist_ok=True)
    if not final.exists():
        staging.replace(final)  # all files at once
        return
    for path in paths:
        (final / path).parent.mkdir(parents=True, exist_ok=True)
        (staging / path).replace(final / path)
    shutil.rmtree(staging, ignore_errors=True)
