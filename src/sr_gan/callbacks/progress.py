"""One progress bar per stage, with the steps, the rate and the time left."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

_SHOWN = {"loss", "D", "G"}


class StageProgress(ProgressBar):
    """A bar over all steps of a stage, with steps per second, time left and the losses.

    After each validation it prints a line with the scores. If the output is not a terminal, the bar
    is drawn every ten seconds at most, so that a log stays readable.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bar: tqdm[Any] | None = None
        self.enabled = True

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.bar = tqdm(
            desc=type(pl_module).__name__.lower(),
            total=int(trainer.num_training_batches) * (trainer.max_epochs or 1),
            initial=trainer.fit_loop.epoch_loop.batch_progress.total.processed,  # type: ignore[attr-defined]
            unit="it",
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            dynamic_ncols=True,
            smoothing=0.05,
            disable=not (self.enabled and trainer.is_global_zero),
        )

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert self.bar is not None
        # Reading losses makes the host wait for a GPU, so they are read only when the bar is drawn.
        if self.bar.update():
            losses = {name: f"{float(outputs[name]):.4g}" for name in _SHOWN & outputs.keys()}
            self.bar.set_postfix(losses, refresh=False)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        scores = trainer.callback_metrics
        if self.bar is None or self.bar.disable or "quality/psnr_y" not in scores:
            return
        lpips = (
            f", LPIPS {scores['quality/lpips']:.4f} ({scores['quality/lpips_bicubic']:.4f})"
            if "quality/lpips" in scores
            else ""
        )
        self.bar.write(
            f"{self.bar.desc} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"PSNR-Y {scores['quality/psnr_y']:.2f} dB (bicubic "
            f"{scores['quality/psnr_y_bicubic']:.2f}), SSIM-Y {scores['quality/ssim_y']:.4f} "
            f"({scores['quality/ssim_y_bicubic']:.4f}){lpips}",
            file=sys.stderr,
        )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
