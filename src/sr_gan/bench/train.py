"""Updates of a GAN stage: how fast, where the time goes, beside a plain loop of the usual kind."""

import json
import logging
import os
import tempfile
from copy import deepcopy
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from sr_gan.bench.clock import PARTS, Clock, Stopwatch, Trace
from sr_gan.bench.machine import matrix_peak, quiet
from sr_gan.bench.make_photos import make_photos, originals
from sr_gan.bench.usual import plain_updates
from sr_gan.devices import wait
from sr_gan.files import atomic_write
from sr_gan.images.find import list_images
from sr_gan.machine import keep_freed_memory
from sr_gan.runs.records import environment
from sr_gan.settings.build import build, build_all
from sr_gan.settings.check import check
from sr_gan.settings.explain import memory_advice
from sr_gan.settings.schema import BenchTrainConfig

log = logging.getLogger(__name__)

Result = dict[str, Any]
_TYPES = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
_TRACED = 10  # updates in a trace
_SIZE = (2040, 1356)  # of DIV2K's photos


def bench_train(cfg: DictConfig) -> None:
    """Measures the updates of ``cfg``'s GAN stage, prints a table and writes ``bench.output``.

    Raises:
        UserError: a setting is of no use.
    """
    log.setLevel(logging.WARNING if int(os.environ.get("RANK", 0)) else logging.INFO)
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as scratch, quiet():
        if cfg.data.train_dir is None:
            log.info("making %d PNG files of %dx%d pixels", cfg.bench.photos, *_SIZE)
            folder = make_photos(originals(None), Path(scratch), cfg.bench.photos, _SIZE)
            cfg.data.train_dir, cfg.data.cache_dir = str(folder), scratch
        cfg.run_dir = scratch
        check(cfg, BenchTrainConfig)
        with memory_advice(cfg):
            result = measure(deepcopy(cfg))  # building resolves what growth changes
            result["growth"] = growth(cfg)
    if log.isEnabledFor(logging.INFO):
        with atomic_write(Path(cfg.bench.output)) as file:
            json.dump(result, file, indent=2)
        log.info("\n%s\n\nwritten to %s", table(result), cfg.bench.output)


def measure(cfg: DictConfig) -> Result:
    """Every number of the bench, but for the growth."""
    bench = cfg.bench
    length = bench.warm_up + bench.updates
    data, module = _made(cfg)
    watch = Stopwatch(bench.warm_up)
    seconds: dict[str, list[float]] = {"ours": []}
    for number in range(bench.rounds):  # in turn: other programs disturb
        trainer = _fit(cfg, module, data, length, *_faster(cfg), watch)
        device = trainer.strategy.root_device  # after the fit, the module is on the CPU
        seconds["ours"].append(watch.seconds / bench.updates)
        if number == 0:
            memory = watch.memory
        if bench.compare:
            seconds.setdefault("plain", []).append(_plain(cfg, device))
        latest = ", ".join(f"{name} {1e3 * times[-1]:.1f}" for name, times in seconds.items())
        log.info("round %d: ms an update: %s", number + 1, latest)
    compiled = module.generator._compiled_call_impl is not None
    module = build(cfg.gan, generator=build(cfg.generator))  # not compiled, so that it can be timed
    with FlopCounterMode(display=False) as flops:
        _fit(cfg, module, data, 1)
    clock = Clock(bench.warm_up)
    _fit(cfg, module, data, length, clock)
    best = {name: min(times) for name, times in seconds.items()}
    traced = trace(cfg, data, best["ours"]) if bench.trace else None
    images = cfg.data.batch_size * trainer.world_size
    precision = str(cfg.trainer.precision)
    return {
        "environment": environment(),
        "settings": {
            "generator": type(module.generator).__name__,
            "content": {name: type(term).__name__ for name, term in module.loss.terms.items()},
            "precision": precision,
            "compiled": compiled,
            "device": str(device),
            "processes": trainer.world_size,
            "feed": data.feed,
            **{key: cfg.data[key] for key in ("batch_size", "crop")},
            "scale": cfg.scale,
            "accumulate": cfg.gan.accumulate,
        },
        "seconds": seconds,
        "milliseconds": {name: 1e3 * time for name, time in best.items()},
        "images_per_second": {name: images / time for name, time in best.items()},
        "split": clock.milliseconds(),
        "flops": flops.get_total_flops(),
        "flops_per_second": flops.get_total_flops() / best["ours"],
        "matrix_peak": matrix_peak(device, _TYPES.get(precision, torch.float32)),
        "peak_memory": memory,
        "trace": traced,
    }


