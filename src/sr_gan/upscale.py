"""``python -m sr_gan.upscale``: enlarges image files with a trained generator."""

import logging
from math import ceil
from time import perf_counter
from typing import Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import check_writable, printable
from sr_gan.inference.plan import plan
from sr_gan.machine import keep_freed_memory
from sr_gan.runs.folder import find_model
from sr_gan.settings.check import check
from sr_gan.settings.options import Options, Size
from sr_gan.settings.schema import UpscaleConfig
from sr_gan.tables import counted, listed

log = logging.getLogger(__name__)


def upscale(cfg: DictConfig) -> None:
    """Enlarges every image that ``cfg.input`` names, and goes on after one that cannot be read.

    Raises:
        UserError: a setting is not usable, the results cannot be written, or a file could not be
            enlarged.
    """
    settings = check(cfg, UpscaleConfig)
    suffix = f".{settings['format']}" if settings["format"] else None
    jobs = plan(settings["input"], settings["output"], suffix)
    done = {job for job in jobs if job.is_done and not settings["overwrite"]}
    due = [job for job in jobs if job not in done]
    check_writable((job.target for job in due), f"output={settings['output']}")
    find_model(settings["model"], "model")
    from sr_gan.inference.jobs import run  # imports PyTorch, as all of these do
    from sr_gan.inference.pretrained import load_pretrained
    from sr_gan.inference.upscaler import Upscaler

    keep_freed_memory()
    own = max(4, ceil(settings["outscale"] or 4))  # of bicubic and lanczos
    model = load_pretrained(settings["model"], settings["scale"] or own, allow=settings["allow"])
    upscaler = Upscaler(model, Options.among(settings))
    size = _size(settings, upscaler.scale)
    log.info("model   %s", model.describe())
    if done:
        there = f"{len(done)} of {counted(len(jobs), 'result')}"
        log.info("exist   %s, left alone; overwrite=true replaces them", there)
    older = sorted(printable(job.target) for job in done if job.is_outdated)
    if older:
        log.warning("older   than the images of these names: %s", listed(older, 5))

    began = perf_counter()
    failed = run(due, upscaler, size, settings["quality"], settings["max_megapixels"])
    if made := len(due) - len(failed):
        seconds = perf_counter() - began
        log.info("done    %s in %.1f s, in %s", counted(made, "image"), seconds, cfg.output)
    if failed and len(due) == 1:
        raise UserError(failed[0])
    if failed:
        raise UserError(f"{len(failed)} of {len(due)} images failed, see above")


def _size(settings: dict[str, Any], scale: int) -> Size:
    """The size that the settings ask for; ``scale`` is the network's factor."""
    size, asked = Size.among(settings), settings["scale"]
    if asked in (None, scale):
        return size
    if size != Size():
        raise UserError(f"scale={asked} and {size.describe()}: give one of them")
    if asked > scale:
        raise UserError(f"scale={asked}: this model enlarges by {scale} at most")
    return Size(outscale=asked)


if __name__ == "__main__":
    command(upscale, "upscale")
