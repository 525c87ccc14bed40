"""Compares our updates of a GAN stage with those of a plain loop, and shows how their cost grows.

    python -m experiments.speed.compare [KEY=VALUE ...]

It is run in the root of the checkout and has the settings of ``python -m sr_gan.bench train``. The
cost of an update is measured for each value of the settings in ``GROWTH``, a variable of the
environment: "data.crop=96,192 data.batch_size=4,16". Without it this is left out.
"""

import logging
import os
import tempfile
from copy import deepcopy
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed.plain_loop import plain_updates
from sr_gan.bench import train
from sr_gan.bench.machine import quiet
from sr_gan.bench.make_photos import make_photos
from sr_gan.bench.result import Result, write_result
from sr_gan.cli import command
from sr_gan.devices import wait
from sr_gan.images.find import list_images
from sr_gan.machine import keep_freed_memory
from sr_gan.settings.build import build
from sr_gan.settings.check import check
from sr_gan.settings.explain import memory_advice
from sr_gan.settings.schema import BenchTrainConfig
from sr_gan.tables import Table

log = logging.getLogger(__name__)

TYPES = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def compare(cfg: DictConfig) -> None:
    """Measures everything, prints tables and writes ``bench.output``.

    Raises:
        UserError: a setting or a photograph is not usable, or memory is full.
    """
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as scratch, quiet():
        cfg.run_dir = scratch
        if cfg.data.train_dir is None:
            make_photos(Path(scratch) / "photos", cfg.bench.photos)
            cfg.data.train_dir, cfg.data.cache_dir = f"{scratch}/photos", scratch
        check(cfg, BenchTrainConfig)
        with memory_advice(cfg):
            result = measure(deepcopy(cfg))
            result["growth"] = growth(cfg)
    write_result(result, describe(result), cfg.bench.output)


def measure(cfg: DictConfig) -> Result:
    """What ``python -m sr_gan.bench train`` measures, the plain loop, and the operations."""
    stage = train.Stage(cfg)
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for number in range(cfg.bench.rounds):  # in turn, as other programs disturb
        seconds["ours"].append(stage.seconds())
        seconds["plain"].append(plain(cfg, stage.device))
        latest = ", ".join(f"{name} {1e3 * times[-1]:.1f}" for name, times in seconds.items())
        log.info("round %d: ms an update: %s", number + 1, latest)
    best = {name: min(times) for name, times in seconds.items()}
    images = cfg.data.batch_size * stage.processes
    with FlopCounterMode(display=False) as flops:
        stage.fit(stage.new_module(), 1)
    dtype = TYPES.get(str(cfg.trainer.precision), torch.float32)
    return {
        **train.details(stage, seconds["ours"]),
        "seconds": seconds,
        "milliseconds": {name: 1e3 * time for name, time in best.items()},
        "images_per_second": {name: images / time for name, time in best.items()},
        "flops": flops.get_total_flops(),
        "flops_per_second": flops.get_total_flops() / best["ours"],
        "matrix_peak": matrix_peak(stage.device, dtype),
    }


def plain(cfg: DictConfig, device: torch.device) -> float:
    """The seconds of an update of the plain loop, in fp32."""
    keep_freed_memory(False)  # such a loop does not ask for it
    updates = plain_updates(
        list_images(Path(cfg.data.train_dir), "data.train_dir"),
        build(cfg.generator),
        build(cfg.discriminator),
        build(cfg.gan.loss),
        cfg.data.crop,
        cfg.scale,
        cfg.data.batch_size,
        cfg.data.workers,
        device,
    )
    for _ in islice(updates, cfg.bench.warm_up):
        pass
    wait(device)
    began = perf_counter()
    for _ in islice(updates, cfg.bench.updates):
        pass
    wait(device)
    return (perf_counter() - began) / int(cfg.bench.updates)


def matrix_peak(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """The operations a second of a large matrix product, the best of those in some seconds."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best, began = 0.0, perf_counter()
    while perf_counter() - began < seconds or best == 0:
        wait(device)
        start = perf_counter()
        a @ b
        wait(device)
        best = max(best, 2 * side**3 / (perf_counter() - start))
    return best


def growth(cfg: DictConfig) -> list[Result]:
    """The seconds of an update for each value of each setting in ``GROWTH``."""
    rows = []
    for setting in os.environ.get("GROWTH", "").split():
        key, _, values = setting.partition("=")
        for value in map(int, values.split(",")):
            changed = deepcopy(cfg)
            OmegaConf.update(changed, key, value)
            check(changed, BenchTrainConfig)
            seconds = train.Stage(changed).seconds()
            rows.append({"key": key, "value": value, "seconds": seconds})
            log.info("%s=%s: %.1f ms an update", key, value, 1e3 * seconds)
    return rows


def describe(result: Result) -> str:
    """The result as Markdown."""
    times, images = result["milliseconds"], result["images_per_second"]
    rows = [
        [name, f"{time:,.1f}", f"{images[name]:,.2f}", f"{times['plain'] / time:.2f}"]
        for name, time in times.items()
    ]
    reached, peak = result["flops_per_second"], result["matrix_peak"]
    ours = {"milliseconds": times["ours"], "images_per_second": images["ours"]}
    lines = [
        Table("", ["way", "ms an update", "images/s", "x plain"], rows).markdown(),
        "",
        train.describe({**result, **ours}),
        "",
        f"An update has {result['flops'] / 1e9:,.0f} GFLOP and runs at {reached / 1e9:,.0f} "
        f"GFLOP/s, {reached / peak:.0%} of the {peak / 1e9:,.0f} that a matrix product reaches.",
    ]
    if result["growth"]:
        rows = [
            [row["key"], str(row["value"]), f"{1e3 * row['seconds']:,.1f}"]
            for row in result["growth"]
        ]
        lines += ["", Table("", ["setting", "value", "ms an update"], rows).markdown()]
    return "\n".join(lines)


if __name__ == "__main__":
    command(compare, "bench_train")
