"""Writes the table of a run's metrics, and ends runs that have diverged."""

from pathlib import Path
from typing import Any

import lightning as L

from sr_gan.callbacks.health import Health
from sr_gan.errors import UserError
from sr_gan.runs.health import ADVICE, diverged
from sr_gan.runs.metrics_table import from_one, read_rows, rounded, write_rows

_PLACE = ("epoch", "step")  # are logged for the loggers


class MetricsTable(L.Callback):
    """Writes ``metrics.csv``: one row for each epoch, counted from 1, one column for each metric.

    A cell is empty where its metric was not measured. A resumed run drops the rows that it is about
    to repeat. Its checkpoint holds the rows, too, in case that the file is torn or gone. The speed
    of an epoch that was resumed in its middle is that of the steps since then.

    Args:
        path: the file.
        stage: the name of the stage, which is the first column.
    """

    def __init__(self, path: str, stage: str) -> None:
        self.path, self.stage = Path(path), stage
        self.rows: list[dict[str, str]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        every = [*self.rows, *read_rows(self.path)]
        rows = list({(row["stage"], int(row["epoch"])): row for row in every}.values())
        own = [row for row in rows if row["stage"] == self.stage]
        before = rows[: rows.index(own[0])] if own else rows
        self.rows = before + [row for row in own if int(row["epoch"]) <= trainer.current_epoch]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics.items()
        values = {name: rounded(value) for name, value in metrics if name not in _PLACE}
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            values = {k: v for k, v in values.items() if not k.startswith("quality/")}
        row = {
            "stage": self.stage,
            "epoch": str(trainer.current_epoch + 1),
            **dict(sorted(values.items())),
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            write_rows(self.path, self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = from_one(state_dict["rows"])


class StopOnDivergence(L.Callback):
    """Ends a run whose losses or logits are not finite or absurdly large.

    Its last checkpoint is older than that. A run that :class:`Health` has just returned to a
    healthy state goes on.

    Raises:
        UserError: the run has diverged by the end of an epoch.
    """

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        returned = [c.returned for c in trainer.callbacks if isinstance(c, Health)]  # type: ignore[attr-defined]
        if diverged(metrics) and trainer.current_epoch not in returned:
            values = ", ".join(f"{name}={metrics[name]:.3g}" for name in diverged(metrics))
            raise UserError(
                f"the run has diverged in epoch {trainer.current_epoch + 1}, {values}: "
                f"{ADVICE['diverged']}"
            )
