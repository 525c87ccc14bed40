"""torch.compile for the networks of a stage, where it pays and where it works."""

import logging
from time import perf_counter
from typing import Any, Literal, get_args

import lightning as L
import torch
from torch import Tensor

from sr_gan.modules.base import unchanged

log = logging.getLogger(__name__)

When = Literal["auto", "always", "never"]
Mode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
_PAYS = 5_000  # updates: an estimate, not measured on a GPU yet


class CompileNetworks(L.Callback):
    """Compiles generator, discriminator and content losses before the first update.

    They are tried on the first batch. Where compiling fails the run says so and goes on without.
    Validation, whose photos differ in size, is never compiled; neither are checkpoints changed.

    Args:
        when: ``always``, ``never``, or ``auto``: on a GPU, for a stage of 5,000 updates or more.
        mode: of :func:`torch.compile`; ``reduce-overhead`` uses CUDA graphs.

    Raises:
        ValueError: an argument is not one of the allowed values.
    """

    def __init__(self, when: When = "auto", mode: Mode = "default") -> None:
        for name, value, allowed in (("when", when, When), ("mode", mode, Mode)):
            if value not in get_args(allowed):
                choices = ", ".join(get_args(allowed))
                raise ValueError(f"{name} must be one of {choices}, got {value}")
        self.when, self.mode = when, mode
        self.due = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        updates = (trainer.max_epochs or 1) * trainer.num_training_batches
        pays = pl_module.device.type == "cuda" and updates >= _PAYS
        self.due = self.when == "always" or (self.when == "auto" and pays)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.due:
            self.due = False
            self._compile(trainer, pl_module, batch)

    def _compile(self, trainer: L.Trainer, module: Any, batch: dict[str, Tensor]) -> None:
        networks = [getattr(module, name) for name in module.players]
        networks += module.loss.terms.values()
        began = perf_counter()
        for network in networks:
            network.compile(mode=self.mode, dynamic=False)
        try:
            with unchanged(module), trainer.precision_plugin.train_step_context():
                _rehearse(module, batch["lr"], batch["hr"])
        except Exception as error:  # whatever a compiler stumbles over
            for network in networks:
                network._compiled_call_impl = None  # torch has no public way back
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = lines[0].strip() if lines else type(error).__name__
            log.warning("torch.compile failed, going on without: %s", reason)
        else:
            log.info("compiled   %d networks in %.0f s", len(networks), perf_counter() - began)


def _rehearse(module: Any, lr: Tensor, hr: Tensor) -> None:
    """All passes of an update, forward and backward, but no step."""
    sr = module.generator(lr)
    terms = list(module.loss.content(sr, hr).values())
    if "discriminator" in module.players:
        real, fake = module.discriminator(hr), module.discriminator(sr.detach())
        (real.sum() + fake.sum()).backward()
        module.discriminator.requires_grad_(False)
        terms.append(module.discriminator(sr).sum())
    torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
