"""Draws the figures of docs/failures.md: ``python figures.py RUNS OUTPUT``.

RUNS is the folder that run.sh trained into. Figures whose runs are missing are left out.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from sr_gan import Upscaler
from sr_gan.images.resize import downscale
from sr_gan.runs.grid import read_grid
from sr_gan.runs.history import read_run

Pixels = NDArray[np.uint8]  # (H, W, 3)

FACE, EYE = (40, 210, 30, 200), (40, 120, 30, 110)  # top, bottom, left, right in a sample
LEGEND: Any = {"ncols": 2, "fontsize": 7, "frameon": False, "handlelength": 1.2, "columnspacing": 1}
BAD, GOOD, GREY = "tab:red", "tab:blue", "grey"
STUDIES = Path(__file__).parents[1]
PHOTO_MODEL = STUDIES / "photo" / "pretrain.safetensors"
LONG, MODERN = STUDIES / "srgan_400ep" / "small_crops", STUDIES / "srgan_modern"


@dataclass(frozen=True)
class Curve:
    """A metric of a run over the epochs of its last stage; other studies' runs have paths."""

    run: str | Path
    metric: str
    label: str
    colour: str = BAD
    line: str = "-"


@dataclass(frozen=True)
class Chart:
    """Curves with a common vertical axis."""

    unit: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Picture:
    """A column of a run's grid of samples, after its last epoch or after another one.

    The grids of other studies' runs are files.
    """

    run: str | Path
    title: str
    column: str = "SR"
    epoch: int | None = None


@dataclass(frozen=True)
class Failure:
    """Charts, and the same part of some pictures beside them."""

    charts: tuple[Chart, ...]
    pictures: tuple[Picture, ...]
    part: tuple[int, int, int, int] = EYE


def quality(*runs: tuple[str, str, str]) -> Chart:
    """PSNR-Y of some runs, given as (run, label, colour), beside bicubic's."""
    curves = tuple(Curve(run, "quality/psnr_y", *rest) for run, *rest in runs)
    bicubic = Curve(runs[0][0], "quality/psnr_y_bicubic", "bicubic", GREY, ":")
    return Chart("PSNR-Y, dB", (*curves, bicubic))


def answers(run: Path, label: str, colour: str) -> tuple[Curve, Curve]:
    """What the discriminator of a run answers."""
    return (
        Curve(run, "discriminator/real", f"photo, {label}", colour),
        Curve(run, "discriminator/fake", f"generated, {label}", colour, "--"),
    )


PHOTO = Picture("start", "photograph", "HR")
FAILURES = {
    "saturated": Failure(
        (
            Chart(
                "D's mean answer",
                (*answers(LONG, "failed", BAD), *answers(MODERN / "cpu", "cured", GOOD)),
            ),
        ),
        (
            Picture(LONG / "epoch_0120.png", "saturated"),
            Picture(MODERN / "samples.png", "cured"),
            Picture(MODERN / "samples.png", "photograph", "HR"),
        ),
        (10, 110, 0, 100),
    ),
    "checkerboard": Failure(
        (
            Chart(
                "grain",
                (
                    Curve("vgg_only", "quality/grain", "VGG"),
                    Curve("vgg_l1", "quality/grain", "VGG and L1", "tab:orange"),
                    Curve("gan", "quality/grain", "image skip and L1", GOOD),
                ),
            ),
        ),
        (
            Picture("vgg_only", "VGG"),
            Picture("vgg_l1", "VGG and L1"),
            Picture("gan", "skip and L1"),
        ),
    ),
    "grain": Failure(
        (
            Chart(
                "grain",
                (
                    Curve("heavy", "quality/grain", "weight 3e-2"),
                    Curve("gan", "quality/grain", "weight 1e-3", GOOD),
                ),
            ),
        ),
        (Picture("heavy", "weight 3e-2"), Picture("gan", "weight 1e-3"), PHOTO),
    ),
    "colour": Failure(
        (
            Chart(
                "colour shift, grey levels",
                (
                    Curve("vgg_only", "health/colour", "VGG"),
                    Curve("vgg_l1", "health/colour", "VGG and L1", "tab:orange"),
                    Curve("gan", "health/colour", "image skip and L1", GOOD),
                ),
            ),
        ),
        (
            Picture("vgg_only", "VGG, epoch 4", epoch=4),
            Picture("gan", "skip and L1, epoch 4", epoch=4),
            PHOTO,
        ),
        FACE,
    ),
    "collapse": Failure(
        (quality(("collapse", "no content loss", BAD), ("gan", "with L1", GOOD)),),
        (
            Picture("collapse", "epoch 11", epoch=11),
            Picture("collapse", "epoch 16"),
            Picture("gan", "with L1"),
        ),
        FACE,
    ),
    "batchnorm": Failure(
        (quality(("batchnorm", "BatchNorm", BAD), ("no_batchnorm", "without", GOOD)),),
        (Picture("batchnorm", "BatchNorm"), Picture("no_batchnorm", "without"), PHOTO),
        FACE,
    ),
    "overfit": Failure(
        (
            quality(("overfit", "one photo", BAD), ("start", "five photos", GOOD)),
            Chart(
                "training loss",
                (
                    Curve("overfit", "loss/mse", "one photo"),
                    Curve("start", "loss/mse", "five photos", GOOD),
                ),
            ),
        ),
        (Picture("overfit", "one photo"), Picture("start", "five photos")),
    ),
    "rate": Failure(
        (
            quality(
                ("rate_high", "1e-2", BAD),
                ("rate_low", "1e-6", "tab:orange"),
                ("start", "1e-3", GOOD),
            ),
        ),
        (
            Picture("rate_high", "1e-2"),
            Picture("rate_low", "1e-6"),
            Picture("start", "1e-3"),
        ),
    ),
}


