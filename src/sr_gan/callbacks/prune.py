"""Pruning: ends a sweep's job that falls behind the others."""

import logging
from pathlib import Path
from statistics import median

import lightning as L

from sr_gan.files import atomic_write
from sr_gan.runs.folder import PRUNED
from sr_gan.runs.metrics_table import read_table

log = logging.getLogger(__name__)

_PSNR, _LPIPS, _BICUBIC = "quality/psnr_y", "quality/lpips", "quality/psnr_y_bicubic"


class PruneByMedian(L.Callback):
    """Ends a run that is behind the median of the others in PSNR-Y and in LPIPS at once.

    The others are the runs in the folders beside this one that have finished and were not pruned
    themselves; compared is what they had at the same epoch of the same stage, on the same photos
    (those that bicubic does as well on). Optuna's ``MedianPruner`` for two scores: Optuna itself
    prunes for one only. It needs nothing but the folders, so it works in any sweep.

    The run says why in one sentence, leaves it in ``pruned.txt``, and ends as if its last epoch
    had been reached, without the stages that would follow. In the last epoch none is ended.

    Args:
        run_dir: the run's folder.
        stage: that is running.
        finished: runs to compare with that there must be.
        warmup: share of the stage in which no run is ended, in [0, 1].

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    def __init__(self, run_dir: str, stage: str, finished: int = 4, warmup: float = 0.25) -> None:
        if finished < 1:
            raise ValueError(f"finished must be at least 1, got {finished}")
        if not 0 <= warmup <= 1:
            raise ValueError(f"warmup must be in [0, 1], got {warmup}")
        self.run_dir, self.stage = Path(run_dir), stage
        self.finished, self.warmup = finished, warmup

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        if trainer.sanity_checking or done < self.warmup * epochs or done >= epochs:
            return
        metrics = {name: f"{float(value):.6g}" for name, value in trainer.callback_metrics.items()}
        why = self._behind({"epoch": str(trainer.current_epoch), **metrics})
        if why:
            log.info("pruned     %s", why)
            with atomic_write(self.run_dir / PRUNED) as file:
                file.write(why + "\n")
            trainer.should_stop = True

    def _behind(self, own: dict[str, str]) -> str | None:
        """Why the run is to end; None where it is not. ``own`` is a row as in ``metrics.csv``."""
        if not own.get(_PSNR) or not own.get(_LPIPS):
            return None
        rows = [row for row in self._rows(own["epoch"]) if row.get(_BICUBIC) == own.get(_BICUBIC)]
        if len(rows) < self.finished:
            return None
        psnr, lpips = float(own[_PSNR]), float(own[_LPIPS])
        psnr_of, lpips_of = (median(float(row[key]) for row in rows) for key in (_PSNR, _LPIPS))
        if psnr >= psnr_of or lpips <= lpips_of:
            return None
        return (
            f"epoch {own['epoch']}: behind the median of {len(rows)} finished runs in both, PSNR-Y "
            f"{psnr:.2f} dB to {psnr_of:.2f} dB and LPIPS {lpips:.4f} to {lpips_of:.4f}"
        )

    def _rows(self, epoch: str) -> list[dict[str, str]]:
        """What the others had at this epoch, those with both scores."""
        runs = [path.parent for path in sorted(self.run_dir.parent.glob("*/summary.json"))]
        others = [run for run in runs if run != self.run_dir and not (run / PRUNED).exists()]
        return [
            row
            for run in others
            for row in read_table(run / "metrics.csv")
            if (row["stage"], row["epoch"]) == (self.stage, epoch)
            and row.get(_PSNR)
            and row.get(_LPIPS)
        ]
