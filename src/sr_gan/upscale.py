"""``python -m sr_gan.upscale``: enlarges image files with a trained generator."""

import logging
from time import perf_counter
from typing import Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.images.find import matches
from sr_gan.machine import keep_freed_memory
from sr_gan.runs.folder import find_model
from sr_gan.settings.check import check
from sr_gan.settings.options import Options, Size
from sr_gan.settings.schema import UpscaleConfig
from sr_gan.tables import counted

log = logging.getLogger(__name__)


def upscale(cfg: DictConfig) -> None:
    """Enlarges every image that ``cfg.input`` names, and goes on after one that cannot be read.

    Raises:
        UserError: a setting is not usable, the disk is full, or a file could not be enlarged.
    """
    settings = check(cfg, UpscaleConfig)
    for entry in settings["input"]:
        matches(entry, "input")
    find_model(settings["model"], "model")
    from sr_gan.inference.jobs import plan, run  # imports PyTorch, as all of these do
    from sr_gan.inference.pretrained import load_pretrained
    from sr_gan.inference.upscaler import Upscaler

    suffix = f".{settings['format']}" if settings["format"] else None
    jobs = plan(settings["input"], settings["output"], suffix)
    keep_freed_memory()
    model = load_pretrained(settings["model"], settings["scale"] or 4, allow=settings["allow"])
    upscaler = Upscaler(model, Options.among(settings))
    size = _size(settings, upscaler.scale)
    log.info("model   %s", model.describe())
    due = [job for job in jobs if settings["overwrite"] or not job.target.exists()]
    if len(due) < len(jobs):
        there = f"{len(jobs) - len(due)} of {counted(len(jobs), 'result')}"
        log.info("exist   %s, left as they are; overwrite=true replaces them", there)

    began = perf_counter()
    failed = run(due, upscaler, size, settings["quality"], settings["max_megapixels"])
    done = len(due) - len(failed)
    if done:
        seconds = perf_counter() - began
        log.info("done    %s in %.1f s, in %s", counted(done, "image"), seconds, cfg.output)
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
