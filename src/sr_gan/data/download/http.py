"""Downloads archives, resumes what was cut off, verifies every file and has it unpacked."""

import errno
import hashlib
import logging
import string
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from shutil import disk_usage
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from sr_gan.data.download.archive import CHUNK, Archive, byte_bar, staging_folder
from sr_gan.data.download.unzip import unpack
from sr_gan.errors import UserError
from sr_gan.files import readable

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds without a byte from the server after which a connection is given up
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds between attempts that bring no new byte
MIRROR = "choose another mirror with data.url=URL"


class _TransferError(Exception):
    """An interruption after which another attempt may succeed."""


def obtain(archives: Sequence[Archive], root: Path, url: str) -> None:
    """Makes sure that the folder of every archive lies unpacked below ``root``.

    A folder that has all its files is left alone. Every other archive is downloaded, unless its
    zip file already lies in ``root``; then it is verified and unpacked. An interrupted download
    leaves ``NAME.part`` in ``root``, and the next call resumes it. The zip files are kept.

    Args:
        archives: the archives of the data set.
        root: the root folder of the data set, which is created where it does not exist.
        url: the http, https or file URL of the folder that holds the archives.

    Raises:
        UserError: ``url`` is not a URL, the server refuses or fails too often, an archive is
            damaged or unsafe, the disk is too small, or ``root`` cannot be written.
    """
    addresses = {archive: _address(url, archive.name) for archive in archives}
    missing = [archive for archive in archives if not _is_complete(archive, root)]
    for archive in archives:
        if archive not in missing:
            log.info("%s already has its %d files", root / archive.folder, archive.count)
    if not missing:  # nothing is written, so that root may be read-only
        return
    with _alone_in(root):
        _check_free(missing, root)
        for archive in missing:
            file = root / archive.name
            if not file.exists():
                _download(archive, file, addresses[archive])
            elif fault := _fault(file, archive):
                raise UserError(f"{file} {fault}: delete it and run the same command again")
            unpack(archive, root)
            log.info("%s is unpacked and may be deleted", file)


