"""Epochs are counted from 1; runs of earlier versions, which counted from 0, are recounted.

Such a run has an epoch 0 in its table or among its sample pictures.
"""

from pathlib import Path

from sr_gan.runs.metrics_table import parse_rows, read_rows, write_rows

_TABLE = "metrics.csv"
_MOVED = ".recounted"  # the suffix of pictures between their old name and the new one


def counted_from_zero(run_dir: Path) -> bool:
    """Whether an earlier version wrote the run.

    Raises:
        UserError: the table is damaged.
    """
    rows = parse_rows(run_dir / _TABLE)
    return any(row["epoch"] == "0" for row in rows) or any(run_dir.glob("samples/*/epoch_0000.png"))


def sample_files(run_dir: Path, stage: str) -> dict[int, Path]:
    """Returns the files of a stage's sample grids, by epoch."""
    files = sorted((run_dir / "samples" / stage).glob("epoch_*.png"))
    first = int(counted_from_zero(run_dir)) if files else 0
    return {int(f.stem[6:]) + first: f for f in files if f.stem[6:].isdigit()}


def recount(run_dir: Path) -> None:
    """Renames the pictures of a run of an earlier version, and writes its table anew.

    If it is interrupted, the next call goes on: no picture is moved twice.
    """
    if counted_from_zero(run_dir):
        stages = [sample_files(run_dir, folder.name) for folder in run_dir.glob("samples/*")]
        for stage in stages:
            for epoch, file in reversed(stage.items()):  # epoch 0, by which it is known, is last
                file.rename(file.with_name(f"epoch_{epoch:04d}{_MOVED}"))
        if (run_dir / _TABLE).exists():
            write_rows(run_dir / _TABLE, read_rows(run_dir / _TABLE))
    for file in run_dir.glob(f"samples/*/*{_MOVED}"):
        file.rename(file.with_suffix(".png"))
