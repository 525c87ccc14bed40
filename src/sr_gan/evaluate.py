"""``python -m sr_gan.evaluate``: measures a model on folders of photographs."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import check_writable, relative, user_path
from sr_gan.machine import keep_freed_memory
from sr_gan.runs.folder import find_model
from sr_gan.settings.build import build
from sr_gan.settings.check import check
from sr_gan.settings.options import Options
from sr_gan.settings.schema import EvaluateConfig

if TYPE_CHECKING:
    from sr_gan.inference.pretrained import Pretrained

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> None:
    """Measures ``cfg.model`` on each benchmark, prints the tables and writes them.

    Raises:
        UserError: a setting, the model or an image is not usable.
    """
    settings = check(cfg, EvaluateConfig)
    find_model(settings["model"], "model")
    from sr_gan.evaluation import scores  # imports PyTorch, as all of these do
    from sr_gan.evaluation.measure import measure, measure_kinds, perceptual
    from sr_gan.inference.pretrained import load_pretrained
    from sr_gan.inference.upscaler import Upscaler

    kinds = asked_kinds(cfg)
    model = load_pretrained(settings["model"], settings["scale"], allow=settings["allow"])
    upscaler = Upscaler(model, Options.among(settings))
    lpips = perceptual(settings["lpips"], settings["lpips_squeeze"], upscaler.device)
    keep_freed_memory()  # not earlier, as building AlexNet frees its classifier of 230 MB
    log.info("model   %s", model.describe())
    output = _output(settings["output"], model)
    check_writable([output / "scores"], f"output={output}")
    names: list[str] = []
    for benchmark in settings["benchmark"]:
        evaluation = (
            measure_kinds(upscaler, benchmark, kinds, lpips)
            if kinds
            else measure(upscaler, benchmark, settings["lr"], lpips)
        )
        names.append(evaluation.benchmark)
        if (number := names.count(names[-1])) > 1:  # two folders of one name have their own files
            evaluation = replace(evaluation, benchmark=f"{names[-1]}_{number}")
        files = scores.write(evaluation, output)
        log.info("\n%s\n", evaluation.table().plain())
        log.info("written %s", ", ".join(str(relative(path)) for path in files))


def asked_kinds(cfg: DictConfig) -> list[str]:
    """The kinds of LR images to measure; none where they are reduced exactly.

    Raises:
        UserError: the degradation is another one, or contradicts the LR images that are given.
    """
    from sr_gan.data.degradation import Exact, Kinds

    degradation = build(cfg.degradation)
    if isinstance(degradation, Exact):
        return []
    if not isinstance(degradation, Kinds):
        raise UserError("degradation is drawn at random, for training: allowed are bicubic, kinds")
    if cfg.lr is not None:
        raise UserError("degradation and lr contradict: LR images that are given stay as they are")
    return degradation.names


def _output(output: str | None, model: "Pretrained") -> Path:
    """The folder of the tables: in the run that the model is from, where its report finds them."""
    if output is not None:
        return user_path(output)
    if model.path is not None and model.path.parent.parent.name == "checkpoints":
        return model.path.parents[2] / "evaluation"
    return Path("evaluations") / model.name


if __name__ == "__main__":
    command(evaluate, "evaluate")
