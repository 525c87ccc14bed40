"""Enlarges odd image files by the command, and compares every result with Pillow's reading of both.

    python experiments/use/odd_files.py FOLDER OUTPUT

FOLDER is searched for files whose extension the command reads, for instance `Tests/images` of
Pillow's source package. Files of more than 0.6 megapixels are left out, as far as Pillow can tell.
The command enlarges the others with `model=bicubic` into OUTPUT. A result agrees if its mean
difference from Pillow's bicubic of what Pillow reads, weighted by alpha, is at most 4 of 255 in
every channel. All that does not agree is printed, with the totals at the end.
"""

import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sr_gan.images.find import EXTENSIONS, WRITTEN

LIMIT = 0.6e6
MARGIN = 4  # pixels at the edges of the results that are not compared: edges are padded in two ways


def main(folder: Path, output: Path) -> None:
    warnings.simplefilter("ignore")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    files = [path for path in files if path.is_file() and is_small(path)]
    with tempfile.TemporaryDirectory() as inputs:
        links = {Path(inputs) / f"{n}_{path.name}": path for n, path in enumerate(files)}
        for link, path in links.items():
            link.symlink_to(path.resolve())
        command = f"upscale model=bicubic input={inputs} output={output} overwrite=true".split()
        run = subprocess.run(
            [sys.executable, "-m", "sr_gan", *command], capture_output=True, text=True, check=False
        )
    if "Traceback" in run.stdout + run.stderr:
        sys.exit(f"a traceback:\n{run.stdout[-2000:]}{run.stderr[-4000:]}")
    refused = dict(re.findall(rf"failed  {inputs}/(\S+): (.*)", run.stderr))
    totals: Counter[str] = Counter()
    for link, path in links.items():
        verdict = compare(path, output / link.name, refused.get(link.name))
        totals[verdict.partition(":")[0]] += 1
        if verdict != "agrees":
            print(f"{path.relative_to(folder)}  {verdict}")
    print(f"{len(files)} files: " + ", ".join(f"{n} {what}" for what, n in totals.most_common()))


def is_small(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.width * image.height <= LIMIT
    except Exception:  # what Pillow cannot open is tried all the same
        return True


def compare(source: Path, target: Path, reason: str | None) -> str:
    try:
        before = read(source)
    except Exception as error:
        before = None
        unread = f"{type(error).__name__}: {error}"
    if reason is not None:
        return f"refused: {reason}" if before is None else f"refused, but Pillow reads it: {reason}"
    if target.suffix.lower() not in WRITTEN:
        target = target.with_suffix(".jpg" if target.suffix.lower() == ".jfif" else ".png")
    try:
        after = read(target)
    except Exception as error:
        return f"Pillow cannot read the result: {type(error).__name__}: {error}"
    if before is None:
        return f"Pillow cannot read the source: {unread}"
    height, width = before.shape[0] * 4, before.shape[1] * 4
    if after.shape[:2] != (height, width):
        return f"another size: {after.shape[:2]} in place of {(height, width)}"
    expected = np.dstack([enlarged(before[..., channel]) for channel in range(4)])
    if target.suffix.lower() in {".jpg", ".jpeg", ".bmp"}:  # transparent pixels are put on white
        expected[..., :3] += 1 - expected[..., 3:]
        expected[..., 3] = 1
    inside = slice(MARGIN, -MARGIN) if min(before.shape[:2]) > 3 else slice(None)
    shift = 255 * (after - expected)[inside, inside].mean((0, 1))
    return "agrees" if abs(shift).max() <= 4 else f"differs: by {shift.round(1).tolist()}"


def read(path: Path) -> NDArray[np.float32]:
    """Returns what Pillow reads, upright, as RGBA in [0, 1] with the colours times alpha."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode[0] in "IF":  # 16 bits of grey, which Pillow's convert() would clip
            grey = np.asarray(image).astype(np.float32) / 65535
            return np.dstack([grey, grey, grey, np.ones_like(grey)])
        pixels = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    return np.dstack([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]])


def enlarged(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    image = Image.fromarray(channel)
    size = (4 * image.width, 4 * image.height)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
