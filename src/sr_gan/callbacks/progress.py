"""One progress bar per stage, with the steps, the rate and the time left."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from sr_gan.callbacks.estimate import Estimate
from sr_gan.files import bar_interval

_SHOWN = {"loss", "D", "G"}
_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{run_left}, {rate_fmt}{postfix}]"


class RunBar(tqdm):
    """A bar over a stage whose end is that of the whole run, as far as it can be foreseen."""

    beyond: Callable[[], float] | None = None  # the seconds of the run besides this bar's updates

    @property
    def format_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = super().format_dict
        rate = values["rate"] or (self.n - self.initial) / max(values["elapsed"], 1e-9)
        if not rate or not self.total:
            return values | {"run_left": "?"}
        left = (self.total - self.n) / rate + (self.beyond() if self.beyond else 0.0)
        return values | {"run_left": self.format_interval(left)}


class StageProgress(ProgressBar):
    """A bar over all steps of a stage, with steps per second, the run's time left, and the losses.

    After each validation it prints a line with the scores. If the output is not a terminal, the bar
    is drawn every ten seconds at most, so that a log stays readable.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: RunBar | None = None
        self.photos: tqdm[Any] | None = None
        self.enabled = True

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any
    ) -> None:
        if self.bar is not None:  # it begins here, as what is said at the start comes first
            return
        done: Any = trainer.fit_loop.epoch_loop.batch_progress.total
        estimates = [each for each in trainer.callbacks if isinstance(each, Estimate)]  # type: ignore[attr-defined]
        self.bar = RunBar(
            desc=type(pl_module).__name__.lower(),
            total=int(trainer.num_training_batches) * (trainer.max_epochs or 1),
            initial=done.processed,
            unit="it",
            mininterval=bar_interval(),
            dynamic_ncols=True,
            smoothing=0.05,
            disable=not (self.enabled and trainer.is_global_zero),
            bar_format=_FORMAT,
        )
        if estimates:
            self.bar.beyond = lambda: estimates[0].beyond(trainer, done.processed)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
    ) -> None:
        assert self.bar is not None
        # Reading losses makes the host wait for a GPU, so they are read only when the bar is drawn.
        if self.bar.update():
            losses = {name: f"{float(outputs[name]):.4g}" for name in _SHOWN & outputs.keys()}
            self.bar.set_postfix(losses, refresh=False)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.photos = tqdm(
            desc="validation",
            total=int(sum(trainer.num_val_batches)),
            unit="photo",
            delay=2,  # it appears only if the validation takes longer
            mininterval=bar_interval(),
            leave=False,
            disable=self.bar is None or self.bar.disable,
        )

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        if self.photos is not None:
            self.photos.update()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.photos is not None:
            self.photos.close()
        scores = trainer.callback_metrics
        if self.bar is None or self.bar.disable or "quality/psnr_y" not in scores:
            return
        lpips = (
            f", LPIPS {scores['quality/lpips']:.4f} ({scores['quality/lpips_bicubic']:.4f})"
            if "quality/lpips" in scores
            else ""
        )
        with suppress(OSError):  # the terminal may be gone
            self.bar.write(
                f"{self.bar.desc} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
                f"PSNR-Y {scores['quality/psnr_y']:.2f} dB (bicubic "
                f"{scores['quality/psnr_y_bicubic']:.2f}), SSIM-Y {scores['quality/ssim_y']:.4f} "
                f"({scores['quality/ssim_y_bicubic']:.4f}){lpips}",
                file=sys.stderr,
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def on_exception(self, *args: Any, **kwargs: Any) -> None:
        self._close()

    def _close(self) -> None:
        for bar in (self.photos, self.bar):
            if bar is not None:
                bar.close()
