"""Enlarges parts of eight held-out photographs as they are: there is no original to compare with.

python experiments/photo/sheet.py VALID SHEET [MODEL ...]

Writes the picture SHEET. Without models it shows gan and photo beside bicubic.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from sr_gan import Upscaler
from sr_gan.images.decode import decode
from sr_gan.images.resize import bicubic

SIDE, SCALE, GAP, LINE = 100, 4, 8, 30  # SIDE is of a part, in pixels of the photograph
PARTS = {  # left and top
    "0001.jpg": (640, 420),
    "0003.jpg": (700, 500),
    "0005.jpg": (800, 520),
    "0008.jpg": (640, 400),
    "0010.jpg": (940, 330),
    "0011.jpg": (130, 300),
    "0013.jpg": (780, 480),
    "0015.jpg": (760, 460),
}


def main(valid: str, path: str, *models: str) -> None:
    """Draws two examples a row, each by bicubic and by the models."""
    models = models or ("gan", "photo")
    upscalers = [Upscaler.from_pretrained(model) for model in models]
    titles = ["bicubic", *(Path(model).name for model in models)]
    step, font = SIDE * SCALE + GAP, ImageFont.load_default(size=20)
    size = (2 * len(titles) * step, len(PARTS) // 2 * step + LINE)
    sheet = Image.new("RGB", size, "white")
    for column, title in enumerate(2 * titles):
        ImageDraw.Draw(sheet).text((column * step + 6, 3), title, "black", font)
    for number, (name, (left, top)) in enumerate(PARTS.items()):
        photo = torch.from_numpy(decode(Path(valid) / name))[None]
        part = photo[..., top : top + SIDE, left : left + SIDE]
        enlarged = [bicubic(part, SCALE), *(upscaler(part) for upscaler in upscalers)]
        for column, image in enumerate(enlarged, start=number % 2 * len(titles)):
            picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
            sheet.paste(picture, (column * step, LINE + number // 2 * step))
    sheet.save(path, quality=90, subsampling=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
