"""Decoded photographs with their reductions, mapped from the cache's files."""

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
    """Where a photograph lies in the cache, or why it does not.

    Args:
        name: path of its file, relative to the collection's root.
        stamp: sizes and modification times of its files when they were read.
        height: LR rows.
        width: LR columns.
        hr: offset of its (3, scale * height, scale * width) bytes in the HR file.
        lr: offset of its (3, height, width) bytes in the LR file.
        crc: CRC-32 of the HR bytes followed by the LR bytes.
        bad: why the file cannot be used; the numbers are 0 then.
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
    """Photographs of one cache. Nothing is read before it is looked at, and a copy in another
    process maps the same files instead of holding the pixels.

    Args:
        folder: the cache's folder.
        scale: factor between HR and LR.
        entries: where they lie.
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
        """Some of them."""
        return replace(self, entries=tuple(self.entries[i] for i in indices))

    @property
    def pixels(self) -> int:
        """HR pixels of all."""
        return sum(entry.height * entry.width for entry in self.entries) * self.scale**2

    @property
    def nbytes(self) -> int:
        """Bytes of all, HR and LR."""
        return 3 * (self.pixels + self.pixels // self.scale**2)

    def mapped(self) -> "Photos":
        """Itself, with the files mapped now: they stay readable if a rebuild replaces them."""
        _ = self._all
        return self

    @cached_property
    def _all(self) -> list[Photo]:
        if not self.entries:  # an empty file cannot be mapped
            return []
        hr, lr = (np.memmap(self.folder / name, np.uint8, "r") for name in (HR_FILE, LR_FILE))
        return [view(entry, hr, lr, self.scale) for entry in self.entries]

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "scale": self.scale, "entries": self.entries}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


def view(entry: Entry, hr: Pixels, lr: Pixels, scale: int) -> Photo:
    """An entry's part of the two files' bytes."""
    height, width = entry.height, entry.width
    return Photo(
        Path(entry.name).name,
        _window(hr, entry.hr, height * scale, width * scale),
        _window(lr, entry.lr, height, width),
    )


def _window(data: Pixels, offset: int, height: int, width: int) -> Pixels:
    return np.asarray(data)[offset : offset + 3 * height * width].reshape(3, height, width)
