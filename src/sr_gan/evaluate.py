"""``python -m sr_gan.evaluate``: measures a model on folders of photographs."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.data.degradation import Exact, Kinds
from sr_gan.errors import UserError
from sr_gan.evaluation import scores
from sr_gan.evaluation.measure import folders, measure, measure_kinds, perceptual
from sr_gan.files import relative
from sr_gan.inference import Upscaler
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.inference.upscaler import Options
from sr_gan.machine import keep_freed_memory
from sr_gan.settings.build import build
from sr_gan.settings.check import check
from sr_gan.settings.schema import EvaluateConfig

log = logging.getLogger(__name__)


PATHS = (
    "model",
    "benchmark",
    "lr",
    "output",
    "lpips",
    "lpips_squeeze",
)  # settings whose values are taken as they are


def evaluate(cfg: DictConfig) -> None:
    """Measures ``cfg.model`` on each benchmark, prints the tables and writes them.

    Raises:
        UserError: a setting, the model or an image is not usable.
    """
    settings = check(cfg, EvaluateConfig)
    kinds = asked_kinds(cfg)
    model = load_pretrained(settings["model"], settings["scale"])
    keep_freed_memory()
    enlarger = upscaler(model, settings)
    lpips = perceptual(settings["lpips"], settings["lpips_squeeze"], enlarger.device)
    log.info("model   %s", model.describe())
    for folder in folders(settings["benchmark"]):
        evaluation = (
            measure_kinds(enlarger, folder, kinds, lpips)
            if kinds
            else measure(enlarger, folder, settings["lr"], lpips)
        )
        files = scores.write(evaluation, _output(settings["output"], model))
        log.info("\n%s\n", scores.as_text(evaluation))
        log.info("written %s", ", ".join(str(relative(path)) for path in files))


def upscaler(model: Pretrained, settings: dict[str, Any]) -> Upscaler:
    """An upscaler by those of ``settings`` that are its options.

    Raises:
        UserError: a setting is not allowed, or the device is not there.
    """
    try:
        options = {key: settings[key] for key in Options.__dataclass_fields__ if key in settings}
        return Upscaler(model, Options(**options))
    except ValueError as error:
        raise UserError(str(error)) from error


def asked_kinds(cfg: DictConfig) -> list[str]:
    """The kinds of LR images to measure; none where they are to be exact or are given.

    Raises:
        UserError: the degradation is another one, or contradicts the LR images that are given.
    """
    degradation = build(cfg.degradation)
    if isinstance(degradation, Exact):
        return []
    if not isinstance(degradation, Kinds):
        raise UserError("degradation is drawn at random, for training: allowed are bicubic, kinds")
    if cfg.lr is not None:
        raise UserError("degradation and lr contradict: LR images that are given stay as they are")
    return degradation.names


def _output(output: str | None, model: Pretrained) -> Path:
    """Beside the run that the model is from, so that its report finds it."""
    if output is not None:
        return Path(output).expanduser()
    if model.path is not None and model.path.parent.parent.name == "checkpoints":
        return model.path.parents[2] / "evaluation"
    return Path("evaluations") / model.name


if __name__ == "__main__":
    command(evaluate, "evaluate", verbatim=PATHS)
