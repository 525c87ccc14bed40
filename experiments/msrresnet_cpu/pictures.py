"""Prepares a folder of pictures to train on: photographs, their halves, and drawings.

python experiments/msrresnet_cpu/pictures.py PHOTOS FOLDER DRAWINGS [SEED]

Writes each photograph as it is and at half the size, where edges are sharper, and as many drawings
as DRAWINGS says. Few photographs show text, thin lines or stripes, so a generator that is trained
on photographs alone learns little about them. The drawings are overlapping shapes whose sizes
follow a power law, called dead leaves (Lee, Mumford and Huang 2001), with curves and random text.
"""

import sys
from pathlib import Path
from string import ascii_letters, digits

import matplotlib
import numpy as np
from numpy.random import Generator, default_rng
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from sr_gan.images.decode import decode
from sr_gan.images.find import list_images

SIDE = 960
FINE = 2  # drawings are made at this multiple of their size; reducing them smooths the edges
FONTS = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVu*.ttf"))
LETTERS = list(ascii_letters + digits + "     .,:;!?-()")


def main(photos: str, folder: str, drawings: str, seed: str = "0") -> None:
    """Writes the pictures as PNG files."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(list_images(Path(photos))):
        photo = Image.fromarray(decode(path).transpose(1, 2, 0))
        half = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.BICUBIC)
        photo.save(out / f"photo_{number:04d}.png")
        half.save(out / f"half_{number:04d}.png")
    for number in range(int(drawings)):
        draw(default_rng([int(seed), number])).save(out / f"drawing_{number:04d}.png")


def draw(random: Generator) -> Image.Image:
    """Makes one drawing."""
    picture = fill(random, (SIDE * FINE, SIDE * FINE))
    smallest, largest = 8 * 6 ** random.random(), SIDE / 3
    mean_area = np.pi * smallest**2 * np.log(largest / smallest)
    for _ in range(int(1.5 * SIDE**2 / mean_area)):
        radius = min(smallest * random.random() ** -0.5, largest)  # their density is r^-3
        draw_shape(random, picture, radius * FINE)
    for _ in range(random.integers(0, 40)):
        draw_curve(random, picture)
    for _ in range(random.integers(0, 12)):
        draw_text(random, picture)
    blur = float(random.choice([0.0, 0.0, 0.5, 1.0]))
    return picture.resize((SIDE, SIDE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(blur))


def colour(random: Generator) -> tuple[int, ...]:
    """Chooses a colour: a dark, a light or a grey one, or any."""
    value = random.integers(0, 256, 3)
    kind = random.random()
    if kind < 0.15:
        value //= 8
    elif kind < 0.3:
        value = 255 - value // 8
    elif kind < 0.45:
        value[:] = value[0]
    return tuple(int(channel) for channel in value)


def fill(random: Generator, size: tuple[int, int]) -> Image.Image:
    """Makes a plane of one colour, a gradient, stripes, checks or dots."""
    one, two = np.array(colour(random)), np.array(colour(random))
    kind = random.random()
    if kind < 0.45:
        return Image.new("RGB", size, tuple(one))
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    angle = random.choice([0.0, np.pi / 2, random.uniform(0, np.pi)])
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = FINE * 3 * 12 ** random.random()  # 3 to 36 pixels
    share = random.uniform(0.2, 0.8)
    if kind < 0.65:
        mix = (along - along.min()) / max(np.ptp(along), 1)
    elif kind < 0.85:
        mix = along / period % 1 < share
    elif kind < 0.93:
        mix = (along // period + across // period) % 2
    else:
        mix = np.hypot(along / period % 1 - 0.5, across / period % 1 - 0.5) < share / 2
    return Image.fromarray((one + (two - one) * mix[..., None]).astype(np.uint8))


def draw_shape(random: Generator, picture: Image.Image, radius: float) -> None:
    """Draws a polygon or a smooth blob, sometimes with an outline."""
    if random.random() < 0.5:
        angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 8)))
        radii = radius * random.uniform(0.4, 1.0, angles.size)
    else:
        angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        waves = sum(
            random.uniform(0, 0.5 / n) * np.cos(n * angles + random.uniform(0, 2 * np.pi))
            for n in (1, 2, 3, 5)
        )
        radii = radius * np.clip(0.6 + 0.4 * waves, 0.1, 1)
    side = int(2 * radius) + 2
    outline = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1) + side / 2
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).polygon(list(map(tuple, outline)), fill=255)
    left, top = (int(at) for at in random.uniform(-radius, SIDE * FINE - radius, 2))
    picture.paste(fill(random, (side, side)), (left, top), mask)
    if random.random() < 0.3:
        points = list(map(tuple, outline + np.array([left, top])))
        width = FINE * int(random.integers(1, 6))
        ImageDraw.Draw(picture).line(points + points[:2], colour(random), width, joint="curve")


def draw_curve(random: Generator, picture: Image.Image) -> None:
    """Draws a cubic Bezier curve of 1 to 8 pixels' width."""
    a, b, c, d = random.uniform(0, SIDE * FINE, (4, 2))
    t = np.linspace(0, 1, 80)[:, None]
    curve = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
    width = int(FINE * 8 ** random.random())
    ImageDraw.Draw(picture).line(list(map(tuple, curve)), colour(random), width, joint="curve")


def draw_text(random: Generator, picture: Image.Image) -> None:
    """Draws a few lines of random letters, half of them on a plane, a third of them turned."""
    size = FINE * 7 * 8 ** random.random()  # 7 to 56 pixels
    font = ImageFont.truetype(str(random.choice(FONTS)), size)
    lines = range(random.integers(1, 7))
    text = "\n".join("".join(random.choice(LETTERS, random.integers(4, 24))) for _ in lines)
    _, _, right, bottom = ImageDraw.Draw(picture).multiline_textbbox((0, 0), text, font)
    letters = Image.new("L", (int(right) + 8, int(bottom) + 8))
    ImageDraw.Draw(letters).multiline_text((4, 4), text, 255, font)
    plane = Image.new("L", letters.size, 255 if random.random() < 0.5 else 0)
    angle = random.choice([0.0, 0.0, random.uniform(-90, 90)])
    left, top = (int(at) for at in random.uniform(-0.1, 0.8, 2) * SIDE * FINE)
    for mask in (plane, letters):
        turned = mask.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        picture.paste(colour(random), (left, top), turned)


if __name__ == "__main__":
    main(*sys.argv[1:])
