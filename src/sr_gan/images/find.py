"""Finds image files in folders."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from sr_gan.errors import UserError
from sr_gan.files import user_path

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# The names of their formats in Pillow. Of the other formats, some start programs: Ghostscript for
# PostScript, whatever the extension of the file.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")


def matches(entry: str, key: str) -> list[Path]:
    """Returns the file or folder at a path, or else the image files that match it as a pattern.

    ``key`` is the setting named in an error.

    Raises:
        UserError: there is none.
    """
    path = user_path(entry)
    if path.exists() or path.is_symlink():
        return [path]
    found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    images = [each for each in found if each.is_file() and each.suffix.lower() in EXTENSIONS]
    if not images:
        what = "matches no image" if glob.has_magic(entry) else "does not exist"
        raise UserError(f"{key}={entry} {what}: give an image, a folder, or a pattern in quotes")
    return images


def list_images(folder: Path, key: str = "data.train_dir") -> list[Path]:
    """Returns every file below ``folder`` that has the extension of an image, sorted by path.

    Nested and linked folders are searched; hidden files and folders are skipped. Broken links are
    listed, so that whoever reads them reports them. ``key`` is the setting named in an error.

    Raises:
        UserError: the folder is missing, is a file, cannot be read, or contains no images.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UserError(f"{key}={folder} {what}: give a folder of photos")
    images = sorted(path for path in _files(folder) if path.suffix.lower() in EXTENSIONS)
    if not images:
        raise UserError(
            f"{key}={folder} holds no images: looked for {', '.join(EXTENSIONS)} in it "
            "and in its subfolders"
        )
    return images


def _files(folder: Path) -> Iterator[Path]:
    seen = set()

    def unreadable(error: OSError) -> None:
        raise UserError(f"image folder {error.filename} cannot be read: {error.strerror}")

    for here, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link to a folder that was visited already
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(here, name) for name in files if not name.startswith("."))
