"""Ends a job of a sweep that falls behind the others."""

import logging
from pathlib import Path
from statistics import median

import lightning as L
from pydantic import PositiveInt

from sr_gan.arguments import Share, checked
from sr_gan.files import atomic_write
from sr_gan.runs.folder import PRUNED
from sr_gan.runs.metrics_table import read_stages, rounded

log = logging.getLogger(__name__)

_PSNR, _LPIPS, _BICUBIC = "quality/psnr_y", "quality/lpips", "quality/psnr_y_bicubic"


class PruneByMedian(L.Callback):
    """Ends a run that is behind the median of the others in PSNR-Y and in LPIPS at once.

    The others are the runs in the folders beside this one that have finished and were not pruned
    themselves. The scores are compared at the same epoch of the same stage, and only if bicubic's
    scores are equal, as they are on the same photos. This is Optuna's ``MedianPruner`` for two
    scores; Optuna itself prunes by one only. It needs only the folders, so it works in any sweep.

    The run reports the reason in one sentence, writes it to ``pruned.txt``, and ends as if its last
    epoch had been reached, without the stages that would follow. No run ends in its last epoch.

    Args:
        run_dir: the run's folder.
        stage: the name of the stage that is running.
        finished: the number of other runs that must be there to compare with.
        warmup: the share of the stage, in [0, 1], in which no run ends.

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    @checked
    def __init__(
        self, run_dir: str, stage: str, finished: PositiveInt = 4, warmup: Share = 0.25
    ) -> None:
        self.run_dir, self.stage = Path(run_dir), stage
        self.finished, self.warmup = finished, warmup

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        if trainer.sanity_checking or done < self.warmup * epochs or done >= epochs:
            return
        metrics = trainer.callback_metrics
        why = self._behind(done, {name: float(rounded(x)) for name, x in metrics.items()})
        if why:
            log.info("pruned     %s", why)
            with atomic_write(self.run_dir / PRUNED) as file:
                file.write(why + "\n")
            trainer.should_stop = True

    def _behind(self, epoch: int, own: dict[str, float]) -> str | None:
        """Returns why the run should end, or ``None``; ``own`` are its scores."""
        if _PSNR not in own or _LPIPS not in own:
            return None
        rows = [row for row in self._rows(epoch) if row.get(_BICUBIC) == own.get(_BICUBIC)]
        if len(rows) < self.finished:
            return None
        psnr, lpips = own[_PSNR], own[_LPIPS]
        psnr_median, lpips_median = (median(row[key] for row in rows) for key in (_PSNR, _LPIPS))
        if psnr >= psnr_median or lpips <= lpips_median:
            return None
        return (
            f"epoch {epoch}: behind the median of {len(rows)} finished runs in both, PSNR-Y "
            f"{psnr:.2f} dB against {psnr_median:.2f} dB and LPIPS {lpips:.4f} against "
            f"{lpips_median:.4f}"
        )

    def _rows(self, epoch: int) -> list[dict[str, float]]:
        """Returns the rows of the other runs at this epoch that have both scores."""
        runs = [path.parent for path in sorted(self.run_dir.parent.glob("*/summary.json"))]
        others = [run for run in runs if run != self.run_dir and not (run / PRUNED).exists()]
        stages = [read_stages(run / "metrics.csv").get(self.stage) for run in others]
        rows = [row for stage in stages if stage for row in stage.rows]
        return [r for r in rows if r["epoch"] == epoch and _PSNR in r and _LPIPS in r]
