from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sr_gan.callbacks.record import MetricsTable, StopOnDivergence
from sr_gan.errors import UserError
from sr_gan.runs.metrics_table import read_rows


def trainer(epoch: int, metrics: dict[str, float], every: int = 1) -> Any:
    tensors = {name: torch.tensor(value) for name, value in metrics.items()}
    return SimpleNamespace(
        callbacks=[],
        current_epoch=epoch,
        callback_metrics=tensors,
        check_val_every_n_epoch=every,
        is_global_zero=True,
    )


def run(
    path: Path, stage: str, first: int, epochs: int, metrics: dict[str, float], every: int = 1
) -> None:
    table, module = MetricsTable(str(path), stage), cast(Any, None)
    table.on_train_start(trainer(first, {}), module)
    for epoch in range(first, epochs):
        table.on_train_epoch_end(trainer(epoch, metrics, every), module)


def test_a_resumed_run_replaces_what_it_repeats(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    run(path, "pretrain", 0, 2, {"loss": 1.0})
    run(path, "gan", 0, 3, {"loss": 2.0})
    run(path, "gan", 1, 3, {"loss": 3.0, "other": 4.0})
    rows = [(row["stage"], row["epoch"], row["loss"], row["other"]) for row in read_rows(path)]
    assert rows == [
        ("pretrain", "1", "1", ""),
        ("pretrain", "2", "1", ""),
        ("gan", "1", "2", ""),
        ("gan", "2", "3", "4"),
        ("gan", "3", "3", "4"),
    ]


@pytest.mark.parametrize("left", [None, 0, -3], ids=["gone", "emptied", "torn"])
def test_rows_that_the_file_has_lost_are_in_the_checkpoint(
    tmp_path: Path, left: int | None
) -> None:
    path, module = tmp_path / "metrics.csv", cast(Any, None)
    run(path, "pretrain", 0, 2, {"loss": 1.0})
    table = MetricsTable(str(path), "gan")
    table.on_train_start(trainer(0, {}), module)
    table.on_train_epoch_end(trainer(0, {"loss": 2.0}), module)
    state, whole = table.state_dict(), path.read_text()
    path.unlink() if left is None else path.write_text(whole[:left])
    resumed = MetricsTable(str(path), "gan")
    resumed.load_state_dict(state)
    resumed.on_train_start(trainer(1, {}), module)
    resumed.on_train_epoch_end(trainer(1, {"loss": 3.0}), module)
    assert path.read_text() == f"{whole}gan,2,3\n"


def test_the_rows_of_an_older_checkpoint_are_counted_from_1(tmp_path: Path) -> None:
    path, module = tmp_path / "metrics.csv", cast(Any, None)
    resumed = MetricsTable(str(path), "gan")
    rows = [("pretrain", "0"), ("pretrain", "1"), ("gan", "0"), ("gan", "1")]
    resumed.load_state_dict({"rows": [{"stage": name, "epoch": epoch} for name, epoch in rows]})
    resumed.on_train_start(trainer(1, {}), module)
    resumed.on_train_epoch_end(trainer(1, {"epoch": 2.0, "step": 8.0, "loss": 3.0}), module)
    assert path.read_text().split() == [
        *("stage,epoch,loss", "pretrain,1,", "pretrain,2,", "gan,1,", "gan,2,3")
    ]


def test_scores_stand_only_where_they_were_taken(tmp_path: Path) -> None:
    run(tmp_path / "m.csv", "gan", 0, 4, {"quality/psnr_y": 30.0, "loss/generator": 1.0}, every=2)
    assert [row["quality/psnr_y"] for row in read_rows(tmp_path / "m.csv")] == ["", "30", "", "30"]


def test_nan_is_an_error_that_says_what_to_do() -> None:
    guard, module = StopOnDivergence(), cast(Any, None)
    guard.on_train_epoch_end(trainer(3, {"loss/vgg": 1.0, "speed/x": float("nan")}), module)
    with pytest.raises(UserError, match=r"diverged in epoch 4, loss/vgg=nan: .*learning rate"):
        guard.on_train_epoch_end(trainer(3, {"loss/vgg": float("nan")}), module)
