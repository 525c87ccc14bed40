"""Finds image files in folders."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from sr_gan.arguments import Written
from sr_gan.errors import UserError
from sr_gan.files import printable, real, user_path
from sr_gan.tables import counted, listed

log = logging.getLogger(__name__)

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".gif", ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)
WRITTEN = tuple(f".{name}" for name in get_args(Written))  # that results can have
# The names of their formats in Pillow. Of the other formats, some start programs: Ghostscript for
# PostScript, whatever the extension of the file.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")

_OF_THE_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")  # in lower case


def matches(entry: str, key: str) -> list[Path]:
    """Returns the file or folder at a path, or else the image files that match it as a pattern.

    A pattern is one of :mod:`glob`, in which ``**`` also enters linked folders, each folder once.
    Broken links are returned, so that whoever reads them reports them. ``key`` is the setting named
    in an error.

    Raises:
        UserError: there is none.
    """
    path = user_path(entry)
    if os.path.lexists(path):
        return [path]
    found = (Path(match) for match in sorted(set(_glob(path))))
    images = _images((each for each in found if not each.is_dir()), entry)
    if not images:
        what = "matches no image" if glob.has_magic(entry) else "does not exist"
        raise UserError(f"{key}={entry} {what}: give an image, a folder, or a pattern in quotes")
    return images


def list_images(folder: Path, key: str = "data.train_dir") -> list[Path]:
    """Returns every file below ``folder`` that has the extension of an image, sorted by path.

    Nested and linked folders are searched, each once and rather by its own name than by a link's;
    hidden files and folders are skipped. Broken links are listed, so that whoever reads them
    reports them. Files of other kinds are counted in a line of the log. ``key`` is the setting
    named in an error.

    Raises:
        UserError: the folder is missing, is a file, cannot be read, or contains no images.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UserError(f"{key}={folder} {what}: give a folder of photos")
    files = (here / name for here, names in _walk(folder) for name in names)
    images = _images(sorted(file for file in files if not file.name.startswith(".")), folder)
    if not images:
        raise UserError(
            f"{key}={folder} holds no images: looked for {', '.join(EXTENSIONS)} in it "
            "and in its subfolders"
        )
    return images


def _images(files: Iterable[Path], place: Path | str) -> list[Path]:
    """Returns the files that have the extension of an image, and logs how many others there are."""
    images, others = [], Counter[str]()
    for file in files:
        kind = file.suffix.lower()
        if kind in EXTENSIONS:
            images.append(file)
        elif file.name.lower() not in _OF_THE_SYSTEM:
            others[printable(kind) or "no extension"] += 1
    if others:
        log.info(
            "skipped %s in %s, of kinds that are not read: %s",
            counted(others.total(), "file"),
            printable(place),
            listed([f"{kind} {number}" for kind, number in others.most_common()], 5),
        )
    return images


def _glob(pattern: Path) -> Iterator[str]:
    """Returns what matches a pattern; :func:`glob.glob` would follow links round in circles."""
    if "**" not in pattern.parts:
        yield from glob.glob(str(pattern))  # noqa: PTH207  Path.glob() finds hidden files, too
        return
    place = pattern.parts.index("**")
    rest = pattern.parts[place + 1 :] or ("*",)
    tops = map(Path, glob.glob(str(Path(*pattern.parts[:place]))))  # noqa: PTH207
    for top in filter(Path.is_dir, tops):
        for folder, _ in _walk(top):
            yield from _glob(Path(glob.escape(str(folder)), *rest))


def _walk(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Returns each folder below ``top``, and ``top`` itself, with the names of its files.

    Hidden folders are left out. Links are followed after everything else, so that a folder goes by
    its own name if it has one, unless they lead back to a folder that they are in.
    """

    def unreadable(error: OSError) -> None:
        raise UserError(f"image folder {error.filename} cannot be read: {error.strerror}")

    seen, waiting = set[Path](), [top]
    for start in waiting:
        for here, folders, files in os.walk(start, onerror=unreadable):
            folder, place = Path(here), real(Path(here))
            if place in seen:
                folders.clear()
                continue
            seen.add(place)
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            links = [folder / name for name in folders if (folder / name).is_symlink()]
            waiting += [link for link in links if not place.is_relative_to(real(link))]
            yield folder, files
