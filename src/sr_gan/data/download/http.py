"""Gets data sets: archives are fetched with resume, verified and unpacked."""

import errno
import hashlib
import logging
import string
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout
from tqdm import tqdm

from sr_gan.data.download.archive import (
    AGAIN,
    CHUNK,
    Archive,
    byte_bar,
    check_free,
    files_below,
    reason_of,
    size_of,
    staging_folder,
)
from sr_gan.data.download.unzip import unpack
from sr_gan.errors import UserError
from sr_gan.files import readable

log = logging.getLogger(__name__)

LONGEST_PAUSE = 60.0  # seconds
MIRROR = "choose another mirror with data.url=URL"


class _TransferError(Exception):
    """An interruption that another attempt may get over."""


def obtain(
    archives: Sequence[Archive],
    root: Path,
    url: str,
    *,
    timeout: float = 30,
    retries: int = 5,
    pause: float = 1.0,
) -> None:
    """Makes sure that the folder of every archive lies unpacked below ``root``.

    A folder with all its files is left alone. Otherwise the archive in ``root`` is unpacked, where
    needed after a download of ``url`` + its name, which goes on from ``NAME.part``. Archives stay.

    Args:
        url: the folder of the archives, http, https or file, with or without a slash at its end.
        timeout: seconds without an answer or a byte after which a connection is given up.
        retries: attempts in a row without a new byte after which the download is given up.
        pause: seconds before the second attempt; it doubles with each one in vain, up to 60.

    Raises:
        UserError: ``url`` is none, or refuses; too many interruptions; a file is damaged or
            unsafe to unpack; the disk is too small or ``root`` cannot be written.
    """
    addresses = {archive: _address(url, archive.name) for archive in archives}
    missing = [archive for archive in archives if not _is_there(archive, root)]
    for archive in archives:
        if archive not in missing:
            log.info("%s is there with its %d files", root / archive.folder, archive.count)
    if not missing:  # also where root is read-only
        return
    with _disk_errors(root), _alone(root):
        # Once more: while this process waited, another one may have done the work.
        missing = [archive for archive in missing if not _is_there(archive, root)]
        check_free(root, sum(_needed(archive, root) for archive in missing))
        for archive in missing:
            if (root / archive.name).exists():
                _check_placed(archive, root)
            else:
                _Download(archive, root, addresses[archive], timeout).run(retries, pause)
            unpack(archive, root)
        files = [root / archive.name for archive in archives if (root / archive.name).is_file()]
        names, size = ", ".join(map(str, files)), readable(sum(map(size_of, files)))
        log.info("all is unpacked; these files may be deleted (%s): %s", size, names)


