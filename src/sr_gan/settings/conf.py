"""Finds the folder conf/."""

from pathlib import Path


def conf_dir() -> Path:
    """Returns the folder of Hydra's configuration: in the package, or in a checkout."""
    here = Path(__file__).resolve().parents[1]
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parents[1] / "conf"
