"""``python -m sr_gan.interpolate``: generators between a PSNR and a GAN one, compared."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from skimage import data as skimage_data
from torch import Tensor

from sr_gan.cli import command
from sr_gan.data.sources import folder_photos
from sr_gan.errors import UserError
from sr_gan.evaluate import upscaler
from sr_gan.evaluation import scores
from sr_gan.evaluation.measure import folders, measure, perceptual
from sr_gan.files import atomic_write, relative
from sr_gan.images.decode import BadImage
from sr_gan.images.picture import read_picture
from sr_gan.images.resize import downscale
from sr_gan.inference.blend import blend
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.machine import keep_freed_memory
from sr_gan.reports.figures import Point, perception_distortion
from sr_gan.runs.weights import read_weights, save_generator
from sr_gan.settings.check import check
from sr_gan.settings.schema import InterpolateConfig

log = logging.getLogger(__name__)

PATHS = ("a", "b", "benchmark", "photos", "output", "lpips")

_CROP = 192  # HR pixels of the crops on which BN's statistics are taken
_CROPS, _BATCH = 128, 16
_SHOWN = ("psnr_y", "ssim_y", "lpips", "lr_consistency", "colour_shift", "grain")


def interpolate(cfg: DictConfig) -> None:
    """Writes a generator for every alpha, and, on benchmarks, a table and a plot of all.

    Raises:
        UserError: a setting, a model or an image is not usable.
    """
    settings = check(cfg, InterpolateConfig)
    alphas = parse_alphas(settings["alpha"])
    a, b = (_load(settings[name], name) for name in ("a", "b"))
    if a.path is None or b.path is None:
        raise UserError("a and b must be trained generators: bicubic and lanczos have no weights")
    config = read_weights(a.path, "a").config or {}
    output = Path(settings["output"]).expanduser()
    log.info("a  %s\nb  %s", a.describe(), b.describe())
    batches = list(_batches(settings["photos"], a.scale))
    models = []
    for alpha in alphas:
        generator = blend(a.generator, b.generator, alpha, batches)
        path = output / f"alpha_{alpha:.2f}.safetensors"
        save_generator(generator, config, path)
        log.info("written %s", relative(path))
        models.append(Pretrained(f"alpha {alpha:.2f}", generator, path))
    if settings["benchmark"] is None:
        log.info("benchmark=FOLDER measures them all")
        return
    keep_freed_memory()
    upscalers = [upscaler(model, settings) for model in models]
    lpips = perceptual(settings["lpips"], None, upscalers[0].device)
    for folder in folders(settings["benchmark"]):
        _report([measure(each, folder, None, lpips) for each in upscalers], alphas, output)


def _load(model: str, key: str) -> Pretrained:
    try:
        return load_pretrained(model)
    except UserError as error:  # which speaks of model=
        raise UserError(str(error).replace("model=", f"{key}=", 1)) from error


def parse_alphas(text: Any) -> list[float]:
    """``0:1:0.1``, a number or a list of them.

    Raises:
        UserError: it is none of these, or a number is outside [0, 1].
    """
    wrong = f"alpha={text}: give start:stop:step, a number or a list of numbers, from 0 to 1"
    try:
        if isinstance(text, str) and ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            if step <= 0:
                raise UserError(wrong)
            count = int(np.floor((stop - start) / step + 1e-6)) + 1
            values = [round(start + i * step, 6) for i in range(count)]
        else:
            values = [float(value) for value in (text if isinstance(text, list) else [text])]
    except (TypeError, ValueError) as error:
        raise UserError(wrong) from error
    if not values or not all(0 <= value <= 1 for value in values):
        raise UserError(wrong)
    return values


def _batches(folder: str | None, scale: int) -> Iterator[Tensor]:
    """LR images of random crops of photographs: (16, 3, h, w) in [0, 1]."""
    photos = _photos(folder)
    rng = np.random.default_rng(0)
    side = _CROP // scale * scale
    for _ in range(_CROPS // _BATCH):
        crops = []
        for index in rng.integers(len(photos), size=_BATCH):
            photo = photos[index]
            top, left = (rng.integers(size - side + 1) for size in photo.shape[:2])
            crops.append(photo[top : top + side, left : left + side])
        hr = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        yield downscale(hr, scale).float() / 255


def _photos(folder: str | None) -> list[np.ndarray]:
    """uint8 (H, W, 3), large enough to be cropped."""
    if folder is None:
        names = ("astronaut", "chelsea", "coffee", "rocket")
        return [getattr(skimage_data, name)() for name in names]
    path = Path(folder).expanduser()
    photos = []
    for source in folder_photos(path, None, 1, key="photos").sources:
        try:
            pixels = read_picture(source.hr).pixels
        except BadImage as error:
            raise UserError(f"{source.hr}: {error}") from error
        if pixels.dtype == np.uint8 and pixels.shape[2] >= 3 and min(pixels.shape[:2]) >= _CROP:
            photos.append(pixels[..., :3])
    if not photos:
        raise UserError(f"photos={folder}: no colour photo of {_CROP}x{_CROP} pixels or more")
    return photos


def _report(found: list[scores.Evaluation], alphas: list[float], output: Path) -> None:
    """Prints and writes the table of one benchmark, and the plane if there is LPIPS."""
    means = [scores.mean(evaluation.images) for evaluation in found]
    bicubic, where = scores.mean(found[0].bicubic), found[0].benchmark
    rows = {f"{alpha:.2f}": row for alpha, row in zip(alphas, means)} | {"bicubic": bicubic}
    table = as_markdown(rows)
    log.info("\n%s\n\n%s", where, table)
    with atomic_write(output / f"{where}.md") as file:
        file.write(f"# Between two generators, on {where}\n\n{table}\n")
    with atomic_write(output / f"{where}.json") as file:
        json.dump(rows, file, indent=2)
    points = [_point(name, row) for name, row in rows.items() if row.get("lpips") is not None]
    if len(points) == len(rows):
        plot = perception_distortion(points[:-1], points[-1], where)
        with atomic_write(output / f"{plot.name}.png", "wb") as file:
            file.write(plot.png())
    log.info("written %s", relative(output / f"{where}.md"))


def as_markdown(rows: dict[str, scores.Scores]) -> str:
    """The means of every model, by name."""
    titles = [scores.METRICS[key][0] for key in _SHOWN]
    lines = [f"| alpha | {' | '.join(titles)} |", "| --- |" + " --: |" * len(titles)]
    for name, row in rows.items():
        cells = [
            "-" if (value := row.get(key)) is None else f"{value:.{scores.METRICS[key][1]}f}"
            for key in _SHOWN
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _point(name: str, row: scores.Scores) -> Point:
    psnr, lpips = row["psnr_y"], row["lpips"]
    assert psnr is not None
    assert lpips is not None
    return Point(name, psnr, lpips)


if __name__ == "__main__":
    command(interpolate, "interpolate", verbatim=PATHS)
