"""Compiles the networks of a stage with torch.compile if that works and saves time."""

import logging
from functools import partial
from time import perf_counter
from typing import Any, Literal

import lightning as L
import torch

from sr_gan.arguments import checked
from sr_gan.devices import wait

log = logging.getLogger(__name__)

When = Literal["auto", "always", "never"]
Mode = Literal["default", "max-autotune-no-cudagraphs"]
_PAYS = 240.0  # seconds left to train: compiling takes about 60, and may save a quarter of them
_PASSES = 3  # passes that are timed


class CompileNetworks(L.Callback):
    """Compiles generator, discriminator and content losses before the first update.

    They are tried on the first batch. If compiling fails or, with ``auto``, saves no time, the run
    reports it and goes on without. Validation, whose photos differ in size, is never compiled, and
    neither are gradient readings and penalties. Checkpoints do not change.

    Args:
        when: ``always``, ``never``, or ``auto``: on a GPU, if the rest of the stage would take four
            minutes or longer.
        mode: the mode of :func:`torch.compile`. Modes with CUDA graphs are not allowed: the next
            forward pass after a backward pass overwrites a graph's output, but one pass of the
            generator serves both players of a GAN.

    Raises:
        ValueError: an argument is not one of the allowed values.
    """

    @checked
    def __init__(self, when: When = "auto", mode: Mode = "default") -> None:
        self.when, self.mode = when, mode
        self.due = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _undo(_networks(pl_module))  # the stage before may have compiled the generator
        on_gpu = pl_module.device.type == "cuda"
        self.due = self.when == "always" or (self.when == "auto" and on_gpu)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if not self.due:
            return
        self.due = False
        module: Any = pl_module
        module.rehearse(batch)  # allocates memory and chooses algorithms
        eager = trainer.strategy.broadcast(_seconds(module, batch))  # all processes decide alike
        epochs = (trainer.max_epochs or 1) - trainer.current_epoch
        updates = epochs * int(trainer.num_training_batches) - batch_idx
        if self.when == "always" or updates * eager >= _PAYS:
            self._compile(trainer, module, batch, eager)

    def _compile(self, trainer: L.Trainer, module: Any, batch: Any, eager: float) -> None:
        networks = _networks(module)
        torch._dynamo.config.suppress_errors = False
        began = perf_counter()
        for network in networks:
            network.compile(mode=self.mode, dynamic=False)
        compiling, compiled, reason = 0.0, 0.0, "another process could not"
        try:
            module.rehearse(batch)
            compiling = perf_counter() - began
            compiled = _seconds(module, batch)
        except Exception as error:  # a compiler may raise anything
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = lines[0].strip() if lines else type(error).__name__
        if not trainer.strategy.reduce_boolean_decision(compiled > 0):
            _undo(networks)
            log.warning("torch.compile failed, going on without: %s", reason)
            return
        compiled = trainer.strategy.broadcast(compiled)
        times = f"{1e3 * compiled:.1f} ms per pass, {1e3 * eager:.1f} without"
        if self.when == "auto" and compiled > eager:
            _undo(networks)
            log.info("compiled   %d networks, not faster (%s): not used", len(networks), times)
            return
        torch._dynamo.config.suppress_errors = True  # a graph that fails later runs uncompiled
        log.info("compiled   %d networks in %.0f s: %s", len(networks), compiling, times)


def _networks(module: Any) -> list[Any]:
    return [*(getattr(module, name) for name in module.players), *module.loss.terms.values()]


def _undo(networks: list[Any]) -> None:
    for network in networks:
        network._compiled_call_impl = None  # torch has no public function for this


def _seconds(module: Any, batch: Any) -> float:
    """Returns the seconds that the passes of an update take, replayed if updates will be."""
    passes = partial(module.rehearse, batch)
    replay = getattr(module, "replay", None)
    if replay and replay.works:
        passes = replay.repeated(passes)
    wait(module.device)
    began = perf_counter()
    for _ in range(_PASSES):
        passes()
    wait(module.device)
    return (perf_counter() - began) / _PASSES