def main(runs: str, output: str) -> None:
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    Path(output).mkdir(parents=True, exist_ok=True)
    for name, failure in FAILURES.items():
        sources = {curve.run for chart in failure.charts for curve in chart.curves}
        sources |= {picture.run for picture in failure.pictures}
        paths = [Path(runs) / each for each in sources]
        if all(path.is_file() or (path / "metrics.csv").exists() for path in paths):
            draw(failure, Path(runs), Path(output) / f"{name}.png")
    for name, pictures in by_bundled_models().items():
        figure, axes = plt.subplots(1, len(pictures), figsize=(7, 1.75), layout="constrained")
        show(axes, pictures)
        figure.savefig(Path(output) / f"{name}.png", dpi=130)


def draw(failure: Failure, runs: Path, file: Path) -> None:
    figure = plt.figure(figsize=(7, 2.3), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 0.82 * len(failure.pictures)))
    charts = left.subplots(len(failure.charts), 1, squeeze=False)[:, 0]
    for axes, chart in zip(charts, failure.charts):
        plot(axes, chart, runs)
    axes.set_xlabel("epoch")
    left.legend(*charts[0].get_legend_handles_labels(), loc="outside upper left", **LEGEND)
    top, bottom, start, end = failure.part
    samples = {
        picture.title: sample(picture, runs)[top:bottom, start:end] for picture in failure.pictures
    }
    show(right.subplots(1, len(samples)), samples)
    figure.savefig(file, dpi=130)


def plot(axes: Axes, chart: Chart, runs: Path) -> None:
    for curve in chart.curves:
        stage = read_run(runs / curve.run).final
        assert stage
        epochs, values = zip(*stage.series(curve.metric))
        axes.plot(epochs, values, curve.line, color=curve.colour, label=curve.label)
    axes.set_ylabel(chart.unit)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def sample(picture: Picture, runs: Path) -> Pixels:
    file = runs / picture.run
    if file.is_dir():
        run = read_run(file)
        assert run.final
        files = run.samples(run.final.name)
        file = files[picture.epoch or max(files)]
    return read_grid(file)[picture.column]


def show(row: NDArray[np.object_], pictures: dict[str, Pixels]) -> None:
    for axes, (title, pixels) in zip(row, pictures.items()):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, fontsize=8)
        axes.axis("off")


def by_bundled_models() -> dict[str, dict[str, Pixels]]:
    """The cat, enlarged from its LR image and from others that the models did not learn from."""
    photo = torch.from_numpy(data.chelsea()[:300, :448].copy()).permute(2, 0, 1)[None]
    exact = downscale(photo, 4)
    aliased = F.interpolate(photo.float(), scale_factor=0.25, mode="bicubic", antialias=False)
    aliased = aliased.round().clamp(0, 255).to(torch.uint8)
    models = ("psnr", "gan", str(PHOTO_MODEL))
    psnr, gan, mended = (Upscaler.from_pretrained(name) for name in models)
    return {
        "soft": {
            "pretrained: psnr": cut(psnr(exact[0])),
            "after the GAN stage: gan": cut(gan(exact[0])),
            "photograph": cut(photo[0]),
        },
        "aliased": {
            "reduced without antialiasing": cut(gan(aliased[0])),
            "reduced by the package": cut(gan(exact[0])),
            "photograph": cut(photo[0]),
        },
        "jpeg": {
            "gan, JPEG of quality 40": cut(gan(jpeg(exact, 40))),
            "trained with degradation=photo": cut(mended(jpeg(exact, 40))),
            "photograph": cut(photo[0]),
        },
    }


def cut(image: Tensor) -> Pixels:
    return image[:, 50:140, 110:250].permute(1, 2, 0).numpy()


def jpeg(lr: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(lr[0].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
