"""Writes a small photograph to train on and one to validate on: ``python photos.py FOLDER``."""

import sys
from pathlib import Path

from PIL import Image

from sr_gan.images.bundled import bundled

FOLDER = Path(sys.argv[1])
PARTS = {  # left, top, right, bottom
    "train/motorcycle_left.png": (250, 200, 346, 296),
    "valid/chelsea.png": (0, 0, 448, 300),
}
for name, box in PARTS.items():
    file = FOLDER / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.open(bundled(file.name)).convert("RGB").crop(box).save(file)
