"""A cache of decoded photographs and their exact reductions: a folder with a file for each photo.

The name of a file is derived from the name, the size and the modification time of its photo, so a
photo that has changed gets another file. A file is complete when it appears, so a killed build
loses only the photos in progress.
"""

import errno
import hashlib
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from sr_gan.data.cache_file import file_name, fingerprint, read, read_pair, write
from sr_gan.data.photos import MOST_MAPPED, Entry, Photos, mapped
from sr_gan.data.sources import Collection, Source
from sr_gan.errors import UserError
from sr_gan.files import (
    bar_interval,
    default_cache_dir,
    printable,
    readable,
    real,
    remove_abandoned,
)
from sr_gan.images.decode import MAX_MEGAPIXELS, BadImage, count_pixels
from sr_gan.images.resize import RESIZE_VERSION
from sr_gan.machine import cores
from sr_gan.tables import counted

log = logging.getLogger(__name__)

_FORMAT = 3
# Bytes that a byte of a file becomes at most in PNG. Other formats may hold more of one colour.
_MOST_DECODED = 1032
_FULL = (errno.ENOSPC, errno.EDQUOT)


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
        root = real(photos.root)
        roots = [root, photos.lr_root and real(photos.lr_root)]
        content = f"{roots} {scale} {_FORMAT} {RESIZE_VERSION}"
        key = hashlib.sha1(content.encode(errors="surrogateescape")).hexdigest()[:10]
        name = re.sub(r"[^\w.-]+", "_", root.name, flags=re.ASCII)[:40]
        folder = (cache_dir or default_cache_dir()) / f"{name}-x{scale}-{key}"
        return cls(folder, scale, max_megapixels)

    def open(self, photos: Collection, verify: bool = False) -> tuple[Photos, dict[Path, str]]:
        """Returns the photos of a collection, after decoding those that are not cached yet.

        Args:
            photos: the collection to open; the cache may hold more photos.
            verify: compare the pixels with their CRCs, too. Files that are cut off or whose headers
                are damaged are found in any case.

        Returns:
            the usable photos, and for every other file the reason why it cannot be used.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        names = [source.hr.relative_to(photos.root).as_posix() for source in photos.sources]
        wanted = dict(zip(names, photos.sources))
        entries, failures = self._read(wanted, verify), dict[str, str]()
        if _without(wanted, entries):
            with self._locked():  # while waiting for it, another process may have decoded them
                entries |= self._read(_without(wanted, entries), verify)
                if missing := _without(wanted, entries):
                    failures = self._build(missing)
                    entries |= self._read(missing)
                    self._clean(photos.root, wanted, entries)
        reasons = dict.fromkeys(_without(wanted, entries), "changed while it was read")
        reasons |= failures | {name: e.bad for name, e in entries.items() if e.bad is not None}
        problems = {wanted[name].hr: reason for name, reason in reasons.items()}
        good = tuple(entries[name] for name in wanted if name not in reasons)
        for entry in good[:MOST_MAPPED]:
            mapped(entry, self.scale)  # it then stays readable when another process deletes it
        return Photos(self.folder, self.scale, good), problems

    def _file(self, name: str, source: Source) -> Path:
        return self.folder / file_name(name, fingerprint(source))

    def _read(self, sources: Mapping[str, Source], verify: bool = False) -> dict[str, Entry]:
        """Returns the entries of the photos whose files are there and not damaged."""

        def intact(entry: Entry) -> bool:  # without pixels, the CRC is 0
            photo = mapped(entry, self.scale)
            return crc32(photo.lr.data, crc32(photo.hr.data)) == entry.crc

        found = ((name, read(self._file(name, sources[name]), self.scale)) for name in sources)
        entries = {name: entry for name, entry in found if entry and entry.name == name}
        if verify:
            with ThreadPoolExecutor(cores()) as pool:
                flags = pool.map(intact, entries.values())
                return {name: entry for (name, entry), flag in zip(entries.items(), flags) if flag}
        return entries

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lets in one process at a time, and reports what goes wrong with the disk."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            try:
                held = lock.acquire(timeout=0.5)
            except Timeout:
                log.info("another process prepares %s: waiting for it", self.folder)
                held = lock.acquire()
            with held:
                yield
        except OSError as error:
            what = f" cannot be written ({error.strerror or error}):"
            if error.errno in _FULL:
                what = f": {error.strerror}; what is done is kept. Free some space, or"
            raise UserError(
                f"cache folder {self.folder}{what} choose another folder with data.cache_dir=FOLDER"
            ) from error

    def _build(self, missing: Mapping[str, Source]) -> dict[str, str]:
        """Decodes the missing photos; returns the reasons of failures that may not last."""
        if damaged := sum(self._file(*item).exists() for item in missing.items()):
            again = counted(damaged, "photo")
            log.warning("cache %s is damaged: decoding %s again", self.folder, again)
        self._check_space(missing)
        log.info("decoding %s into %s", counted(len(missing), "photo"), self.folder)
        # Every core decodes its own photo, so PyTorch gets one thread in each worker.
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,))
        try:
            reasons = tqdm(
                pool.map(self._add, missing, missing.values()),
                "caching photos",
                len(missing),
                unit="photo",
                disable=len(missing) < 20,
                mininterval=bar_interval(),
            )
            return {name: reason for name, reason in zip(missing, reasons) if reason}
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)

    def _add(self, name: str, source: Source) -> str | None:
        """Writes a photo's file, or returns the reason of a failure that may not last."""
        stamp = fingerprint(source)  # before decoding, so that a change in between shows
        file, fields = self.folder / file_name(name, stamp), {"name": name, "stamp": stamp}
        try:
            hr, lr = read_pair(source, self.scale, self.max_megapixels)
        except BadImage as error:
            if not error.lasting:
                return str(error)
            write(file, {**fields, "bad": str(error)})
        else:
            size = {"height": lr.shape[1], "width": lr.shape[2]}
            crc = crc32(lr.data, crc32(hr.data))
            write(file, {**fields, **size, "crc": crc}, hr=hr, lr=lr)
        return None

    def _check_space(self, missing: Mapping[str, Source]) -> None:
        """Raises a UserError if the disk has no room for the missing photos."""
        with ThreadPoolExecutor(cores()) as pool:
            sizes = dict(zip(missing, pool.map(self._expected_size, missing.values())))
        needed, free = sum(sizes.values()), shutil.disk_usage(self.folder).free
        if needed > free:
            largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
            names = ", ".join(f"{printable(name)} {readable(sizes[name])}" for name in largest)
            raise UserError(
                f"the decoded photos need {readable(needed)}, most of all {names}, and "
                f"{readable(free)} are free in {self.folder}: choose another folder with "
                "data.cache_dir=FOLDER"
            )

    def _expected_size(self, source: Source) -> float:
        """Returns the bytes that a photo takes once it is decoded; 0 if it will be refused.

        What its header claims counts only as far as a file of its length can hold it.
        """
        pixels = count_pixels(source.hr)
        if not 0 < pixels <= self.max_megapixels * 1e6:
            return 0
        stamp = fingerprint(Source(source.hr))
        held = min(3 * pixels, _MOST_DECODED * stamp[0]) if stamp else 0
        return held * (1 + 1 / self.scale**2)

    def _clean(
        self, root: Path, wanted: Mapping[str, Source], entries: Mapping[str, Entry]
    ) -> None:
        """Deletes what killed builds left, and the files of photos that are gone or have changed.

        Other processes can still read deleted files that they have mapped.
        """
        remove_abandoned(self.folder)
        kept = {entry.file for entry in entries.values()}
        for file in set(self.folder.glob("[!.]*.safetensors*")) - kept:
            entry = read(file, self.scale)
            if entry is not None and entry.name not in wanted:
                now = fingerprint(Source(root / entry.name))
                if now[:2] == entry.stamp[:2]:
                    continue
            with suppress(OSError):  # Windows does not delete files that are mapped
                file.unlink()


def _without(wanted: Mapping[str, Source], entries: Mapping[str, Entry]) -> dict[str, Source]:
    return {name: source for name, source in wanted.items() if name not in entries}
