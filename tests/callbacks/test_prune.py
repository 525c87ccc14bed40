import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sr_gan.callbacks import PruneByMedian
from sr_gan.runs.folder import PRUNED
from sr_gan.runs.metrics_table import write_rows
from sr_gan.train import train
from tests.conftest import Compose

BICUBIC = 25.0


def sibling(folder: Path, scores: Sequence[tuple[float, float]], **also: float) -> None:
    """Writes a finished run of the stage gan with (PSNR-Y in dB, LPIPS) at each epoch."""
    rows = []
    for epoch, (psnr, lpips) in enumerate(scores, 1):
        values = {"psnr_y": psnr, "lpips": lpips, "psnr_y_bicubic": BICUBIC, **also}
        row = {f"quality/{name}": f"{value:.6g}" for name, value in values.items()}
        rows.append({"stage": "gan", "epoch": str(epoch), **row})
    write_rows(folder / "metrics.csv", rows)
    (folder / "summary.json").write_text("{}")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Four finished runs; the medians at epoch 2 are 27.5 dB and 0.35."""
    for number in range(4):
        scores = [(20.0, 0.9), (26.0 + number, 0.2 + 0.1 * number), (30.0, 0.1)]
        sibling(tmp_path / str(number), scores)
    return tmp_path


def stops(
    sweep: Path, psnr: float, lpips: float | None, epoch: int = 1, epochs: int = 3, **how: Any
) -> bool:
    scores = {"psnr_y": psnr, "lpips": lpips, "psnr_y_bicubic": BICUBIC}
    trainer = SimpleNamespace(
        current_epoch=epoch,
        max_epochs=epochs,
        sanity_checking=False,
        should_stop=False,
        callback_metrics={f"quality/{k}": v for k, v in scores.items() if v is not None},
    )
    callback = PruneByMedian(str(sweep / "own"), "gan", **{"warmup": 0.0, **how})
    callback.on_validation_end(cast(Any, trainer), cast(Any, None))
    assert trainer.should_stop == (sweep / "own" / PRUNED).exists()
    return bool(trainer.should_stop)


@pytest.mark.parametrize(
    ("psnr", "lpips", "behind"),
    [(27.4, 0.36, True), (27.6, 0.36, False), (27.4, 0.34, False), (27.5, 0.35, False)],
)
def test_a_run_behind_in_both_scores_ends(
    sweep: Path, psnr: float, lpips: float, behind: bool
) -> None:
    assert stops(sweep, psnr, lpips) == behind


def test_it_says_why(sweep: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        stops(sweep, 26.0, 0.5)
    why = (
        "epoch 2: behind the median of 4 finished runs in both, PSNR-Y 26.00 dB against 27.50 dB "
        "and LPIPS 0.5000 against 0.3500"
    )
    assert caplog.messages == [f"pruned     {why}"]
    assert (sweep / "own" / PRUNED).read_text() == why + "\n"


def test_who_is_not_judged(sweep: Path) -> None:
    assert not stops(sweep, 1, 1, finished=5)
    assert not stops(sweep, 1, 1, epoch=2)  # the last epoch
    assert not stops(sweep, 1, 1, warmup=0.8)
    assert not stops(sweep, 1, None)


@pytest.mark.parametrize("how", ["running", "pruned", "on other photos", "shorter"])
def test_who_is_not_compared_with(sweep: Path, how: str) -> None:
    last = sweep / "3"
    if how == "running":
        (last / "summary.json").unlink()
    elif how == "pruned":
        (last / PRUNED).write_text("behind")
    elif how == "on other photos":
        sibling(last, [(20, 0.9), (29, 0.5)], psnr_y_bicubic=26.0)
    else:
        sibling(last, [(20, 0.9)])
    assert not stops(sweep, 1, 1)
    assert stops(sweep, 1, 1, finished=3)


def test_a_pruned_run_ends_there_and_its_summary_says_so(
    composed: Compose, alexnet_file: Path
) -> None:
    lpips = f"callbacks.lpips.weights={alexnet_file}"
    pruning = ["callbacks=[default,prune]", "callbacks.prune.finished=1", "pretrain.epochs=3"]
    cfg = composed("quickstart", lpips, *pruning)
    run = Path(cfg.run_dir)
    unbeatable = [{"stage": "pretrain", "epoch": "2", "quality/psnr_y": "99", "quality/lpips": "0"}]
    one = ["stages=[pretrain]", "pretrain.epochs=1", f"run_dir={run.parent / 'first'}"]
    first = train(composed("quickstart", lpips, *one))
    (run.parent / "first" / "summary.json").unlink()  # not one to compare with
    bicubic = first["pretrain"]["last"]["psnr_y_bicubic"]
    rows = [{**row, "quality/psnr_y_bicubic": f"{bicubic:.6g}"} for row in unbeatable]
    write_rows(run.parent / "other" / "metrics.csv", rows)
    (run.parent / "other" / "summary.json").write_text("{}")

    summary = train(cfg)
    assert list(summary) == ["pretrain"]  # no GAN stage after it
    assert summary["pretrain"]["epochs"] == 2
    assert summary["pretrain"]["pruned"].startswith("epoch 2: behind the median of 1 finished")
    assert json.loads((run / "summary.json").read_text()) == summary
    assert (run / "checkpoints" / "pretrain" / "generator.safetensors").exists()
