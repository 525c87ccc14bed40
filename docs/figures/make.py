"""Draws the figures of docs/how_it_works.md, from photographs bundled with scikit-image.

command   python docs/figures/make.py VGG19_FILE      (weights as for gan.loss.content.vgg.weights)
"""

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from scipy.ndimage import gaussian_filter
from skimage import data
from torch import Tensor

from sr_gan import Upscaler
from sr_gan.images.resize import downscale
from sr_gan.losses import VGGLoss, WaveletLoss
from sr_gan.metrics import psnr_y

HERE = Path(__file__).parent
INK, PALE, BLUE, ORANGE, GREEN = "#333333", "#f2f2f2", "#cfe2f3", "#fce5cd", "#d9ead3"
plt.rcParams.update({"font.size": 12, "svg.fonttype": "path", "svg.hashsalt": "sr_gan"})


def save(figure: plt.Figure, name: str) -> None:
    """Writes a figure on white, so that it also reads on a dark page."""
    metadata = {"Date": None} if name.endswith(".svg") else None
    figure.savefig(HERE / name, dpi=150, facecolor="white", bbox_inches="tight", metadata=metadata)
    plt.close(figure)


def canvas(width: float, height: float) -> tuple[plt.Figure, Axes]:
    """An empty figure whose unit is an inch."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def box(
    axes: Axes, x: float, y: float, text: str, colour: str, w: float = 1.2, h: float = 0.8
) -> None:
    """A labelled box around (x, y)."""
    corner = (x - w / 2, y - h / 2)
    axes.add_patch(plt.Rectangle(corner, w, h, facecolor=colour, edgecolor=INK, linewidth=1))
    axes.text(x, y, text, ha="center", va="center", color=INK)


def arrow(axes: Axes, *points: tuple[float, float]) -> None:
    """A line through points with a head at its end."""
    xs, ys = zip(*points[:-1])
    axes.plot(xs, ys, color=INK, linewidth=1.2, solid_capstyle="butt")
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", points[-1], points[-2], arrowprops=style)


def generator() -> None:
    """The layers of SRResNet and MSRResNet, and the size of the image between them."""
    figure, axes = canvas(10.5, 2.3)
    y, names = 0.95, [
        (0.65, "LR image\n3 channels", PALE),
        (2.1, "convolution\n64 filters", BLUE),
        (3.8, "16 residual\nblocks", BLUE),
        (5.5, "pixel shuffle\nx2", ORANGE),
        (7.0, "pixel shuffle\nx2", ORANGE),
        (8.4, "convolution\n3 filters", BLUE),
        (9.8, "SR image\n3 channels", PALE),
    ]  # fmt: skip
    for x, text, colour in names:
        box(axes, x, y, text, colour, w=1.24)
    for (a, *_), (b, *_) in pairwise(names):
        arrow(axes, (a + 0.62, y), (b - 0.62, y))
    arrow(axes, (2.9, y), (2.9, 1.75), (4.62, 1.75), (4.62, y))
    axes.text(3.76, 1.83, "skip: the blocks add to it", ha="center", color=INK)
    for x, text in ((2.95, "24 x 24"), (6.25, "48 x 48"), (7.75, "96 x 96")):
        axes.text(x, 0.3, text, ha="center", color="#777777", fontsize=10.5)
    save(figure, "generator.svg")


def discriminator() -> None:
    """A discriminator's feature maps: smaller and deeper, until one number is left."""
    figure, axes = canvas(10.7, 2.5)
    sizes = [(96, 3), (96, 64), (48, 128), (24, 256), (12, 512), (6, 512)]
    x = 0.9
    for size, channels in sizes:
        height, width = 0.25 + 1.35 * size / 96, 0.25 + channels / 700
        box(axes, x, 1.25, "", PALE if channels == 3 else GREEN, w=width, h=height)
        axes.text(
            x,
            0.12,
            f"{size} x {size}\n{channels} channels",
            ha="center",
            color="#777777",
            fontsize=10.5,
        )
        x += 1.45
    box(axes, 9.9, 1.25, "probability\nof a photograph", PALE, w=1.5)
    arrow(axes, (8.66, 1.25), (9.15, 1.25))
    for start in np.arange(len(sizes) - 1) * 1.45 + 0.9:
        arrow(axes, (start + 0.52, 1.25), (start + 0.95, 1.25))
    save(figure, "discriminator.svg")


def training() -> None:
    """One update of a GAN: which image goes where."""
    figure, axes = canvas(9.95, 3.6)
    box(axes, 0.8, 2.7, "photograph\n(HR crop)", PALE)
    box(axes, 0.8, 0.9, "LR crop", PALE)
    box(axes, 3.0, 0.9, "generator G", BLUE)
    box(axes, 5.0, 0.9, "SR image", PALE)
    box(axes, 5.0, 2.7, "discriminator D", GREEN, w=1.7)
    box(axes, 8.6, 2.7, "loss of D:\nis it a photograph?", ORANGE, w=2.5)
    box(axes, 8.6, 1.55, "adversarial loss of G:\ndoes D take it for one?", ORANGE, w=2.5)
    box(axes, 8.6, 0.5, "content loss of G:\nis it like the photograph?", ORANGE, w=2.5)
    arrow(axes, (0.8, 2.3), (0.8, 1.3))
    axes.text(0.9, 1.8, "reduce x4", va="center", color=INK)
    arrow(axes, (1.4, 0.9), (2.4, 0.9))
    arrow(axes, (3.6, 0.9), (4.4, 0.9))
    arrow(axes, (1.4, 2.7), (4.15, 2.7))
    arrow(axes, (5.0, 1.3), (5.0, 2.3))
    arrow(axes, (5.85, 2.85), (7.35, 2.85))
    arrow(axes, (5.85, 2.55), (6.7, 2.55), (6.7, 1.55), (7.35, 1.55))
    arrow(axes, (5.6, 0.75), (7.35, 0.75))
    arrow(axes, (2.1, 2.7), (2.1, 0.25), (7.35, 0.25))
    save(figure, "training.svg")


