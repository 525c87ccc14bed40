"""Where the files of conf/ are."""

from pathlib import Path


def conf_dir() -> Path:
    """The folder of the Hydra configuration: in the package, or beside src/ in a checkout."""
    here = Path(__file__).resolve().parents[1]
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parents[1] / "conf"
