"""Decoded photographs and their reductions, memory-mapped from the cache's files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from sr_gan.images.decode import Pixels

HR_FILE, LR_FILE = "hr.bin", "lr.bin"


@dataclass(frozen=True)
class Entry:
    """The place of a photograph in the cache, or the reason why it has none.

    Args:
        name: the path of its file, relative to the collection's root.
        stamp: the sizes and modification times of its files when they were read.
        height: the number of LR rows.
        width: the number of LR columns.
        hr: the offset of its (3, scale * height, scale * width) bytes in the HR file.
        lr: the offset of its (3, height, width) bytes in the LR file.
        crc: the CRC-32 of the HR bytes followed by the LR bytes.
        bad: the reason why the file cannot be used; the numbers are then 0.
    """

    name: str
    stamp: tuple[int, ...]
    height: int = 0
    width: int = 0
    hr: int = 0
    lr: int = 0
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

    Args:
        folder: the cache's folder.
        scale: the scale factor between HR and LR.
        entries: the places of the photographs.
    """

    folder: Path
    scale: int
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Photo: ...
    @overload
    def __getitem__(self, index: slice) -> "Photos": ...
    def __getitem__(self, index: int | slice) -> "Photo | Photos":
        return self.pick(range(len(self))[index]) if isinstance(index, slice) else self._all[index]

    def pick(self, indices: Sequence[int]) -> "Photos":
        """Returns the photos at ``indices``."""
        return replace(self, entries=tuple(self.entries[i] for i in indices))

    @property
    def pixels(self) -> int:
        """The number of HR pixels of all photos together."""
        return sum(entry.height * entry.width for entry in self.entries) * self.scale**2

    @property
    def nbytes(self) -> int:
        """The size of all photos in bytes, HR and LR together."""
        return 3 * (self.pixels + self.pixels // self.scale**2)

    def mapped(self) -> "Photos":
        """Maps the files now, so that they stay readable if a rebuild replaces them."""
        _ = self._all
        return self

    @cached_property
    def _all(self) -> list[Photo]:
        if not self.entries:  # an empty file cannot be mapped
            return []
        hr, lr = (np.memmap(self.folder / name, np.uint8, "r") for name in (HR_FILE, LR_FILE))
        return [view(entry, hr, lr, self.scale) for entry in self.entries]

    # The mapped pixels are left out of a pickle, or each worker would receive a copy of them.
    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "scale": self.scale, "entries": self.entries}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


def view(entry: Entry, hr: Pixels, lr: Pixels, scale: int) -> Photo:
    """Returns an entry's photo as a view of the bytes of both files."""
    height, width = entry.height, entry.width
    return Photo(
        Path(entry.name).name,
        _window(hr, entry.hr, height * scale, width * scale),
        _window(lr, entry.lr, height, width),
    )


def _window(data: Pixels, offset: int, height: int, width: int) -> Pixels:
    return np.asarray(data)[offset : offset + 3 * height * width].reshape(3, height, width)