def trace(cfg: DictConfig, data: Any, seconds: float) -> Result:
    """Writes ``bench.trace``; what a GPU is given and computes in an update of so many seconds."""
    recorder = Trace(min(_TRACED, cfg.bench.updates), Path(cfg.bench.trace))
    module = build(cfg.gan, generator=build(cfg.generator))
    length = cfg.bench.warm_up + cfg.bench.updates
    _fit(cfg, module, data, length, *_faster(cfg), recorder)
    return {
        "file": str(recorder.path),
        "kernels": recorder.kernels,
        "milliseconds": 1e3 * recorder.seconds,
        "busy": recorder.seconds / seconds,
    }


def growth(cfg: DictConfig) -> list[Result]:
    """Milliseconds an update for each value of each key of ``bench.growth``."""
    rows = []
    for key, values in (cfg.bench.growth or {}).items():
        for value in values:
            changed = deepcopy(cfg)
            OmegaConf.update(changed, str(key), value)
            check(changed, BenchTrainConfig)
            data, module = _made(changed)
            watch = Stopwatch(cfg.bench.warm_up)
            length = cfg.bench.warm_up + cfg.bench.updates
            _fit(changed, module, data, length, *_faster(changed), watch)
            rows.append(
                {"key": str(key), "value": value, "seconds": watch.seconds / cfg.bench.updates}
            )
            log.info("%s=%s: %.1f ms an update", key, value, 1e3 * rows[-1]["seconds"])
    return rows


def _made(cfg: DictConfig) -> tuple[Any, Any]:
    """The data and the module of a run that is long enough."""
    updates = cfg.bench.warm_up + cfg.bench.updates
    cfg.data.crops_per_epoch = updates * cfg.data.batch_size * int(os.environ.get("WORLD_SIZE", 1))
    data = build(cfg.data)
    data.setup()
    return data, build(cfg.gan, generator=build(cfg.generator))


def _faster(cfg: DictConfig) -> list[L.Callback]:
    """The callbacks that make updates faster, as a run has them."""
    return [build(cfg.callbacks[name]) for name in ("compile", "replay")]


def _fit(
    cfg: DictConfig, module: L.LightningModule, data: Any, updates: int, *callbacks: L.Callback
) -> L.Trainer:
    trainer: L.Trainer = build(
        cfg.trainer,
        max_epochs=1,
        limit_train_batches=updates,
        limit_val_batches=0,
        callbacks=list(callbacks),
        logger=build_all(cfg.logger, "gan"),
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    keep_freed_memory()  # as train.py does
    trainer.fit(module, data)
    return trainer


def _plain(cfg: DictConfig, device: torch.device) -> float:
    """Seconds an update of the plain loop, in fp32."""
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


def table(result: Result) -> str:
    """The result as Markdown."""
    images, times = result["images_per_second"], result["milliseconds"]
    lines = ["| way | ms an update | images/s | x plain |", "| --- | --: | --: | --: |"]
    for name in times:
        ratio = f"{times['plain'] / times[name]:.2f}" if "plain" in times else ""
        lines.append(f"| {name} | {times[name]:,.1f} | {images[name]:,.2f} | {ratio} |")
    whole = sum(result["split"].values())
    lines += ["", "| part of an update | ms | share |", "| --- | --: | --: |"]
    lines += [
        f"| {part} | {result['split'][part]:,.1f} | {result['split'][part] / whole:.1%} |"
        for part in PARTS
    ]
    reached, peak = result["flops_per_second"], result["matrix_peak"]
    lines += [
        "",
        f"{result['flops'] / 1e9:,.0f} GFLOP an update, {reached / 1e9:,.0f} GFLOP/s: "
        f"{reached / peak:.0%} of the {peak / 1e9:,.0f} that a matrix product reaches here",
        f"peak memory {result['peak_memory'] / 1e9:.2f} GB",
    ]
    if result["trace"] and result["trace"]["kernels"]:
        traced = result["trace"]
        lines.append(
            f"the GPU computes {traced['milliseconds']:.1f} ms of an update, {traced['busy']:.0%} "
            f"of its time, in {traced['kernels']:,.0f} kernels"
        )
    if result["growth"]:
        lines += ["", "| setting | value | ms an update |", "| --- | --: | --: |"]
    lines += [
        f"| {row['key']} | {row['value']} | {1e3 * row['seconds']:,.1f} |"
        for row in result["growth"]
    ]
    return "\n".join(lines)
