"""SR pictures that another program made, found by the names of their photographs."""

import re
from collections import defaultdict
from collections.abc import Set
from pathlib import Path

from sr_gan.data.sources import Collection
from sr_gan.errors import UserError
from sr_gan.files import printable
from sr_gan.images.find import list_images

_END = re.compile(r"[_\-. ]?(HR|GT|ORI)$", re.IGNORECASE)  # what photographs have, and results not
# How what a program adds begins; not with a mere number, as a_2.png is another photograph.
_ADDED = re.compile(r"(?![_\-. ]\d+([_\-. ]|$))([_\-. (\[]|x\d|SR|out)", re.IGNORECASE)


def find_pictures(collection: Collection, folder: Path, key: str) -> dict[Path, Path]:
    """Returns the SR picture of every photograph.

    The picture of ``a/0001.png`` is in ``a`` below ``folder``, or in ``folder`` itself, and is
    named ``0001`` with any extension, or ``0001`` and what programs add: ``0001x4``, ``0001_SR``,
    ``0001_EDSR_x4``. A photograph's own ending, as in ``0001_HR.png``, does not count.

    Args:
        collection: the photographs.
        folder: the folder of the pictures.
        key: the setting that names it, for errors.

    Raises:
        UserError: a photograph has no picture, or several.
    """
    photos = [source.hr for source in collection.sources]
    stems = {photo: (_END.sub("", photo.stem) or photo.stem).lower() for photo in photos}
    known = set(stems.values())
    whole = known | {photo.stem.lower() for photo in photos}
    exact, added = (defaultdict[tuple[Path, str], list[Path]](list) for _ in range(2))
    places = set[Path]()
    for path in list_images(folder, key):
        place, name = path.relative_to(folder).parent, path.stem.lower()
        places.add(place)
        if name in whole:
            exact[place, name].append(path)
        else:
            added[place, _longest(name, known)].append(path)
    found: dict[Path, Path] = {}
    missing: list[Path] = []
    for photo in photos:
        below = photo.relative_to(collection.root).parent
        place = below if below in places else Path()
        keys = [(place, stem) for stem in dict.fromkeys([photo.stem.lower(), stems[photo]])]
        named = [path for each in keys for path in exact[each]] + added[place, stems[photo]]
        if len(named) > 1:
            names = ", ".join(printable(path.name) for path in named[:3])
            raise UserError(
                f"{key}={folder} has several pictures of {printable(photo.name)}: {names}; "
                "keep one of them there"
            )
        if named:
            found[photo] = named[0]
        else:
            missing.append(photo)
    if missing:
        names = ", ".join(printable(path.name) for path in missing[:3])
        raise UserError(
            f"{key}={folder} has no picture of {len(missing)} of {len(photos)} photographs "
            f"({names}): it is found by its name, such as {printable(missing[0].stem)}_x4.png"
        )
    return found


def _longest(name: str, stems: Set[str]) -> str:
    """Returns the longest stem that the name of a picture begins with; ``a_1_x4`` is of ``a_1``."""
    ends = range(len(name) - 1, 0, -1)
    fitting = (name[:end] for end in ends if name[:end] in stems and _ADDED.match(name[end:]))
    return next(fitting, "")
