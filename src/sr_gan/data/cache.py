"""A cache of decoded photographs and their exact reductions, in two memory-mapped files.

A cache is a folder::

    hr.bin lr.bin    the photos' pixels one after the other, each uint8 (3, H, W); append-only
    index.json       each photo's offsets, CRC, file sizes and times; the state of both .bin files
    journal.jsonl    the entries of a build that is running or was interrupted
    lock             held while the cache is opened or built

The cache keeps three promises. An entry is written after its pixels, so a killed build loses only
the photos in progress. If the .bin files differ from what the index recorded, all CRCs are checked
and damaged photos are decoded again. The pixels of recorded photos are never overwritten or
truncated, because another process may have them mapped.
"""

import errno
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from sr_gan.data.cache_build import Result, build, checksum, fingerprint
from sr_gan.data.photos import HR_FILE, LR_FILE, Entry, Photos, view
from sr_gan.data.sources import Collection, Source
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, default_cache_dir, readable
from sr_gan.images.decode import (
    MAX_MEGAPIXELS,
    BadImage,
    count_pixels,
    own_size_limit,
)
from sr_gan.images.resize import RESIZE_VERSION
from sr_gan.machine import cores

log = logging.getLogger(__name__)

_FORMAT = 1
_LOCKED = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOST_WASTE = 0.5  # the cache starts over if deleted photos fill more of the files


