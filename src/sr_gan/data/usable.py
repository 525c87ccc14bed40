"""Selects the usable photos of a collection, and reports all the others at once."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from sr_gan.data.photos import Entry, Photos
from sr_gan.data.sources import Collection
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, printable
from sr_gan.tables import counted, listed

log = logging.getLogger(__name__)

_SHOWN = 20


def usable(
    photos: Photos, problems: Mapping[Path, str], files: Collection, least: int, on_bad: str
) -> Photos:
    """Returns the photos that are large enough, without copies of each other.

    Args:
        photos: the photos that could be read.
        problems: the files that could not be read, with the reasons.
        files: the collection of both.
        least: the smallest usable side in HR pixels.
        on_bad: ``error`` raises if a photo cannot be used, ``skip`` only logs a warning.

    Raises:
        UserError: some photos cannot be used; with ``skip``, none of them can.
    """
    problems, good, hint = dict(problems), [], ""
    for i, entry in enumerate(photos.entries):
        height, width = entry.height * photos.scale, entry.width * photos.scale
        if min(height, width) < least:
            reason = f"{width}x{height} pixels, smaller than {least}x{least}"
            problems[files.root / entry.name] = reason
            hint = "; a lower data.crop takes smaller photos"
        else:
            good.append(i)
    if 0 < len(problems) == len(photos):  # none is unreadable
        sides = [min(entry.height, entry.width) * photos.scale for entry in photos.entries]
        raise UserError(
            f"every photo of {files.root} is smaller than {least}x{least} pixels; the shorter side "
            f"of the largest has {max(sides)}: set a lower data.crop, or give larger photos"
        )
    if problems:
        text = _text(problems, photos.folder)
        if on_bad == "error":
            way = "remove or replace them, or go on with data.on_bad=skip"
            raise UserError(f"{text}\n  {way}{hint}")
        log.warning("left out: %s", text)
    if not good:
        raise UserError(f"no photo of {files.root} can be used")
    return _without_copies(photos.pick(good))


def warn_of_leaks(train: Photos, valid: Photos) -> None:
    """Logs a warning if validation photos are training photos, too."""
    known = {_content(entry) for entry in train.entries}
    both = [printable(entry.name) for entry in valid.entries if _content(entry) in known]
    if both:
        log.warning(
            "%s trained on too, which flatters the scores: %s",
            f"{counted(len(both), 'validation photo')} {'is' if len(both) == 1 else 'are'}",
            listed(both, _SHOWN),
        )


def _without_copies(photos: Photos) -> Photos:
    """Drops copies, which would be drawn twice, or be both trained on and validated on."""
    first: dict[tuple[int, ...], int] = {}
    copies: dict[int, int] = {}
    for i, entry in enumerate(photos.entries):
        j = first.setdefault(_content(entry), i)  # an equal CRC may be chance: pixels decide
        if j != i and np.array_equal(photos[i].hr, photos[j].hr):
            copies[i] = j
    if copies:
        names = [
            f"{printable(photos.entries[i].name)} = {printable(photos.entries[j].name)}"
            for i, j in copies.items()
        ]
        shown = listed(names, _SHOWN)
        log.warning("copies of other photos left out, %d in all: %s", len(names), shown)
    return photos.pick([i for i in range(len(photos)) if i not in copies])


def _content(entry: Entry) -> tuple[int, ...]:
    return entry.height, entry.width, entry.crc


def _text(problems: Mapping[Path, str], folder: Path) -> str:
    """Returns one line per file; of more than 20 files, the first 20 and where all are listed."""
    lines = [f"{printable(path)}: {reason}" for path, reason in sorted(problems.items())]
    count = counted(len(lines), "image")
    if len(lines) > _SHOWN:
        with suppress(OSError):  # a cache that cannot be written: all lines are printed
            with atomic_write(folder / "unusable.txt") as file:
                file.write("\n".join(lines) + "\n")
            rest = f"and {len(lines) - _SHOWN} more, all in {folder / 'unusable.txt'}"
            lines = [*lines[:_SHOWN], rest]
    return f"{count} cannot be used:\n  " + "\n  ".join(lines)
