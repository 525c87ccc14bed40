"""Finds the files of a data set: photographs, and their reductions if it includes them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr_gan.errors import UserError
from sr_gan.images.find import list_images
from sr_gan.tables import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A photograph's file and, if the data set includes it, the reduced file."""

    hr: Path
    lr: Path | None = None


@dataclass(frozen=True)
class Collection:
    """The photographs of a data set, or of its training or validation part.

    Args:
        root: a folder above all of them; their names are relative to it.
        sources: the files.
        lr_root: the folder above the reduced files, if the data set includes them.
    """

    root: Path
    sources: Sequence[Source]
    lr_root: Path | None = None


def folder_photos(
    folder: Path,
    lr_folder: Path | None = None,
    scale: int = 4,
    split: str = "train",
    key: str | None = None,
) -> Collection:
    """Returns the photos below ``folder``, each with its file in ``lr_folder`` if that is given.

    Below ``lr_folder``, the reduced file of ``a/0001.png`` is ``a/0001.png`` or ``a/0001x4.png``,
    or has another image extension. If it is missing, the source names the file that was expected.
    ``key`` is the setting that an error names, beside ``lr``; by default they are those of the
    ``split``.

    Raises:
        UserError: one of the folders is missing, cannot be read, or contains no images.
    """
    photos = list_images(folder, key or f"data.{split}_dir")
    if lr_folder is None:
        return Collection(folder, [Source(photo) for photo in photos])
    reduced = {
        path.relative_to(lr_folder).with_suffix("").as_posix(): path
        for path in list_images(lr_folder, "lr" if key else f"data.{split}_lr_dir")
    }
    sources = []
    for photo in photos:
        name = photo.relative_to(folder).with_suffix("").as_posix()
        found = reduced.pop(name, None) or reduced.pop(f"{name}x{scale}", None)
        sources.append(Source(photo, found or lr_folder / f"{name}x{scale}.png"))
    if reduced:
        extra = counted(len(reduced), "image")
        log.warning("%s in %s without a photo in %s", extra, lr_folder, folder)
    return Collection(folder, sources, lr_folder)


def hold_out(count: int, fraction: float) -> list[int]:
    """Returns which of ``count`` photos to validate on: every n-th, the same in every call.

    Raises:
        UserError: there are fewer than two photos.
    """
    if count < 2:
        raise UserError(
            f"{count} photo is not enough to hold one out: add more, or give validation photos "
            "with data.valid_dir=FOLDER"
        )
    held = max(1, round(count * fraction))
    return sorted({min(round((i + 0.5) * count / held), count - 1) for i in range(held)})
