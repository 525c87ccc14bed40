"""Measures the updates of a GAN stage: how fast they are, and where their time goes."""

import logging
import os
from pathlib import Path
from typing import Any

import lightning as L
from omegaconf import DictConfig

from sr_gan.bench.clock import PARTS, Clock, Stopwatch, Trace
from sr_gan.bench.machine import quiet
from sr_gan.bench.result import Result
from sr_gan.machine import keep_freed_memory
from sr_gan.settings.build import build, build_all
from sr_gan.tables import Table

log = logging.getLogger(__name__)

_TRACED = 10  # updates in a trace


def measure(cfg: DictConfig) -> Result:
    """Measures the updates of the GAN stage that checked settings of ``BenchTrainConfig`` describe.

    Raises:
        UserError: a setting or a photograph is not usable.
    """
    with quiet():
        stage, seconds = Stage(cfg), []
        for number in range(cfg.bench.rounds):
            seconds.append(stage.seconds())
            log.info("round %d: %.1f ms per update", number + 1, 1e3 * seconds[-1])
        return details(stage, seconds)


class Stage:
    """A GAN stage as a training builds it, without validation and checkpoints.

    After a fit, ``device`` and ``processes`` are those of the training.

    Args:
        cfg: the settings of ``BenchTrainConfig``. The epochs get the length of a round.

    Raises:
        UserError: a setting or a photograph is not usable.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg, self.length = cfg, cfg.bench.warm_up + cfg.bench.updates
        processes = int(os.environ.get("WORLD_SIZE", 1))
        cfg.data.crops_per_epoch = self.length * cfg.data.batch_size * processes
        self.data = build(cfg.data)
        self.data.setup()
        self.module = self.new_module()
        self.memory = 0  # the peak of the first round in bytes
        self.replayed = False  # whether the last updates were CUDA graphs

    def new_module(self) -> Any:
        """The networks and the losses anew, not compiled."""
        return build(self.cfg.gan, generator=build(self.cfg.generator))

    def seconds(self) -> float:
        """The seconds of an update in one round, as fast as a training makes it."""
        watch = Stopwatch(self.cfg.bench.warm_up)
        self.fit(self.module, self.length, *self.faster(), watch)
        self.memory, self.replayed = self.memory or watch.memory, watch.replayed
        return watch.seconds / int(self.cfg.bench.updates)

    def faster(self) -> list[L.Callback]:
        """The callbacks of a training that make its updates faster."""
        return [build(self.cfg.callbacks[name]) for name in ("compile", "replay")]

    def fit(self, module: L.LightningModule, updates: int, *callbacks: L.Callback) -> None:
        """Trains a module for so many updates."""
        trainer: L.Trainer = build(
            self.cfg.trainer,
            max_epochs=1,
            limit_train_batches=updates,
            limit_val_batches=0,
            callbacks=list(callbacks),
            logger=build_all(self.cfg.logger, "gan"),
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        keep_freed_memory()  # as a training does
        trainer.fit(module, self.data)
        self.device = trainer.strategy.root_device  # after the fit the module is on the CPU
        self.processes = trainer.world_size


def details(stage: Stage, seconds: list[float]) -> Result:
    """The speed, the memory and the parts of an update.

    ``seconds`` are those of an update in each of the stage's rounds, of which the best counts.
    """
    cfg, best = stage.cfg, min(seconds)
    module = stage.new_module()  # the clock cannot see into one that is compiled
    clock = Clock(cfg.bench.warm_up)
    stage.fit(module, stage.length, clock)
    return {
        "settings": {
            "generator": type(module.generator).__name__,
            "content": {name: type(term).__name__ for name, term in module.loss.terms.items()},
            "precision": str(cfg.trainer.precision),
            "replayed": stage.replayed,
            "compiled": stage.module.generator._compiled_call_impl is not None,
            "device": str(stage.device),
            "processes": stage.processes,
            "feed": stage.data.feed,
            **{key: cfg.data[key] for key in ("batch_size", "crop")},
            "scale": cfg.scale,
            "accumulate": cfg.gan.accumulate,
        },
        "seconds": seconds,
        "milliseconds": 1e3 * best,
        "images_per_second": cfg.data.batch_size * stage.processes / best,
        "split": clock.milliseconds(),
        "peak_memory": stage.memory,
        "trace": _trace(stage, best) if cfg.bench.trace else None,
    }


def _trace(stage: Stage, seconds: float) -> Result:
    """Writes a trace, and returns what a GPU does in an update that takes so many seconds."""
    recorder = Trace(min(_TRACED, stage.cfg.bench.updates), Path(stage.cfg.bench.trace))
    stage.fit(stage.new_module(), stage.length, *stage.faster(), recorder)
    return {
        "file": str(recorder.path),
        "kernels": recorder.kernels,
        "milliseconds": 1e3 * recorder.seconds,
        "busy": recorder.seconds / seconds,
    }


def describe(result: Result) -> str:
    """The result as Markdown."""
    split, trace = result["split"], result["trace"]
    whole = sum(split.values())
    rows = [[part, f"{split[part]:,.1f}", f"{split[part] / whole:.1%}"] for part in PARTS]
    text = (
        f"An update takes {result['milliseconds']:,.1f} ms: {result['images_per_second']:,.2f} "
        f"images/s. The peak memory is {result['peak_memory'] / 1e9:.2f} GB.\n\n"
        f"{Table('', ['part of an update', 'ms', 'share'], rows).markdown()}"
    )
    if trace and trace["kernels"]:
        text += (
            f"\n\nThe GPU computes {trace['milliseconds']:.1f} ms of an update, "
            f"{trace['busy']:.0%} of its time, in {trace['kernels']:,.0f} kernels."
        )
    return text
