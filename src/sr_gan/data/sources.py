"""Where photographs come from: which files make the training set and which the validation set."""

from dataclasses import dataclass
from pathlib import Path

from sr_gan.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"


@dataclass(frozen=True)
class Source:
    """A photograph's file and, where the data set brings its own, the reduced file."""

    hr: Path
    lr: Path | None = None


def list_images(folder: Path, key: str = "data.train_dir") -> list[Path]:
    """Every image file below ``folder``, nested folders too, sorted by path.

    ``key`` is the setting that an error names.

    Raises:
        UserError: the folder is missing, is a file, or holds no image.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UserError(f"image folder {folder} {what}: set {key} to a folder of photos")
    images = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file()
    )
    if not images:
        raise UserError(
            f"image folder {folder} holds no images: looked for {', '.join(EXTENSIONS)} in it "
            "and in its subfolders"
        )
    return images


def folder_sources(
    folder: Path, lr_folder: Path | None = None, scale: int = 4, split: str = "train"
) -> list[Source]:
    """The photos below ``folder``, each with its file in ``lr_folder`` where one is given.

    The reduced file of ``a/0001.png`` is ``a/0001.png``, ``0001x4.png`` or ``0001.png``, of any
    image type, below ``lr_folder``.

    Raises:
        UserError: as :func:`list_images`, or a photo has no reduced file.
    """
    photos = list_images(folder, f"data.{split}_dir")
    if lr_folder is None:
        return [Source(photo) for photo in photos]
    reduced = {
        path.relative_to(lr_folder).with_suffix("").as_posix(): path
        for path in list_images(lr_folder, f"data.{split}_lr_dir")
    }
    pairs = []
    for photo in photos:
        name = photo.relative_to(folder).with_suffix("").as_posix()
        match = next((reduced[key] for key in (name, f"{name}x{scale}") if key in reduced), None)
        if match is None:
            raise UserError(
                f"{photo} has no reduced image {name}x{scale} or {name} in {lr_folder}: "
                "add it, or leave the LR folder out and it is computed"
            )
        pairs.append(Source(photo, match))
    return pairs


def is_div2k(root: Path) -> bool:
    """Whether ``root`` holds DIV2K's official folders."""
    return (root / "DIV2K_train_HR").is_dir()


def div2k_sources(root: Path, split: str, scale: int) -> list[Source]:
    """DIV2K's ``train`` or ``valid`` photos, with its own LR images where those are unpacked.

    Raises:
        UserError: the split is not below ``root``.
    """
    folder = root / f"DIV2K_{split}_HR"
    if not folder.is_dir():
        raise UserError(
            f"DIV2K is not in {root}: expected the folder {folder}. Download {DIV2K_URL}"
            f"DIV2K_{split}_HR.zip, unpack it in {root}, or name another place with "
            "data.root=FOLDER (other photos: data=folder data.train_dir=FOLDER)"
        )
    lr_folder = root / f"DIV2K_{split}_LR_bicubic" / f"X{scale}"
    return folder_sources(folder, lr_folder if lr_folder.is_dir() else None, scale)


def hold_out(sources: list[Source], fraction: float) -> tuple[list[Source], list[Source]]:
    """Splits off every n-th photo for validation: (train, valid), the same on every call.

    Raises:
        UserError: there are fewer than two photos.
    """
    if len(sources) < 2:
        raise UserError(
            f"{sources[0].hr} is the only photo: add more, or give validation photos with "
            "data.valid_dir=FOLDER"
        )
    count = max(1, round(len(sources) * fraction))
    held = {round((i + 0.5) * len(sources) / count) for i in range(count)}
    held = {min(index, len(sources) - 1) for index in held}
    train = [source for i, source in enumerate(sources) if i not in held]
    return train, [sources[i] for i in sorted(held)]
