"""Plans which image files to enlarge, and the file to which each result is written."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha1
from itertools import chain, count
from pathlib import Path
from unicodedata import normalize

from sr_gan.errors import UserError
from sr_gan.files import LONGEST, printable, real, shortened, user_path
from sr_gan.images.find import EXTENSIONS, WRITTEN, list_images, matches
from sr_gan.tables import counted

log = logging.getLogger(__name__)

_NEAREST = {".jfif": ".jpg"}  # the format of results that are not PNG instead
Found = tuple[Path, Path]  # an image file, and its path below the folder of the results


@dataclass(frozen=True)
class Job:
    """An image file, and the file to which its enlargement is written."""

    source: Path
    target: Path

    @property
    def is_done(self) -> bool:
        """Whether the target exists; whose result it is shows in its name alone."""
        return os.path.isfile(self.target)  # noqa: PTH113  Path.is_file() may raise

    @property
    def is_outdated(self) -> bool:
        """Whether the target is older than the image, and so not made of it as it is now."""
        with suppress(OSError):
            return self.target.stat().st_mtime < self.source.stat().st_mtime
        return False


def plan(inputs: Sequence[str], output: str, suffix: str | None = None) -> list[Job]:
    """Returns a job for every image that ``inputs`` name, each with a target of its own.

    An image that is named several times, also by a link, is enlarged once.

    Args:
        inputs: files, folders (searched recursively) and glob patterns. What lies in the output
            folder is left out of folders and patterns, unless these are within that folder.
        output: a folder, in which the structure of input folders is kept; or, for a single input
            file, the file to write if it ends in one of :data:`WRITTEN`.
        suffix: the extension of the results; None keeps each file's own, or takes ``.png`` if
            files of that kind cannot be written.

    Raises:
        UserError: there is nothing to do, a result would overwrite one of the images, or the
            images cannot be written into ``output``.
    """
    place = user_path(output)
    given = [found for entry in inputs for found in _images(entry, place)]
    images = _without_repeats(given)
    if not images:
        raise UserError(
            f"all that input={inputs[0]} names lies in output={output}: give another folder"
        )
    if len(images) < len(given):
        repeated = counted(len(given) - len(images), "image")
        log.info("once    %s given again, or by a link: enlarged once", repeated)
    single = len(images) == 1 and len(inputs) == 1 and not user_path(inputs[0]).is_dir()
    kind = place.suffix.lower()
    if kind not in EXTENSIONS or os.path.isdir(place):  # noqa: PTH112  Path.is_dir() may raise
        new = not output.endswith(("/", os.sep)) and not os.path.lexists(place)
        if single and new and (near := _near(kind)):
            hint = f"did you mean {near}? A new folder of this name is output={output}/"
            raise UserError(f"output={output}: {kind} is not a format of results; {hint}")
        jobs = [Job(source, place / name) for source, name in result_names(images, suffix).items()]
    elif single and kind in WRITTEN:
        if suffix and _kind(kind) != _kind(suffix):
            raise UserError(f"format={suffix[1:]} and output={output} contradict: give one of them")
        jobs = [Job(source, place) for source in images]
    elif kind in WRITTEN:
        what = "one file cannot hold the results of a folder or of several images: give a folder"
        raise UserError(f"output={output}: {what}")
    else:
        what = f"{kind} is not a format of results: allowed are {', '.join(WRITTEN)}, or a folder"
        raise UserError(f"output={output}: {what}")
    sources = {_identity(job.source): job.source for job in jobs}
    for job in jobs:
        source = sources.get(_identity(job.target)) if os.path.lexists(job.target) else None
        if source is not None:
            raise UserError(
                f"output={output} would overwrite {printable(source)} with "
                f"{'its own' if source == job.source else 'an'} enlargement: give another folder"
            )
    return jobs


def result_names(images: Mapping[Path, Path], suffix: str | None = None) -> dict[Path, Path]:
    """Returns a path for the result of every image, no two alike on any disk.

    Paths that differ only in their case, or in how Unicode writes a letter, count as alike. A
    result has the path of its image, and ``suffix`` or an extension that is written. If several
    would have the same path, or if one would be in the place of another's folder, then ``a.png``
    becomes ``a_jpg.png`` by the image's own extension, ``a_holiday.png`` by the folders above it,
    or both, or ends in a hash. The paths do not depend on the order of the images.

    Args:
        images: image files, each with its path below the folder of the results.
        suffix: the extension of the results; None keeps those that are written.
    """
    natural = {source: _renamed(name, suffix) for source, name in images.items()}
    taken = {_folded(folder) for target in natural.values() for folder in target.parents}
    marks = {source: chain([""], _marks(source, name)) for source, name in images.items()}
    given: dict[Path, Path] = {}
    while len(given) < len(images):
        wanted = {s: _marked(natural[s], next(marks[s])) for s in images if s not in given}
        times = Counter(map(_folded, wanted.values()))
        alone = {key for key, number in times.items() if number == 1} - taken
        given |= {source: name for source, name in wanted.items() if _folded(name) in alone}
        taken |= set(times)  # what several wanted is nobody's
    return {source: given[source] for source in images}


def _images(entry: str, output: Path) -> list[Found]:
    """Returns the files that an input names, each with its path below the output folder."""
    path, found = user_path(entry), matches(entry, "input")
    if path.is_dir():
        found = list_images(path, "input")
        images = [(image, image.relative_to(path)) for image in found]
    else:
        images = [(image, Path(image.name)) for image in found]
        if found == [path]:
            return images
        path = next(folder for folder in path.parents if not glob.has_magic(str(folder)))
    inside = real(output)
    if real(path).is_relative_to(inside):
        return images
    # The results of an earlier run are not enlarged again.
    return [each for each in images if not real(each[0]).is_relative_to(inside)]


def _without_repeats(found: Iterable[Found]) -> dict[Path, Path]:
    """Returns every file once, with its path below the output folder.

    If a file was found in several ways, its own name counts more than a link's, and the longer path
    more than the shorter one.
    """

    def rank(each: Found) -> tuple[bool, int, str, str]:
        source, name = each
        return source.is_symlink(), -len(name.parts), name.as_posix(), str(source)

    best: dict[Hashable, Found] = {}
    for each in found:
        key = _identity(each[0])
        best[key] = min(best.get(key, each), each, key=rank)
    return dict(best.values())


def _identity(path: Path) -> Hashable:
    """Returns what is equal for two paths of one file, also where a disk ignores case."""
    place = real(path)
    with suppress(OSError):
        status = place.stat()
        return _folded(place), status.st_dev, status.st_ino
    return place


def _folded(path: Path) -> str:
    """Returns what is equal for paths that some disk takes for the same."""
    return normalize("NFC", normalize("NFD", path.as_posix()).casefold())


def _near(suffix: str) -> str | None:
    """Returns the extension that was probably meant by one that is misspelt."""
    return next(iter(get_close_matches(suffix, WRITTEN, 1, 0.7)), None) if suffix else None


def _kind(suffix: str) -> str:
    return suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif")


def _renamed(name: Path, suffix: str | None) -> Path:
    kept = name.suffix if name.suffix.lower() in WRITTEN else _NEAREST.get(name.suffix.lower())
    return name.with_suffix(suffix or kept or ".png")


def _marks(source: Path, name: Path) -> Iterator[str]:
    """Returns what can tell an image's name apart from others, without end."""
    path = Path(os.path.abspath(source))  # noqa: PTH100  Path.resolve() would follow links
    above = path.parts[1 : -len(name.parts)]
    kind = f"_{name.suffix[1:].lower()}" if name.suffix else ""
    yield kind
    for depth in range(1, len(above) + 1):
        folders = "_" + "_".join(above[-depth:])
        if len(os.fsencode(folders)) < LONGEST // 2:
            yield from (folders, kind + folders)
    for number in count():
        yield "_" + sha1(os.fsencode(f"{number} {path}")).hexdigest()[:8]


def _marked(target: Path, mark: str) -> Path:
    """Returns ``a_mark.png`` for ``a.png``."""
    return target.with_name(shortened(target.stem, mark + target.suffix))
