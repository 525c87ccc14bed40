"""``python -m sr_gan.doctor``: is this machine and this folder fit?

PyTorch takes seconds to import, and may be what is broken, so that the functions below import what
needs it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from hydra import compose
from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.doctor import hardware, material, packages
from sr_gan.doctor.page import Check, Line, examine
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, user_path
from sr_gan.machine import sees_gpu
from sr_gan.settings.check import check
from sr_gan.settings.schema import DoctorConfig

log = logging.getLogger("sr_gan.doctor")


def doctor(cfg: DictConfig) -> None:
    """Prints a line for each check, and writes them if a file is named.

    Raises:
        UserError: a check failed, a setting is not usable, or the page cannot be written.
    """
    settings = check(cfg, DoctorConfig)
    began, lines = time.perf_counter(), []
    with _only_the_page():
        for subject, each in checks(settings):
            for line in examine(subject, each):
                log.info("%s", line)
                lines.append(line)
    failed = [line.subject for line in lines if line.verdict == "FAIL"]
    notes = sum(line.verdict == "note" for line in lines)
    good = len(lines) - notes - len(failed)
    seconds = time.perf_counter() - began
    log.info("\nok %d, notes %d, failed %d, in %.0f s", good, notes, len(failed), seconds)
    if settings["output"] is not None:
        with atomic_write(user_path(settings["output"])) as file:
            file.writelines(f"{line}\n" for line in lines)
    if failed:
        raise UserError(f"{len(failed)} of {len(lines)} checks failed: {', '.join(failed)}")


def checks(settings: dict[str, Any]) -> Iterator[tuple[str, Check]]:
    """The checks in their order, each with the subject that names it if it cannot be done."""
    lpips = settings["lpips"]
    yield "packages", packages.check_packages
    yield "torchvision", packages.check_pair
    yield "CPU", hardware.check_processor
    yield "GPU", hardware.check_gpu
    yield "trainer=auto", lambda: hardware.check_precision(compose("train"))
    yield "memory", hardware.check_memory
    yield "disk", hardware.check_disks
    yield "photos", lambda: material.check_photos(compose("train", ["data=div2k"]))
    yield "networks", partial(material.check_weights, lpips)
    for device in _devices(settings["device"]):
        yield f"metrics {device}", partial(_metrics, device, lpips)
        yield f"train {device}", partial(_training, device, lpips)


@contextmanager
def _only_the_page() -> Iterator[None]:
    """Leaves out what the rooms below and other libraries log."""
    loggers = {log: logging.INFO}
    loggers |= dict.fromkeys((logging.root, logging.getLogger("sr_gan")), logging.ERROR)
    levels = {each: each.level for each in loggers}
    for each, level in loggers.items():
        each.setLevel(level)
    try:
        yield
    finally:
        for each, level in levels.items():
            each.setLevel(level)


def _devices(choice: str) -> list[str]:
    """The devices to compute on: the CPU, and a GPU that PyTorch can use."""
    if choice != "auto":
        return [choice]
    try:
        return ["cpu", "cuda"] if sees_gpu() else ["cpu"]
    except Exception:  # PyTorch cannot be imported, which other lines report
        return ["cpu"]


def _metrics(device: str, lpips: str | None) -> Iterator[Line]:
    from sr_gan.doctor.parity import check_metrics

    yield from check_metrics(device, lpips)


def _training(device: str, lpips: str | None) -> Iterator[Line]:
    from sr_gan.doctor.training import check_training

    yield from check_training(device, lpips)


if __name__ == "__main__":
    command(doctor, "doctor")
