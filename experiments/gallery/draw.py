"""Draws the gallery: photographs that no training saw, reduced by four and enlarged again.

python experiments/gallery/draw.py VALID

VALID is the folder of the held-out photographs. The pictures are written to docs/figures/gallery.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr_gan import Upscaler
from sr_gan.data.degradation.kinds import spoiled
from sr_gan.images.bundled import bundled
from sr_gan.images.decode import decode
from sr_gan.images.resize import bicubic, downscale

SCALE, GAP, LINE = 4, 8, 40  # LINE is the height of a title
FOLDER = Path(__file__).parents[2] / "docs" / "figures" / "gallery"


class Example(NamedTuple):
    """A part of a photograph: left, top, width and height in its pixels."""

    photo: str
    part: tuple[int, int, int, int]
    zoom: int = 2  # how many pixels of the picture are as wide as one of the photograph
    models: tuple[str, ...] = ("gan",)
    damage: str = "clean"  # a kind of evaluate's degradation=
    reduced: bool = True  # or else it is enlarged as it is, and there is no original


BOTH = ("gan", "photo")
EXAMPLES = {
    "before_after": Example("0008.jpg", (430, 290, 560, 420), 1, ("photo",)),
    "buildings": Example("0011.jpg", (130, 300, 200, 200)),
    "night": Example("0010.jpg", (940, 330, 200, 200)),
    "fur": Example("0008.jpg", (520, 380, 200, 200)),
    "foliage": Example("0007.jpg", (1180, 690, 200, 200)),
    "face": Example("astronaut.png", (175, 70, 100, 100), 4),
    "text": Example("page.png", (0, 0, 200, 180)),
    "jpeg": Example("0006.jpg", (500, 260, 200, 200), 2, BOTH, "jpeg40"),
    "scan": Example("coins.png", (195, 20, 50, 50), 2, BOTH, reduced=False),
}


def main(valid: str) -> None:
    """Draws all pictures."""
    upscalers = {name: Upscaler.from_pretrained(name) for name in BOTH}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, example in EXAMPLES.items():
        photo = _read(example.photo, valid)
        lr = downscale(photo, SCALE) if example.reduced else photo
        lr = spoiled(lr, example.damage, example.photo)
        panels = {"bicubic": bicubic(lr, SCALE)}
        panels.update({name: upscalers[name](lr) for name in example.models})
        if example.reduced and kind != "before_after":
            panels["original"] = photo
        sheet = _draw({title: _cut(image, example) for title, image in panels.items()})
        sheet.save(FOLDER / f"{kind}.jpg", quality=92, subsampling=0)


def _read(photo: str, valid: str) -> Tensor:
    """Returns a photograph as uint8 (1, C, H, W), cut to a multiple of the scale factor.

    C is 1 for a grey photograph, as grey stays grey.
    """
    path = Path(valid) / photo
    image = torch.from_numpy(decode(path if path.is_file() else bundled(photo)))[None]
    height, width = (side // SCALE * SCALE for side in image.shape[2:])
    grey = bool((image == image[:, :1]).all())
    return image[:, : 1 if grey else 3, :height, :width]


def _cut(image: Tensor, example: Example) -> Image.Image:
    """Returns the part of an enlarged image."""
    enlarged = 1 if example.reduced else SCALE
    left, top, width, height = (side * enlarged for side in example.part)
    part = image[0, :, top : top + height, left : left + width].expand(3, -1, -1).permute(1, 2, 0)
    size = (width * example.zoom, height * example.zoom)
    return Image.fromarray(part.numpy()).resize(size, Image.Resampling.NEAREST)


def _draw(panels: dict[str, Image.Image]) -> Image.Image:
    """Puts the pictures side by side, each below its title."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 24)
    width, height = next(iter(panels.values())).size
    sheet = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + LINE), "white")
    for column, (title, panel) in enumerate(panels.items()):
        left = column * (width + GAP)
        ImageDraw.Draw(sheet).text((left + width / 2, LINE / 2), title, "black", font, anchor="mm")
        sheet.paste(panel, (left, LINE))
    return sheet


if __name__ == "__main__":
    main(*sys.argv[1:])
