"""Finds image files in folders."""

import os
from collections.abc import Iterator
from pathlib import Path

from sr_gan.errors import UserError

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"),
)


def list_images(folder: Path, key: str = "data.train_dir") -> list[Path]:
    """Every image file below ``folder``, by its extension, sorted by path.

    Nested and linked folders are entered, hidden files and folders are not. A link that leads
    nowhere is listed: it is for the reader to complain of. ``key`` is the setting that an error
    names.

    Raises:
        UserError: the folder is missing, is a file, cannot be read, or holds no image.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UserError(f"image folder {folder} {what}: set {key} to a folder of photos")
    images = sorted(path for path in _files(folder) if path.suffix.lower() in EXTENSIONS)
    if not images:
        raise UserError(
            f"image folder {folder} holds no images: looked for {', '.join(EXTENSIONS)} in it "
            "and in its subfolders"
        )
    return images


def _files(folder: Path) -> Iterator[Path]:
    seen = set()

    def unreadable(error: OSError) -> None:
        raise UserError(f"image folder {error.filename} cannot be read: {error.strerror}")

    for here, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:  # a link that leads back to where we were
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(here, name) for name in files if not name.startswith("."))
