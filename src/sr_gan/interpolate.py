"""``python -m sr_gan.interpolate``: generators between a PSNR and a GAN one, compared."""

import logging
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import relative
from sr_gan.machine import keep_freed_memory
from sr_gan.settings.check import check
from sr_gan.settings.options import Options
from sr_gan.settings.schema import InterpolateConfig

if TYPE_CHECKING:
    from sr_gan.inference.pretrained import Pretrained

log = logging.getLogger(__name__)


def interpolate(cfg: DictConfig) -> None:
    """Writes a generator for every alpha, and on benchmarks a table and a plot of all.

    Raises:
        UserError: a setting, a model or an image is not usable.
    """
    settings = check(cfg, InterpolateConfig)
    alphas = parse_alphas(settings["alpha"])
    from sr_gan.evaluation.measure import folders, measure, perceptual  # imports PyTorch
    from sr_gan.inference import Upscaler
    from sr_gan.inference.blend import blend, calibration_batches
    from sr_gan.inference.pretrained import Pretrained
    from sr_gan.reports import mixtures
    from sr_gan.runs.weights import read_weights, save_generator

    a, b = (_load(settings[name], name) for name in ("a", "b"))
    if a.path is None or b.path is None:
        raise UserError("a and b must be trained generators: bicubic and lanczos have no weights")
    config = read_weights(a.path, "a").config or {}
    output = Path(settings["output"]).expanduser()
    log.info("a  %s\nb  %s", a.describe(), b.describe())
    batches = list(calibration_batches(settings["photos"], a.scale))
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
    upscalers = [Upscaler(model, Options.among(settings)) for model in models]
    lpips = perceptual(settings["lpips"], None, upscalers[0].device)
    for folder in folders(settings["benchmark"]):
        found = [measure(each, folder, None, lpips) for each in upscalers]
        mixtures.write(found, [f"{alpha:.2f}" for alpha in alphas], output)


def _load(model: str, key: str) -> "Pretrained":
    from sr_gan.inference.pretrained import load_pretrained

    try:
        return load_pretrained(model)
    except UserError as error:  # which speaks of model=
        raise UserError(str(error).replace("model=", f"{key}=", 1)) from error


def parse_alphas(text: Any) -> list[float]:
    """The numbers of ``0:1:0.1``, of a number or of a list of numbers.

    Raises:
        UserError: the text is none of these, or a number is outside [0, 1].
    """
    wrong = f"alpha={text}: give start:stop:step, a number or a list of numbers, from 0 to 1"
    try:
        if isinstance(text, str) and ":" in text:
            start, stop, step = (float(part) for part in text.split(":"))
            if step <= 0:
                raise UserError(wrong)
            count = floor((stop - start) / step + 1e-6) + 1
            values = [round(start + i * step, 6) for i in range(count)]
        else:
            values = [float(value) for value in (text if isinstance(text, list) else [text])]
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(wrong) from error
    if not values or not all(0 <= value <= 1 for value in values):
        raise UserError(wrong)
    return values


if __name__ == "__main__":
    command(interpolate, "interpolate")
