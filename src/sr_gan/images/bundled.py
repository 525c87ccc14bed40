"""The photographs bundled with scikit-image: real pictures that need no download."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray

from sr_gan.errors import UserError
from sr_gan.images.decode import decode

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")  # 427x640 to 512x512 pixels


def bundled(name: str) -> Path:
    """Returns the path of one of scikit-image's photographs.

    Raises:
        UserError: the installed version does not contain it.
    """
    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        raise UserError(
            f"scikit-image {version('scikit-image')} does not bring {name}: install the "
            "version in constraints.txt, or use data=folder data.train_dir=FOLDER"
        )
    return path


def bundled_pixels() -> list[NDArray[np.uint8]]:
    """Returns the pixels of all :data:`PHOTOS`: uint8 (H, W, 3)."""
    return [decode(bundled(name)).transpose(1, 2, 0) for name in PHOTOS]
