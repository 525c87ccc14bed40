"""Kills an evaluation of 100 images after 50 of them, and starts it again.

    python experiments/measure/stopped.py PHOTOS ALEXNET FOLDER

The images are parts of PHOTOS, of 480x480 pixels, and lie in FOLDER. Every image is measured with
one model, and with bicubic. It prints how many results each start measured, and whether the tables
are those of an evaluation that was left alone.
"""

import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from PIL import Image

SIDE, IMAGES, CONTESTANTS = 480, 100, 2


def main(photos: Path, alexnet: str, folder: Path) -> None:
    parts = folder / "parts"
    cut(photos, parts)
    command = [sys.executable, "-m", "sr_gan.evaluate", "model=psnr", f"benchmark={parts}"]
    command += [f"lpips={alexnet}"]
    alone, again = folder / "alone", folder / "again"
    started = time.monotonic()
    subprocess.run([*command, f"output={alone}"], check=True, capture_output=True)
    print(f"left alone: {time.monotonic() - started:.1f} s")

    started = time.monotonic()
    run = subprocess.Popen([*command, f"output={again}"], stderr=subprocess.DEVNULL)
    while results(again) < IMAGES // 2 * CONTESTANTS:
        time.sleep(0.01)
    run.kill()
    run.wait()
    print(f"killed:     {time.monotonic() - started:.1f} s, {results(again)} results are kept")

    started = time.monotonic()
    second = subprocess.run([*command, f"output={again}"], check=True, capture_output=True)
    (line,) = (x for x in second.stdout.decode().splitlines() if x.startswith("continued"))
    print(f"again:      {time.monotonic() - started:.1f} s, {line}")
    tables = [(place / "parts.csv").read_text() for place in (alone, again)]
    print("tables are equal" if tables[0] == tables[1] else "tables differ")


def cut(photos: Path, parts: Path) -> None:
    """Writes the first parts of the photographs, as many as there are images."""
    parts.mkdir(parents=True, exist_ok=True)
    written = 0
    for path in sorted(photos.iterdir()):
        with Image.open(path) as photo:
            width, height = photo.size
            image = photo.convert("RGB")
        for top, left in product(*(range(0, side - SIDE + 1, SIDE) for side in (height, width))):
            if written < IMAGES:
                image.crop((left, top, left + SIDE, top + SIDE)).save(parts / f"{written:03}.png")
                written += 1
    if written < IMAGES:
        sys.exit(f"{photos} has only {written} parts of {SIDE} x {SIDE} pixels")


def results(output: Path) -> int:
    """Returns how many results an evaluation has kept so far."""
    try:
        lines = (output / "parts.unfinished.jsonl").read_text().split("\n")
    except FileNotFoundError:
        return 0
    return sum(1 for line in lines if line.endswith("}") and json.loads(line))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
