"""Which files are enlarged, and where each result goes."""

import glob
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sr_gan.errors import UserError
from sr_gan.images.find import EXTENSIONS, list_images
from sr_gan.images.writers import FORMATS


@dataclass(frozen=True)
class Job:
    """An image file and the file that its enlargement becomes."""

    source: Path
    target: Path


def plan(inputs: list[str], output: str, suffix: str | None = None) -> list[Job]:
    """A job for every image that ``inputs`` name.

    Args:
        inputs: files, folders (with all that is below them) and glob patterns.
        output: a folder, in which the folders' structure is kept; or, for a single file, the
            file to write if it ends in one of :data:`FORMATS`.
        suffix: what results end in; None keeps that of each file, or takes ``.png`` where it
            cannot be written.

    Raises:
        UserError: there is nothing to do, or a result would take the place of its own source.
    """
    place = Path(output).expanduser()
    found = [pair for entry in inputs for pair in _images(entry, place)]
    single = len(found) == 1 and len(inputs) == 1 and not Path(inputs[0]).expanduser().is_dir()
    if single and place.suffix.lower() in FORMATS and not place.is_dir():
        jobs = [Job(found[0][0], place)]
    else:
        jobs = _into_folder(dict.fromkeys(found), place, suffix)
    if not jobs:
        raise UserError(
            f"all that input={inputs[0]} names lies in output={output}: give another folder"
        )
    for job in jobs:
        if job.target.exists() and job.target.samefile(job.source):
            raise UserError(
                f"output={output} would overwrite {job.source} with its own enlargement: "
                "give another folder"
            )
    return jobs


def _images(entry: str, output: Path) -> list[tuple[Path, Path]]:
    """Files that an input names, each with its path below the output folder."""
    path = Path(entry).expanduser()
    if path.is_dir():
        images = list_images(path, "input")
        inside = output.resolve()
        own = [p for p in images if not p.resolve().is_relative_to(inside) or inside == path]
        return [(image, image.relative_to(path)) for image in own]
    if path.exists() or path.is_symlink():
        return [(path, Path(path.name))]
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    matches = [m for m in matches if m.is_file() and m.suffix.lower() in EXTENSIONS]
    if not matches:
        what = "matches no image" if glob.has_magic(entry) else "does not exist"
        raise UserError(f"input={entry} {what}: give an image, a folder, or a pattern in quotes")
    return [(match, Path(match.name)) for match in matches]


def _into_folder(
    found: dict[tuple[Path, Path], None], folder: Path, suffix: str | None
) -> list[Job]:
    targets = {pair: _renamed(pair[1], suffix) for pair in found}
    times = Counter(targets.values())
    return [
        Job(source, folder / (target if times[target] == 1 else _told_apart(name, target)))
        for (source, name), target in targets.items()
    ]


def _renamed(name: Path, suffix: str | None) -> Path:
    kept = name.suffix if name.suffix.lower() in FORMATS else ".png"
    return name.with_suffix(suffix or kept)


def _told_apart(name: Path, target: Path) -> Path:
    """``a.jpg`` beside ``a.gif``, both to become ``a.png``: ``a_jpg.png`` and ``a_gif.png``."""
    return target.with_name(f"{name.stem}_{name.suffix[1:].lower()}{target.suffix}")
