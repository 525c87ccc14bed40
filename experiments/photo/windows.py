"""Cuts the middle 384 pixels of each photograph, on which the study measures.

python experiments/photo/windows.py VALID FOLDER
"""

import sys
from pathlib import Path

from PIL import Image

SIDE = 384


def main(valid: str, folder: str) -> None:
    """Writes a PNG file for each .jpg and .png of VALID."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(valid).glob("*.[jp][pn]g")):
        photo = Image.open(path).convert("RGB")
        left, top = ((side - SIDE) // 2 for side in photo.size)
        photo.crop((left, top, left + SIDE, top + SIDE)).save(Path(folder) / f"{path.stem}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
