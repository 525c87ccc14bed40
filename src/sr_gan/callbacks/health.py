"""Watches the two players of a GAN, reports how they fare, and intervenes where asked."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_only
from pydantic import PositiveInt
from torch import Tensor, nn

from sr_gan.arguments import checked
from sr_gan.modules import GAN
from sr_gan.modules.base import gradient_norm, unchanged
from sr_gan.runs.health import STATES, Reading, State, classify, explain, look_like_photos

_report = rank_zero_only(logging.getLogger(__name__).info)

_RAREST = 16  # the discriminator learns in at least one of so many updates
_NOISE = 0.1  # standard deviation of the added instance noise, in units of [-1, 1]
_MOST_RETURNS = 3
_KEPT = 16  # the latest readings
_STATE = ("state", "looked_like_photos", "strength", "returns", "sums", "count")  # and readings
_CHANGES: dict[State, int] = {"discriminator winning": 1, "saturated": 1, "oscillating": 0}


class Health(L.Callback):
    """Classifies the state of a GAN stage from the discriminator's answers and the images.

    Every ``every`` updates it takes a reading: the means of the discriminator's answers, and how
    far the contrast and the colours of the generated images are from those of the photographs. It
    logs ``health/contrast``, ``health/colour`` and the state as ``health/state``, which is the
    state's position in ``sr_gan.runs.health.STATES``. At a reading it also logs, as
    ``gradient/<term>``, the norm of each weighted term's gradient at the generator's output. A
    change of the state is reported in one sentence, with the setting that usually helps. A pretrain
    is not watched.

    With ``intervene``, while the discriminator wins, its updates become rarer by a factor of two at
    each reading; then its learning rate falls; then instance noise is added. This is undone step by
    step once it does not win any more. After a collapse or a divergence the run returns to the last
    healthy state, which is kept in ``path``, and goes on with half the learning rates, at most
    three times.

    Args:
        path: where the last healthy state is kept, if ``intervene``.
        every: the number of updates between two readings.
        intervene: whether to intervene, or only to report.

    Raises:
        ValueError: ``every`` is below 1.
    """

    @checked
    def __init__(self, path: str, every: PositiveInt = 50, intervene: bool = False) -> None:
        self.path, self.every, self.intervene = Path(path), every, intervene
        self.state: State = "healthy"
        self.readings: list[Reading] = []
        self.looked_like_photos = False  # at any reading so far
        self.sums: Tensor | None = None  # on the device, until the next reading
        self.count = 0
        self.strength = 0  # how far the discriminator is being held back
        self.returns = 0
        self.returned: int | None = None  # the epoch of the last return

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.sums is not None:  # checkpoints are read into the host's memory
            self.sums = self.sums.to(pl_module.device)
        if self.intervene and isinstance(pl_module, GAN):
            self.rarity = pl_module.discriminator_every  # as the settings ask
            self._hold_back(pl_module, self.strength)  # as before an interruption

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
    ) -> None:
        if not isinstance(pl_module, GAN):
            return
        if "real" in outputs:  # the discriminator moved
            losses = outputs["G"].float().abs() + outputs["D"].float().abs()
            values = torch.stack([outputs["real"], outputs["fake"], losses])
            measured = torch.cat([values, _looks(outputs["sr"].float(), outputs["hr"].float())])
            self.sums = measured if self.sums is None else self.sums + measured
            self.count += 1
        done = trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        if self.count and done % self.every == 0:
            self._log_gradients(pl_module, *(outputs[name] for name in ("lr", "sr", "hr")))
            self._read(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if isinstance(pl_module, GAN):
            pl_module.log("health/state", float(STATES.index(self.state)))
            if self.intervene and self.state == "healthy" and _finite(pl_module):
                trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        readings = [vars(reading) for reading in self.readings]
        return {"readings": readings, **{name: getattr(self, name) for name in _STATE}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.readings = [Reading(**values) for values in state_dict["readings"]]
        state = {"looked_like_photos": True, **state_dict}  # older checkpoints lack it
        for name in _STATE:
            setattr(self, name, state[name])

    def _read(self, trainer: L.Trainer, module: GAN) -> None:
        """Takes a reading. Numbers are fetched from the device at no other time."""
        assert self.sums is not None
        means = trainer.strategy.reduce(self.sums / self.count, reduce_op="mean")
        reading = Reading(*(float(mean) for mean in means))
        self.sums, self.count = None, 0
        self.readings = [*self.readings, reading][-_KEPT:]
        self.looked_like_photos = self.looked_like_photos or look_like_photos(self.readings)
        module.means.add({"health/contrast": means[3], "health/colour": means[4]})
        state = classify(self.readings, self.state, self.looked_like_photos)
        if state != self.state:
            epoch = trainer.current_epoch + 1
            _report("health     epoch %d: %s", epoch, explain(state, self.readings))
            self.state = state
        if self.intervene and state in ("diverged", "collapsed"):
            self._return(trainer, module)
        elif self.intervene:
            self._hold_back(module, max(0, self.strength + _CHANGES.get(state, -1)))

    def _hold_back(self, module: GAN, strength: int) -> None:
        """Makes the discriminator's updates rarer first, then slower, then adds noise."""
        before, self.strength = self.strength, min(strength, 9)
        rarer = min(self.strength, 4)
        slower = min(max(0, self.strength - 4), 4)
        module.discriminator_every = max(self.rarity, min(self.rarity * 2**rarer, _RAREST))
        module.discriminator_slowdown = 0.5**slower  # at least 1/16
        module.extra_noise = _NOISE if self.strength > 8 else 0.0
        if self.strength != before:
            _report(
                "health     intervening: the discriminator learns from one batch in %d, at %g of "
                "its learning rate%s",
                module.discriminator_every,
                module.discriminator_slowdown,
                ", and sees noise" if module.extra_noise else "",
            )

    def _return(self, trainer: L.Trainer, module: GAN) -> None:
        there = trainer.strategy.broadcast(self.path.exists())  # one answer for all processes
        if self.returns >= _MOST_RETURNS or not there:
            return
        self.returns += 1
        saved = torch.load(self.path, map_location=module.device, weights_only=True)
        module.load_state_dict(saved["state_dict"])
        for optimizer, state in zip(trainer.optimizers, saved["optimizer_states"]):
            optimizer.load_state_dict(state)
            for group in optimizer.param_groups:
                group["lr"] /= 2
        for scheduler in module.lr_schedulers():  # type: ignore[union-attr]
            scheduler.base_lrs = [lr / 2 for lr in scheduler.base_lrs]
        self.readings, self.state, self.returned = [], "healthy", trainer.current_epoch
        _report(
            "health     intervening: back to the state of epoch %d, with half the learning rates",
            saved["epoch"] + 1,
        )

    def _log_gradients(self, module: GAN, lr: Tensor, sr: Tensor, hr: Tensor) -> None:
        """Logs the norm of each term's gradient, which shows the term that leads the generator.

        Only the last part of an accumulated batch is used, as no more fits into memory. The graphs
        are separate from the update's and are not compiled.
        """
        lr, sr, hr = (image.chunk(module.accumulate)[-1] for image in (lr, sr, hr))
        sr = sr.detach().float().requires_grad_()
        weights = {**module.loss.weights}
        weights["adversarial"] *= module.ramp
        with unchanged(module), torch.compiler.set_stance("force_eager"):
            module.discriminator.requires_grad_(False)
            with module.trainer.precision_plugin.train_step_context():
                terms = module.content(lr, sr, hr)
                terms["adversarial"] = module.adversarial_term(sr, hr)
            norms = {
                f"gradient/{name}": weights[name] * gradient_norm(term, [sr], module.scaler)
                for name, term in terms.items()
                if weights[name] and term.requires_grad
            }
        module.means.add(norms, finite=module.scaled)


def _looks(sr: Tensor, hr: Tensor) -> Tensor:
    """Returns contrast and colour, as a :class:`Reading` has them, of (B, 3, H, W) in [-1, 1]."""
    contrast = sr.std() / hr.std()
    colour = 127.5 * (sr.mean((0, 2, 3)) - hr.mean((0, 2, 3))).abs().max()
    return torch.stack([contrast, colour])


def _finite(module: nn.Module) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in module.parameters())
