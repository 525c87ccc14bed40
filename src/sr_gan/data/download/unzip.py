"""Unpacks an archive so that its folder never looks complete while files are still missing."""

import shutil
import stat
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from sr_gan.data.download.archive import Archive, byte_bar, staging_folder
from sr_gan.errors import UserError


def unpack(archive: Archive, root: Path) -> None:
    """Unpacks the folder of an archive, whose zip file lies in ``root`` and has been verified.

    All files are written to a staging folder first, and are moved once every one of them is
    complete. Files that already lie in the archive's folder are never overwritten.

    Raises:
        UserError: a member of the archive is unsafe, or a file in the folder has another size
            than the member of the same name.
        OSError: the disk is full or cannot be written.
    """
    staging = staging_folder(archive, root)
    shutil.rmtree(staging, ignore_errors=True)  # a process that was killed leaves one
    with ZipFile(root / archive.name) as content:
        missing = _missing(content, archive, root)
        size = sum(info.file_size for info in missing)
        try:
            with byte_bar(f"unpack {archive.name}", size) as bar:
                for info in missing:
                    content.extract(info, staging)
                    bar.update(info.file_size)
            _move(missing, staging, archive, root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _missing(content: ZipFile, archive: Archive, root: Path) -> list[ZipInfo]:
    """Checks every member, and returns the files of the archive's folder that ``root`` lacks."""
    missing = []
    for info in content.infolist():
        _check_safe(info, root / archive.name)
        inside = PurePosixPath(archive.folder) in PurePosixPath(info.filename).parents
        if info.is_dir() or not inside:
            continue
        file = root / info.filename
        if not file.exists():
            missing.append(info)
        elif file.stat().st_size != info.file_size:
            raise UserError(
                f"{file} has another size than in {archive.name}: delete it and run the same "
                "command again"
            )
    return missing


def _check_safe(info: ZipInfo, file: Path) -> None:
    """Refuses a member that could be written outside of ``root``, or that is not a file."""
    name = info.orig_filename  # zipfile replaces "\" on Windows and cuts a name at a zero byte
    if name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0"):
        what = "has a path that may lead out of the folder"
    elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "is a link or a device"
    else:
        return
    raise UserError(
        f"{file} is not safe and was not unpacked: its member {name!r} {what}. Delete the file "
        "and take the archive from a source that you trust"
    )


def _move(members: list[ZipInfo], staging: Path, archive: Archive, root: Path) -> None:
    folder = root / archive.folder
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        (staging / archive.folder).replace(folder)  # all files appear at the same moment
        return
    for info in members:
        (root / info.filename).parent.mkdir(parents=True, exist_ok=True)
        (staging / info.filename).replace(root / info.filename)
