"""``python -m sr_gan.evaluate``: measures models on folders of photographs."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import check_writable, real, relative, shortened, user_path
from sr_gan.machine import return_freed_memory
from sr_gan.runs.folder import find_model
from sr_gan.settings.build import build
from sr_gan.settings.check import check
from sr_gan.settings.measures import Measures
from sr_gan.settings.options import Options
from sr_gan.settings.schema import EvaluateConfig

if TYPE_CHECKING:
    from sr_gan.evaluation.contestants import Contestant
    from sr_gan.evaluation.measure import Benchmark
    from sr_gan.inference.pretrained import Pretrained

log = logging.getLogger(__name__)

_BICUBIC = "bicubic"  # with which everything is compared


def evaluate(cfg: DictConfig) -> None:
    """Measures ``cfg.model`` and ``cfg.sr`` on each benchmark, prints and writes the tables.

    Raises:
        UserError: a setting, a model or an image is not usable. Images that are not are named at
            the end, when the others are measured.
    """
    settings = check(cfg, EvaluateConfig)
    names = settings["model"] or ([] if settings["sr"] else [None])
    for name in names:
        find_model(name, "model")
    kinds = asked_kinds(cfg)
    # These import PyTorch.
    from sr_gan.evaluation import scores
    from sr_gan.evaluation.contestants import Model, Pictures
    from sr_gan.evaluation.journal import Journal
    from sr_gan.evaluation.measure import benchmarks, measure, refuse_left_out
    from sr_gan.evaluation.pictures import find_pictures
    from sr_gan.evaluation.suite import suite
    from sr_gan.inference.pretrained import load_pretrained
    from sr_gan.inference.upscaler import Upscaler
    from sr_gan.reports import slider

    models = [load_pretrained(name, settings["scale"], allow=settings["allow"]) for name in names]
    scale = _common_scale(models, settings["scale"])
    sets = benchmarks(settings["benchmark"], scale, kinds, settings["lr"])
    folders = [user_path(folder) for folder in settings["sr"] or []]
    upscalers = [Upscaler(model, Options.among(settings)) for model in models]
    if all(model.name != _BICUBIC or model.path for model in models):  # to compare with
        plain = Options(device=settings["device"])
        upscalers.append(Upscaler(load_pretrained(_BICUBIC, scale), plain))
    called = _names([each.model for each in upscalers], folders, sets)
    output = _output(settings, models, called[: len(models)] + called[len(upscalers) :])
    contestants = [Model(name, upscaler) for name, upscaler in zip(called, upscalers)]
    measures = suite(scale, upscalers[0].device, Measures.among(settings))
    if measures.has_vgg:
        return_freed_memory()  # else there are 0.7 GB of gaps
    for model in models:
        log.info("model   %s", model.describe())
    check_writable([output / "scores"], f"output={output}")
    pictures = [
        [
            Pictures(name, find_pictures(each.photos, _part(folder, each), "sr"), scale)
            for name, folder in zip(called[len(upscalers) :], folders)
        ]
        for each in sets
    ]
    left_out: list[str] = []
    done: list[Journal] = []  # if a later benchmark is stopped, the first ones need not be repeated
    for benchmark, found in zip(sets, pictures):
        # Bicubic comes last if it is only there to compare with.
        every: list[Contestant] = [*contestants[: len(models)], *found, *contestants[len(models) :]]
        journal = Journal(output / shortened(benchmark.name, ".unfinished.jsonl"))
        try:
            evaluation, unusable = measure(every, measures, benchmark, journal, settings["page"])
        except BaseException:  # such as Ctrl-C
            log.info("kept    what has been measured; the same command goes on")
            raise
        left_out += unusable
        if any(evaluation.models.values()):
            files = scores.write(evaluation, output)
            if settings["page"]:
                files.append(slider.write(evaluation, output))
            log.info("\n%s\n", scores.as_text(evaluation))
            log.info("written %s", ", ".join(str(relative(path)) for path in files))
        if not unusable:
            done.append(journal)
    for journal in done:
        journal.forget()
    refuse_left_out(left_out)


def asked_kinds(cfg: DictConfig) -> list[str | None]:
    """The kinds of LR images to measure; None are images that are reduced exactly, or given.

    Raises:
        UserError: the degradation is another one, or contradicts the LR images that are given.
    """
    from sr_gan.data.degradation import Exact, Kinds

    degradation = build(cfg.degradation)
    if isinstance(degradation, Exact):
        return [None]
    if not isinstance(degradation, Kinds):
        raise UserError(
            "degradation is drawn at random, for training: allowed are bicubic, kinds, and a list "
            "of kinds such as jpeg75,noise10"
        )
    for key in ("lr", "sr"):
        if cfg[key] is not None:
            what = "LR images that are given stay as they are"
            if key == "sr":
                what = "SR pictures were made of LR images that are not known here"
            raise UserError(f"degradation and {key} contradict: {what}")
    return list(degradation.names)


def _names(
    models: "Sequence[Pretrained]", folders: Sequence[Path], sets: "Sequence[Benchmark]"
) -> list[str]:
    """Returns the names of models and of folders of pictures in tables, no two of them alike.

    A folder that is named as a benchmark, such as ``EDSR/Set5``, has the name of the one above it.

    Raises:
        UserError: one is given several times.
    """
    benchmarks = {each for one in sets for each in (one.name, real(one.photos.root).name)}
    places = [real(folder) for folder in folders]
    short = [place.parent.name if place.name in benchmarks else place.name for place in places]
    at = [str(model.path or model.name) for model in models]
    given = [(f"model={model.name}", place) for model, place in zip(models, at)]
    for (what, _), number in Counter([*given, *((f"sr={each}", "") for each in folders)]).items():
        if number > 1:
            raise UserError(f"{what} is given {number} times: name it once")
    alike = Counter(model.name for model in models)
    called = [model.name if alike[model.name] == 1 else at[i] for i, model in enumerate(models)]
    times = Counter([*called, *short])
    return called + [
        name if name and times[name] == 1 else f"sr={folder}"
        for name, folder in zip(short, folders)
    ]


def _part(folder: Path, benchmark: "Benchmark") -> Path:
    """The folder of the pictures of a benchmark: that of its name, if there is one."""
    names = (benchmark.name, real(benchmark.photos.root).name)
    return next((part for name in names if (part := folder / name).is_dir()), folder)


def _common_scale(models: "Sequence[Pretrained]", scale: int) -> int:
    """Returns the scale factor of all models.

    Raises:
        UserError: they differ.
    """
    scales = {model.scale for model in models}
    if len(scales) > 1:
        each = ", ".join(f"{model.name} x{model.scale}" for model in models)
        raise UserError(
            f"model is {each}: models of one scale factor are compared (scale=N is that of bicubic "
            "and lanczos)"
        )
    return scales.pop() if scales else scale


def _output(
    settings: dict[str, Any], models: "Sequence[Pretrained]", called: Sequence[str]
) -> Path:
    """The folder of the tables: in the run that the model is from, where its report finds them."""
    if settings["output"] is not None:
        return user_path(settings["output"])
    path = models[0].path if len(called) == len(models) == 1 else None
    if path is not None and path.parent.parent.name == "checkpoints":
        return path.parents[2] / "evaluation"
    return Path("evaluations") / shortened("+".join(called).replace(os.sep, "_"), "")


if __name__ == "__main__":
    command(evaluate, "evaluate")