def _address(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        parts, is_web = urlsplit(""), False
    if not is_web and parts.scheme != "file":
        raise UserError(
            f"data.url={url} is not a URL: give the folder of {name} as https://, http:// or file://"
        )
    # Spaces and umlauts are quoted; what a URL may hold, % too, stays as it is.
    return f"{quote(url.rstrip('/'), safe=string.punctuation)}/{quote(name)}"


def _is_there(archive: Archive, root: Path) -> bool:
    names = [path.name for path in files_below(root / archive.folder)]
    return sum(not name.startswith(".") for name in names) >= archive.count


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the disk of {root} is full: make room, then {AGAIN}") from error
        raise UserError(
            f"{root} cannot be used ({error.filename or root}: {error.strerror or error}): mend "
            "that, or choose another place with data.root=FOLDER"
        ) from error


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Makes ``root``, and keeps other processes out of it."""
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".prepare.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another process prepares %s: waiting until it is done", root)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _needed(archive: Archive, root: Path) -> int:
    """Bytes on disk that download and unpacking still take, as far as sizes are known."""
    file = root / archive.name
    size = archive.size or size_of(file)
    fetch = 0 if file.exists() else max(0, size - size_of(root / f"{archive.name}.part"))
    there = files_below(staging_folder(archive, root)) + files_below(root / archive.folder)
    return fetch + max(0, (archive.unpacked or size) - sum(map(size_of, there)))


def _check_placed(archive: Archive, root: Path) -> None:
    fault = _fault(root / archive.name, archive)
    if fault:  # it stays: perhaps it was placed by hand
        raise UserError(f"{root / archive.name} {fault}: remove it and run the same command again")


def _fault(file: Path, archive: Archive) -> str | None:
    """What is wrong with the size or checksum of an archive's file."""
    size = size_of(file)
    if archive.size not in (None, size):
        return f"has {size} bytes, expected {archive.size}"
    if archive.sha256 is None:
        return None
    digest = hashlib.sha256()
    with file.open("rb") as content, byte_bar(f"verify {archive.name}", size, delay=1) as bar:
        while block := content.read(CHUNK):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() == archive.sha256.lower():
        return None
    return f"has the SHA-256 {digest.hexdigest()}, expected {archive.sha256}"


@dataclass(frozen=True)
class _Download:
    """One archive on its way to ``NAME.part``; beside it, the server's mark of its version."""

    archive: Archive
    root: Path
    address: str
    timeout: float

    @property
    def part(self) -> Path:
        return self.root / f"{self.archive.name}.part"

    @property
    def mark(self) -> Path:
        return self.root / f"{self.archive.name}.part.etag"

    def run(self, retries: int, pause: float) -> None:
        """Gives the file its final name once it is whole and verified."""
        self._transfer(retries, pause)
        fault = _fault(self.part, self.archive)
        if fault:
            self._discard()
            raise UserError(
                f"{self.address} is damaged or another version: the file {fault}. It was removed: "
                f"{MIRROR}, or run again"
            )
        self.part.replace(self.root / self.archive.name)
        self._discard()

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)

    def _transfer(self, retries: int, pause: float) -> None:
        most, failures = size_of(self.part), 0
        with byte_bar(self.archive.name, self.archive.size) as bar:
            while True:
                try:
                    return self._attempt(bar)
                except _TransferError as error:
                    # Not "any byte": a server that cannot resume would be asked for ever.
                    failures = 0 if size_of(self.part) > most else failures + 1
                    most = max(most, size_of(self.part))
                    if failures >= retries:
                        raise self._gave_up(failures, error) from error
                    wait = min(pause * 2 ** max(0, failures - 1), LONGEST_PAUSE)
                    log.warning("%s: %s; again in %.0f s", self.address, error, wait)
                time.sleep(wait)

    def _gave_up(self, failures: int, error: _TransferError) -> UserError:
        size = self.archive.size
        have = readable(size_of(self.part)) + (f" of {readable(size)}" if size else "")
        return UserError(
            f"{self.address}: {error}, and {failures} attempts brought nothing new. {have} are in "
            f"{self.part}: {AGAIN}, or {MIRROR}"
        )

    def _attempt(self, bar: "tqdm[Any]") -> None:
        """One connection: leaves the whole file in ``part``, or raises."""
        mark = self.mark.read_text(encoding="latin-1") if self.mark.exists() else ""
        # Without a mark the rest could be of another version: then from the beginning.
        have = size_of(self.part) if mark else 0
        with self._open({"Range": f"bytes={have}-", "If-Range": mark} if have else {}) as answer:
            total = _total(answer) or self.archive.size
            if self.archive.size not in (None, total):
                raise UserError(
                    f"{self.address} has {total} bytes, expected {self.archive.size}: it is "
                    f"damaged or another file; {MIRROR}"
                )
            if answer.status == 416 and have == total:
                return
            if answer.status in (206, 416) and not _continues(answer, have, mark):
                self._discard()
                raise _TransferError("what was there is of another version and was removed")
            if answer.status != 206:
                have = 0
                self.part.write_bytes(b"")  # before the new mark, which is not true of the old part
                self.mark.write_text(_mark(answer), encoding="latin-1")
            bar.reset(total)
            bar.initial = bar.n = bar.last_print_n = have
            self._receive(answer, have, total, bar)

    def _open(self, ask: dict[str, str]) -> Any:
        """The server's answer: 200, 206 or, to a range, 416 (None for a file:// URL)."""
        request = Request(self.address, headers={"User-Agent": "sr_gan", **ask})
        try:
            return urlopen(request, timeout=self.timeout)
        except HTTPError as error:
            if error.code == 416 and ask:
                return error
            error.close()
            reason = f"status {error.code} {error.reason}"
            if error.code >= 500:
                raise _TransferError(reason) from error
        except (OSError, HTTPException) as error:
            reason = reason_of(error)
            if urlsplit(self.address).scheme != "file":
                raise _TransferError(reason) from error
        raise UserError(
            f"{self.address} cannot be fetched: {reason}. Place {self.archive.name} in {self.root} "
            f"by hand and run the same command again, or {MIRROR}"
        )

    def _receive(self, answer: Any, have: int, total: int | None, bar: "tqdm[Any]") -> None:
        with self.part.open("ab") as file:
            while total is None or have < total:
                # read1, not read: what came before an interruption is not lost.
                try:
                    block = answer.read1(CHUNK)
                except (OSError, HTTPException) as error:
                    raise _TransferError(reason_of(error)) from error
                if not block:
                    break
                file.write(block)
                have += len(block)
                bar.update(len(block))
        if total is not None and have < total:
            raise _TransferError(f"the connection ended after {have} of {total} bytes")


def _total(answer: Any) -> int | None:
    """Bytes of the whole file, where an answer's headers say it."""
    partial = answer.status in (206, 416)
    text = answer.headers["Content-Range" if partial else "Content-Length"] or ""
    digits = text.rpartition("/")[2].strip()
    return int(digits) if digits.isdecimal() else None


def _mark(answer: Any) -> str:
    """What If-Range takes: an ETag unless it is a weak one, else a date; "" without them."""
    etag = answer.headers["ETag"] or ""
    strong = etag and not etag.startswith("W/")
    return (etag if strong else answer.headers["Last-Modified"] or "").strip()


def _continues(answer: Any, have: int, mark: str) -> bool:
    """Whether an answer to a range holds the bytes asked for; some servers ignore If-Range."""
    start = (answer.headers["Content-Range"] or "").startswith(f"bytes {have}-")
    return start and _mark(answer) in ("", mark)
