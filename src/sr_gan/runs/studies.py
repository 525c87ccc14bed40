"""Finds the studies of ``experiments/`` whose runs come with the package."""

from pathlib import Path

from sr_gan.errors import UserError


def study(name: str) -> Path:
    """Returns the folder of a study: in the package, or in a checkout.

    A checkout has every study. The package has the runs that the notebooks read, see
    ``pyproject.toml``.

    Raises:
        UserError: there is no study of this name here.
    """
    here = Path(__file__).resolve().parents[1]
    packaged = here / "experiments"
    folder = packaged if packaged.is_dir() else here.parents[1] / "experiments"
    if not (folder / name).is_dir():
        names = ", ".join(sorted(path.name for path in folder.glob("*") if path.is_dir()))
        raise UserError(f"there is no study {name} here: give one of {names or 'none'}")
    return folder / name
