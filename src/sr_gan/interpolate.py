"""``python -m sr_gan.interpolate``: generators between a PSNR and a GAN one, compared."""

import logging
from math import floor
from typing import Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import check_writable, relative, user_path
from sr_gan.machine import keep_freed_memory
from sr_gan.runs.folder import find_weights
from sr_gan.settings.check import check
from sr_gan.settings.measures import Measures
from sr_gan.settings.options import Options
from sr_gan.settings.schema import InterpolateConfig

log = logging.getLogger(__name__)

_MOST = 1000  # mixtures


def interpolate(cfg: DictConfig) -> None:
    """Writes a generator for every alpha, and on benchmarks a table and a plot of all.

    Raises:
        UserError: a setting, a model or an image is not usable.
    """
    settings = check(cfg, InterpolateConfig)
    alphas = parse_alphas(settings["alpha"])
    paths = [find_weights(settings[key], key, unfinished=("last.ckpt",)) for key in ("a", "b")]
    output = user_path(settings["output"])
    check_writable([output / "alpha"], f"output={output}")
    from sr_gan.evaluation.contestants import Model  # imports PyTorch, as most of these do
    from sr_gan.evaluation.measure import benchmarks, measure, refuse_left_out
    from sr_gan.evaluation.suite import suite
    from sr_gan.inference.blend import blend, calibration_batches
    from sr_gan.inference.pretrained import Pretrained, load_pretrained
    from sr_gan.inference.upscaler import Upscaler
    from sr_gan.reports import mixtures
    from sr_gan.runs.weights import read_weights, save_generator

    a, b = (load_pretrained(settings[key], key=key, allow=settings["allow"]) for key in ("a", "b"))
    config = read_weights(paths[0], "a").config or {}
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
    models.append(load_pretrained("bicubic", a.scale))
    options = Options(device=settings["device"], precision="fp32")  # as in evaluate
    upscalers = [Upscaler(model, options) for model in models]
    names = [*(f"{alpha:.2f}" for alpha in alphas), "bicubic"]
    contestants = [Model(name, upscaler) for name, upscaler in zip(names, upscalers)]
    measures = suite(a.scale, upscalers[0].device, Measures(lpips=settings["lpips"]))
    left_out: list[str] = []
    for benchmark in benchmarks(settings["benchmark"], a.scale):
        evaluation, unusable = measure(contestants, measures, benchmark)
        left_out += unusable
        if any(evaluation.models.values()):
            mixtures.write(evaluation, output)
    refuse_left_out(left_out)


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
            if count > _MOST:
                raise UserError(f"alpha={text} are {count:,} mixtures: allowed are {_MOST:,}")
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
