"""TensorBoard: curves, a page of charts, samples, settings and results."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

# The page "Time Series" sorts groups by name, so a number before each name gives this order.
GROUPS = ("loss", "discriminator", "quality", "speed", "health", "gradient", "optimizer")
# The page "Custom Scalars", as {category: {chart: patterns}}; a pattern matches a metric's start.
# The first category fills the first screen. Charts of which nothing is measured are left out.
LAYOUT = {
    "at a glance": {
        "loss of the generator": ["loss/generator$"],
        "loss of the discriminator": ["loss/discriminator$"],
        "D(real) and D(fake), probabilities": ["discriminator/real$", "discriminator/fake$"],
        "PSNR-Y, dB, beside bicubic": ["quality/psnr_y"],
        "LPIPS beside bicubic, lower is better": ["quality/lpips"],
        "crops per second": ["speed/images_per_second"],
    },
    "losses": {
        "terms before weighting": ["loss/(?!generator|discriminator)"],
        "gradient of each weighted term": ["gradient/"],
        "gradient of each network": ["optimizer/grad_norm"],
    },
    "discriminator": {
        "logits": ["discriminator/logit_"],
        "contrast, generated over real": ["health/contrast"],
        "state, 0 is healthy": ["health/state"],
    },
    "quality": {
        "SSIM-Y beside bicubic": ["quality/ssim_y"],
        "grain, grey levels": ["quality/grain"],
        "grid, 1 is chance": ["quality/grid"],
    },
    "speed": {
        "seconds per update, and the part spent waiting for data": ["speed/(step|data)_time"],
        "learning rates": ["optimizer/lr_"],
    },
}
# The page "HParams": columns of results, and the curves whose last values they show.
RESULT = {
    "result/PSNR-Y": "quality/psnr_y",
    "result/LPIPS": "quality/lpips",
    "result/grain": "quality/grain",
    "result/grid": "quality/grid",
}


class TensorBoard(TensorBoardLogger):
    """Lightning's logger with a layout for "Custom Scalars", images, and a row in "HParams".

    A run has one row, which its last stage writes when it ends: the settings that sweeps change,
    and the last values of :data:`RESULT`. The row has its own folder, ``result``, so that
    TensorBoard offers no other curves as columns and puts settings that differ between runs first.
    All settings are logged as a text. A step is an update of the networks, in curves and pictures.

    Args:
        save_dir: the folder of the run.
        version: a folder in ``save_dir``. TensorBoard shows both as the name of its run.
    """

    def __init__(self, save_dir: str, version: str) -> None:
        super().__init__(save_dir, "", version, default_hp_metric=False)
        self.row: dict[str, Any] | None = None
        self.last: dict[str, float] = {}
        self.step = 0
        self.found: set[str] = set()  # metrics that have been logged
        self.layout: dict[str, Any] = {}

    @rank_zero_only
    def begin_after(self, step: int) -> None:
        """Begins after ``step``: what was logged beyond it disappears from TensorBoard."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # slow to import

        self.step = step
        start = Event(step=step + 1, session_log=SessionLog(status=SessionLog.START))
        with self._named():
            self.experiment._get_file_writer().add_event(start)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs all metrics except ``epoch``, whose curve is of no use."""
        self.step = self.step if step is None else step
        with self._named():
            super().log_metrics({tag(k): v for k, v in metrics.items() if k != "epoch"}, step)
            if not self.found.issuperset(metrics):
                self.found.update(metrics)
                self._lay_out()
        self.last.update({k: float(metrics[m]) for k, m in RESULT.items() if m in metrics})

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Logs pictures under ``key``, with ``step`` on the slider."""
        with self._named():
            for image in images:
                self.experiment.add_image(key, np.asarray(image), step, dataformats="HWC")

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Logs a run's resolved configuration, a plain dictionary with the current stage in it."""
        text = yaml.safe_dump(params, sort_keys=False, allow_unicode=True)
        with self._named():
            self.experiment.add_text("config", f"```yaml\n{text}```", self.step)
        if params["stage"] == params["stages"][-1]:
            self.row = headline(params)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        # What ended a run is worth more than what then goes wrong here.
        with suppress(OSError) if status == "failed" else self._named():
            if self.row and self.last:
                self._write_row(self.row, self.last)
            super().finalize(status)

    def _lay_out(self) -> None:
        """Writes the layout anew if there are metrics for further charts; the last one counts."""
        layout = layout_of(self.found)
        if layout != self.layout:
            self.layout = layout
            self.experiment.add_custom_scalars(layout)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Names the folder in an error of TensorBoard's thread, which leaves it out."""
        try:
            yield
        except (OSError, ValueError) as error:
            # Lightning takes any error for that of a value that cannot be logged.
            cause = error.__cause__ if isinstance(error, ValueError) else error
            if not isinstance(cause, OSError):
                raise
            name = cause.filename or self.log_dir
            raise OSError(cause.errno, cause.strerror, name) from error

    def _write_row(self, row: dict[str, Any], last: dict[str, float]) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import
        from torch.utils.tensorboard.summary import hparams

        # Not add_hparams, which would write to a subfolder named after the time.
        _, start, end = hparams(row, last)  # type: ignore[no-untyped-call]
        with SummaryWriter(str(Path(self.root_dir) / "result")) as writer:
            for summary in (start, end):
                writer._get_file_writer().add_summary(summary)
            for name, value in last.items():
                writer.add_scalar(name, value, self.step)


def tag(metric: str) -> str:
    """Returns the metric's name in TensorBoard: ``1_loss/generator`` for ``loss/generator``."""
    group = metric.partition("/")[0]
    return f"{GROUPS.index(group) + 1}_{metric}" if group in GROUPS else metric


def layout_of(metrics: set[str]) -> dict[str, dict[str, Any]]:
    """Returns the charts of :data:`LAYOUT` in which one of the metrics is shown."""
    layout = {
        category: {
            title: ["Multiline", [*map(tag, patterns)]]
            for title, patterns in charts.items()
            if any(re.match(pattern, metric) for pattern in patterns for metric in metrics)
        }
        for category, charts in LAYOUT.items()
    }
    return {category: charts for category, charts in layout.items() if charts}


def headline(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the most swept settings of a run's last stage, as a flat dictionary."""
    stage = config[config["stages"][-1]]
    rates = {
        "lr_generator": stage.get("generator_lr", stage.get("lr")),
        "lr_discriminator": stage.get("discriminator_lr"),
    }
    generator, data = config["generator"], config["data"]
    size = "x".join(str(generator[key]) for key in ("filters", "blocks") if key in generator)
    return {
        **{f"{term}_weight": weight for term, weight in stage["loss"]["weights"].items()},
        **{name: rate for name, rate in rates.items() if rate is not None},
        "batch": data["batch_size"],
        "crop": data["crop"],
        "epochs": stage["epochs"],
        "seed": config["seed"],
        "stages": ", ".join(config["stages"]),
        "generator": f"{_class(generator)} {size}".strip(),
        "discriminator": _class(stage.get("discriminator")),
        "content_loss": " + ".join(stage["loss"]["content"]),
        "gan_loss": _class(stage["loss"].get("adversarial")),
        "penalty": _class(stage.get("penalty")),
        "schedule": _class(stage.get("schedule")),
        "ema": stage.get("ema", 0.0),
    }


def _class(node: dict[str, Any] | None) -> str:
    return node["_target_"].rpartition(".")[2] if node else "none"