@dataclass(frozen=True)
class Cache:
    """The decoded photos of one collection at one scale factor.

    Args:
        folder: the cache's folder, which need not exist yet.
        scale: the scale factor between HR and LR.
        max_megapixels: larger photos are refused.
    """

    folder: Path
    scale: int
    max_megapixels: float = MAX_MEGAPIXELS

    @classmethod
    def of(
        cls,
        photos: Collection,
        scale: int,
        cache_dir: Path | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> "Cache":
        """Returns the cache of ``photos``, named by a hash of what its content depends on."""
        roots = [photos.root.resolve(), photos.lr_root and photos.lr_root.resolve()]
        content = f"{roots} {scale} {_FORMAT} {RESIZE_VERSION}"
        key = hashlib.sha1(content.encode(errors="surrogateescape")).hexdigest()[:10]
        name = re.sub(r"[^\w.-]+", "_", photos.root.resolve().name, flags=re.ASCII)[:40]
        folder = (cache_dir or default_cache_dir()).expanduser() / f"{name}-x{scale}-{key}"
        return cls(folder, scale, max_megapixels)

    def open(self, photos: Collection, verify: bool = False) -> tuple[Photos, dict[Path, str]]:
        """Returns the photos of a collection, after decoding those that are not cached yet.

        Args:
            photos: the collection to open; the cache may hold more photos.
            verify: check all CRCs, even if the files look untouched.

        Returns:
            the usable photos, and for every other file the reason why it cannot be used.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        wanted = {_name(source.hr, photos.root): source for source in photos.sources}
        with self._lock() as writable:
            known, sound = self._read()
            entries = known if sound and not verify else self._intact(known)
            missing = _missing(wanted, entries)
            transient: dict[str, str] = {}
            if missing and not writable:
                raise UserError(
                    f"cache folder {self.folder} cannot be written: choose another with "
                    "data.cache_dir=FOLDER"
                )
            kept = {n: e for n, e in entries.items() if n not in missing and _there(photos, n)}
            # The files only grow, so a cache that is mostly waste is deleted and built anew. Other
            # processes can still read the deleted files that they have mapped.
            if missing and self._waste(kept, known) > _MOST_WASTE:
                self._start_over()
                known, entries, missing = {}, {}, wanted
            if missing:  # written behind all known photos: even damaged ones may be mapped
                transient = self._build(entries, missing, self._ends(known))
            if writable and (missing or not sound or len(entries) < len(known)):
                self._write(entries, photos)
            good, problems = _sort(wanted, entries, transient)
            return Photos(self.folder, self.scale, good).mapped(), problems

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Lets in one process at a time; yields False if the folder is read-only."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                log.info("another process prepares %s: waiting for it", self.folder)
                lock.acquire()
        except OSError as error:
            if error.errno in _LOCKED and self._index.exists():
                lock = None
            else:
                raise _disk_error(self.folder, error) from error
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def _read(self) -> tuple[dict[str, Entry], bool]:
        """Returns the recorded entries, and whether the files are as a finished build left them."""
        index = _parse(_text(self._index)) or {}
        photos, files = index.get("photos", []), index.get("files")
        lines = _text(self._journal).splitlines()
        if lines:
            log.info("continuing a build that was interrupted")
        return _entries([*photos, *map(_parse, lines)]), not lines and files == self._state()

    def _intact(self, entries: Mapping[str, Entry]) -> dict[str, Entry]:
        """Returns the entries whose pixels have the recorded CRC, or that have no pixels."""
        try:
            hr, lr = (np.memmap(self.folder / name, np.uint8, "r") for name in (HR_FILE, LR_FILE))
        except (OSError, ValueError):  # missing, or empty
            return {name: entry for name, entry in entries.items() if entry.bad}

        def intact(entry: Entry) -> bool:
            try:
                photo = view(entry, hr, lr, self.scale)
            except (ValueError, TypeError):  # it points beyond the file, or is not made of numbers
                return False
            return checksum(photo.hr, photo.lr) == entry.crc

        with ThreadPoolExecutor(cores()) as pool:
            flags = pool.map(lambda entry: entry.bad is not None or intact(entry), entries.values())
            good = {name: entry for (name, entry), flag in zip(entries.items(), flags) if flag}
        if len(good) < len(entries):
            damaged = len(entries) - len(good)
            log.warning("cache %s is damaged: decoding %d photos again", self.folder, damaged)
        return good

    def _ends(self, entries: Mapping[str, Entry]) -> tuple[int, int]:
        """Returns the offsets in the HR and the LR file at which the last photo ends."""
        sizes = {name: 3 * entry.height * entry.width for name, entry in entries.items()}
        return (
            max((e.hr + sizes[name] * self.scale**2 for name, e in entries.items()), default=0),
            max((e.lr + sizes[name] for name, e in entries.items()), default=0),
        )

    def _waste(self, kept: Mapping[str, Entry], known: Mapping[str, Entry]) -> float:
        """Returns the share of the files' bytes that would no longer belong to any photo."""
        used = sum(3 * entry.height * entry.width * (1 + self.scale**2) for entry in kept.values())
        written = sum(self._ends(known))
        return 1 - used / written if written else 0.0

    def _start_over(self) -> None:
        for path in (self._index, self._journal, self.folder / HR_FILE, self.folder / LR_FILE):
            path.unlink(missing_ok=True)

    def _build(
        self, entries: dict[str, Entry], missing: Mapping[str, Source], start: Sequence[int]
    ) -> dict[str, str]:
        """Adds the missing photos to ``entries``; returns failures that may not happen again."""
        transient = {}
        try:
            pixels = self._check_space(missing)
            log.info("decoding %d photos into %s", len(missing), self.folder)
            with self._journal.open("a") as journal:

                def done(name: str, result: Result) -> None:
                    if isinstance(result, BadImage) and not result.lasting:
                        transient[name] = str(result)
                        return
                    if isinstance(result, BadImage):
                        result = Entry(name, fingerprint(missing[name]), bad=str(result))
                    entries[name] = result
                    journal.write(json.dumps(asdict(result)) + "\n")
                    journal.flush()

                build(self.folder, self.scale, missing, self.max_megapixels, start, pixels, done)
        except OSError as error:
            raise _disk_error(self.folder, error) from error
        return transient

    def _check_space(self, missing: Mapping[str, Source]) -> int:
        """Returns the number of HR pixels to write, after a check that the disk has room."""
        with own_size_limit(), ThreadPoolExecutor(cores()) as pool:
            pixels = sum(pool.map(count_pixels, (source.hr for source in missing.values())))
        wanted, free = 3 * pixels * (1 + 1 / self.scale**2), shutil.disk_usage(self.folder).free
        if wanted > free:
            raise UserError(
                f"the decoded photos need {readable(wanted)} and {readable(free)} are free "
                f"in {self.folder}: choose another folder with data.cache_dir=FOLDER"
            )
        return pixels

    def _write(self, entries: Mapping[str, Entry], photos: Collection) -> None:
        """Writes the index, without photos whose files are gone, and deletes the journal."""
        index = {
            "format": _FORMAT,
            "scale": self.scale,
            "resize": RESIZE_VERSION,
            "root": str(photos.root.resolve()),
            "files": self._state(),
            "photos": [asdict(entry) for name, entry in entries.items() if _there(photos, name)],
        }
        try:
            with atomic_write(self._index) as file:
                json.dump(index, file)
            self._journal.unlink(missing_ok=True)
        except OSError as error:
            raise _disk_error(self.folder, error) from error

    def _state(self) -> dict[str, list[int]]:
        paths = [self.folder / name for name in (HR_FILE, LR_FILE)]
        return {p.name: [p.stat().st_size, p.stat().st_mtime_ns] for p in paths if p.exists()}


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _there(photos: Collection, name: str) -> bool:
    return (photos.root / name).exists()


def _missing(wanted: Mapping[str, Source], entries: Mapping[str, Entry]) -> dict[str, Source]:
    return {
        name: source
        for name, source in wanted.items()
        if name not in entries or entries[name].stamp != fingerprint(source)
    }


def _sort(
    wanted: Mapping[str, Source], entries: Mapping[str, Entry], transient: Mapping[str, str]
) -> tuple[tuple[Entry, ...], dict[Path, str]]:
    """Returns the usable entries, and the reasons why the other files cannot be used."""
    reasons = {name: transient.get(name) or entries[name].bad for name in wanted}
    problems = {wanted[name].hr: reason for name, reason in reasons.items() if reason}
    return tuple(entries[name] for name, reason in reasons.items() if not reason), problems


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _parse(text: str) -> dict[str, Any] | None:
    """Returns a JSON object, or None if the text was cut off or tampered with."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _entries(records: Sequence[Any]) -> dict[str, Entry]:
    entries = {}
    for record in records:
        try:
            entry = Entry(**{**record, "stamp": tuple(record["stamp"])})
        except (TypeError, KeyError):
            continue
        entries[entry.name] = entry
    return entries


def _disk_error(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cache folder {folder}: {error.strerror or error}; what is done is kept. Free some space, "
        "or choose another folder with data.cache_dir=FOLDER"
    )