def _address(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # for example a port that is not a number
        is_web = False
    if not is_web and not url.startswith("file:"):
        raise UserError(
            f"data.url={url} is not a URL: give the folder that holds {name} as https://, "
            "http:// or file://"
        )
    # Spaces and umlauts are quoted. Characters that a URL may contain, "%" among them, are kept.
    return f"{quote(url.rstrip('/'), safe=string.punctuation)}/{quote(name)}"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _is_complete(archive: Archive, root: Path) -> bool:
    """Whether the folder has all its files; hidden ones, which systems leave, do not count."""
    files = [file for file in _files(root / archive.folder) if not file.name.startswith(".")]
    return len(files) >= archive.count


def _check_free(archives: Sequence[Archive], root: Path) -> None:
    """Compares the free disk with what is left to download and to unpack."""
    needed = 0
    for archive in archives:
        present = [root / archive.name, root / f"{archive.name}.part"]
        present += _files(root / archive.folder) + _files(staging_folder(archive, root))
        # Photos do not compress: unpacked, they are about as large as their archive.
        needed += max(0, 2 * archive.size - sum(map(_size, present)))
    free = disk_usage(root).free
    if needed > free:
        raise UserError(
            f"{root} has {readable(free)} of free disk, but the archives and their files need "
            f"{readable(needed)}: make room, or choose another place with data.root=FOLDER"
        )


@contextmanager
def _alone_in(root: Path) -> Iterator[None]:
    """Creates ``root``, lets one process at a time work in it, and reports errors of the disk."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".prepare.lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            log.info("another process is working in %s: waiting until it is done", root)
            held = lock.acquire()
        with held:
            yield
    except OSError as error:
        reason = f"{root} cannot be used ({error.filename or root}: {error.strerror or error})"
        advice = "repair that, or choose another place with data.root=FOLDER"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"the disk of {root} is full"
            advice = "make room and run the same command again"
        raise UserError(f"{reason}: {advice}") from error


def _fault(file: Path, archive: Archive) -> str | None:
    """What is wrong with the size or the checksum of a zip file, if anything is."""
    size, digest = _size(file), hashlib.sha256()
    if size != archive.size:
        return f"has {size} bytes instead of {archive.size}"
    with file.open("rb") as content, byte_bar(f"verify {archive.name}", size, delay=1) as bar:
        while block := content.read(CHUNK):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() == archive.sha256:
        return None
    return f"has the SHA-256 {digest.hexdigest()} instead of {archive.sha256}"


def _download(archive: Archive, file: Path, address: str) -> None:
    """Downloads to ``NAME.part``, which gets its final name once it is verified."""
    part = file.with_name(f"{file.name}.part")
    while True:
        resumed = part.exists()
        _transfer(address, part, archive.size)
        fault = _fault(part, archive)
        if fault is None:
            part.replace(file)
            return
        part.unlink()
        if not resumed:
            raise UserError(
                f"{address} is damaged or another version: the file {fault}. It was deleted: "
                f"{MIRROR}, or run the same command again to start over"
            )
        # The bytes of an earlier run may be to blame.
        log.warning("%s %s: it was deleted, and the download starts over", part, fault)


def _transfer(address: str, part: Path, size: int) -> None:
    """Connects again and again until the part has ``size`` bytes."""
    most, pauses = _size(part), iter(PAUSES)
    while _size(part) < size:
        try:
            _attempt(address, part, size)
        except _TransferError as error:
            have = _size(part)
            if have > most:  # a server without Range only repeats what was there before
                most, pauses = have, iter(PAUSES)
            pause = next(pauses, None)
            if pause is None:
                raise UserError(
                    f"{address}: {error}, and {len(PAUSES)} further attempts brought nothing new. "
                    f"{readable(have)} of {readable(size)} are in {part}: run the same command "
                    f"again to resume, or {MIRROR}"
                ) from error
            log.warning("%s: %s; next attempt in %.0f s", address, error, pause)
            time.sleep(pause)


def _attempt(address: str, part: Path, size: int) -> None:
    """Writes what one connection delivers, and raises where it ends too early."""
    have = _size(part)
    with _open(address, part) as answer:
        if answer.status != 206:  # the server ignores Range and sends the whole file
            have = 0
        length = answer.headers.get("Content-Length", str(size - have))
        if length != str(size - have):
            raise UserError(
                f"{address} offers {length} bytes instead of {size - have}: it is damaged or "
                f"another file; {MIRROR}"
            )
        bar = byte_bar(part.stem, size, initial=have)
        with part.open("ab" if have else "wb") as file, bar:
            while block := _read(answer):
                file.write(block)
                bar.update(len(block))
    if _size(part) < size:
        raise _TransferError(f"the connection ended after {_size(part)} of {size} bytes")


def _open(address: str, part: Path) -> Any:
    """The server's answer to a request for the bytes that the part lacks."""
    headers = {"User-Agent": "sr_gan"}
    if start := _size(part):
        headers["Range"] = f"bytes={start}-"
    try:
        return urlopen(Request(address, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        reason, is_final = f"status {error.code} {error.reason}", error.code < 500
    except (OSError, HTTPException) as error:
        reason, is_final = _reason(error), address.startswith("file:")
    if not is_final:
        raise _TransferError(reason)
    raise UserError(
        f"{address} cannot be fetched: {reason}. Place {part.stem} in {part.parent} by hand and "
        f"run the same command again, or {MIRROR}"
    )


def _read(answer: HTTPResponse) -> bytes:
    try:
        return answer.read1(CHUNK)  # read() would lose what came before an interruption
    except (OSError, HTTPException) as error:
        raise _TransferError(_reason(error)) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split()) or type(reason).__name__