def show(axes: Axes, image: np.ndarray, title: str) -> None:
    """Shows a uint8 image with its title below."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(title, labelpad=6)
    for side in axes.spines.values():
        side.set_visible(False)


def row(name: str, images: list[tuple[str, np.ndarray]]) -> None:
    """Writes images beside each other."""
    size = (2.0 * len(images), 2.4)
    figure, axes = plt.subplots(1, len(images), figsize=size, layout="constrained")
    for each, (title, image) in zip(axes, images):
        show(each, image, title)
    save(figure, name)


def average() -> None:
    """Four textures that an LR image can hardly tell apart, and their mean."""
    moves = ((0, 0), (0, 3), (3, 0), (-2, -2))
    textures = [data.chelsea()[y + 30 : y + 86, x + 130 : x + 186] for y, x in moves]
    mean = np.mean(textures, axis=0).round().astype(np.uint8)
    titles = ["one possibility", "another", "another", "another", "their average"]
    row("average.png", list(zip(titles, [*textures, mean])))


def outputs() -> None:
    """What a PSNR model and a GAN make of the same LR image."""
    photo = data.chelsea()[:300, :448]
    hr = torch.from_numpy(photo).permute(2, 0, 1)[None]
    lr = downscale(hr, 4)
    images = {"original": hr}
    for name in ("bicubic", "psnr", "gan"):
        images[name] = Upscaler.from_pretrained(name)(lr)
    shown = []
    for name in ("bicubic", "psnr", "gan", "original"):
        score = "" if name == "original" else f": {float(psnr_y(images[name], hr, 4)):.2f} dB"
        pixels = images[name][0].permute(1, 2, 0).numpy()
        shown.append((f"{name}{score}", pixels[88:184, 118:214]))
    row("outputs.png", shown)


def distortions(photo: np.ndarray) -> dict[str, np.ndarray]:
    """Four faults with the same mean squared error (a PSNR of 30 dB), as floats of 255."""
    wanted, random = 255**2 * 10 ** (-30 / 10), np.random.default_rng(0)
    grid = np.indices(photo.shape[:2]).sum(0)[..., None] % 2 * 2.0 - 1
    faults = {
        "blur": gaussian_filter(photo, (2, 2, 0)) - photo,
        "noise": random.normal(size=photo.shape),
        "one-pixel grid": grid * np.ones(3),
        "colour": np.ones(photo.shape) * (1.0, 0.0, -1.0),
    }
    return {
        name: photo + fault * np.sqrt(wanted / np.mean(fault**2)) for name, fault in faults.items()
    }


def losses(weights: str) -> None:
    """What each loss says of four faults that have the same mean squared error."""

    def tensor(image: np.ndarray) -> Tensor:  # (1, 3, H, W) in [-1, 1]
        return torch.from_numpy(image / 127.5 - 1).permute(2, 0, 1)[None].float()

    photo = data.chelsea()[84:212, 100:228].astype(float)
    bad = distortions(photo)
    vgg = {"weights": weights, "feature_scale": 0.002, "distance": "l1"}
    terms = {
        "MSE": torch.nn.MSELoss(),
        "L1": torch.nn.L1Loss(),
        "wavelet\nbands": WaveletLoss(levels=2),
        "VGG, shallow\n(conv1_2)": VGGLoss(layers=["conv1_2"], **vgg),
        "VGG, deep\n(conv3_4)": VGGLoss(layers=["conv3_4"], **vgg),
    }
    with torch.no_grad():
        values = np.array(
            [
                [float(t(tensor(image), tensor(photo))) for image in bad.values()]
                for t in terms.values()
            ]
        )
    values /= values.max(axis=1, keepdims=True)
    figure = plt.figure(figsize=(9.6, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, len(bad), height_ratios=(1.15, 1))
    for i, (name, image) in enumerate(bad.items()):
        show(
            figure.add_subplot(grid[0, i]),
            image.clip(0, 255).round().astype(np.uint8)[16:112, 16:112],
            name,
        )
    axes = figure.add_subplot(grid[1, :])
    colours = ("#7aa6d6", "#e0a050", "#7fb77e", "#b48ac0")
    for i, (name, colour) in enumerate(zip(bad, colours)):
        axes.bar(
            np.arange(len(terms)) + 0.2 * i - 0.3, values[:, i], 0.18, label=name, color=colour
        )
    axes.set_xticks(range(len(terms)), list(terms))
    axes.set(ylabel="loss, largest = 1", ylim=(0, 1.15))
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.18), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "losses.png")
    print(
        "\n".join(
            f"{t!r:26}" + "  ".join(f"{v:.3f}" for v in line) for t, line in zip(terms, values)
        )
    )


if __name__ == "__main__":
    generator(), discriminator(), training(), average(), outputs()
    losses(sys.argv[1])
