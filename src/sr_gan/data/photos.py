"""Decoded photographs and their exact reductions, mapped into memory from the cache's files."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import overload

import torch

from sr_gan.images.decode import Pixels

Stamp = tuple[int, ...]

MOST_MAPPED = 16_384  # Linux allows a process 65,530 mappings


@dataclass(frozen=True, eq=False)  # a file can be replaced by an equal one
class Entry:
    """A photograph in the cache, or the reason why it cannot be used.

    Args:
        file: its file in the cache.
        offset: the number of bytes in the file before the HR pixels, which LR follows.
        name: the path of its source, relative to the collection's root.
        stamp: the sizes and modification times of its source files when they were read.
        height: the number of LR rows.
        width: the number of LR columns.
        crc: the CRC-32 of the HR bytes followed by the LR bytes.
        bad: the reason why the photo cannot be used; the file then has no pixels.
    """

    file: Path
    offset: int
    name: str
    stamp: Stamp
    height: int = 0
    width: int = 0
    crc: int = 0
    bad: str | None = None


@dataclass(frozen=True)
class Photo:
    """A photograph and its reduction: uint8 (3, scale * h, scale * w) and (3, h, w), read-only."""

    name: str
    hr: Pixels
    lr: Pixels


@dataclass(frozen=True)
class Photos(Sequence[Photo]):
    """The photographs of one cache. Pixels are read from the disk when they are accessed.

    A copy in another process maps the same files instead of receiving the pixels.
    """

    folder: Path  # of the cache
    scale: int
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Photo: ...
    @overload
    def __getitem__(self, index: slice) -> "Photos": ...
    def __getitem__(self, index: int | slice) -> "Photo | Photos":
        if isinstance(index, slice):
            return self.pick(range(len(self))[index])
        return mapped(self.entries[index], self.scale)

    def pick(self, indices: Sequence[int]) -> "Photos":
        """Returns the photos at ``indices``."""
        return replace(self, entries=tuple(self.entries[i] for i in indices))

    @property
    def digest(self) -> str:
        """A digest of the names and pixels of all photos, in their order."""
        content = [(entry.name, entry.height, entry.width, entry.crc) for entry in self.entries]
        return hashlib.sha1(repr(content).encode(errors="surrogateescape")).hexdigest()[:16]

    @property
    def pixels(self) -> int:
        """The number of HR pixels of all photos together."""
        return sum(entry.height * entry.width for entry in self.entries) * self.scale**2

    @property
    def nbytes(self) -> int:
        """The size of all photos in bytes, HR and LR together."""
        return 3 * (self.pixels + self.pixels // self.scale**2)


@lru_cache(MOST_MAPPED)  # of all collections together
def mapped(entry: Entry, scale: int) -> Photo:
    """Returns a photo whose pixels are in its file, mapped into memory."""
    height, width = entry.height, entry.width
    start, end = entry.offset, entry.offset + 3 * height * width * scale**2
    size = end + 3 * height * width
    # np.memmap would keep a file descriptor per photo, and a process may have as few as 256.
    data = torch.from_file(str(entry.file), shared=False, size=size, dtype=torch.uint8).numpy()
    data.flags.writeable = False
    hr = data[start:end].reshape(3, height * scale, width * scale)
    return Photo(Path(entry.name).name, hr, data[end:].reshape(3, height, width))
