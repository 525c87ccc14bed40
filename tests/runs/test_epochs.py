"""Epochs are counted from 1; earlier versions counted them from 0."""

from pathlib import Path

import pytest
from PIL import Image

from sr_gan.runs.epochs import recount
from sr_gan.runs.history import read_run
from sr_gan.runs.metrics_table import parse_rows, write_rows
from tests.made_runs import grid


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of an earlier version: two stages of 4 epochs, validated after each second one."""
    rows = []
    for stage in ("pretrain", "gan"):
        rows += [{"stage": stage, "epoch": str(i), "loss/generator": "1"} for i in range(4)]
        folder = tmp_path / "samples" / stage
        folder.mkdir(parents=True)
        for epoch in (1, 3):
            grid(epoch).save(folder / f"epoch_{epoch:04d}.png")
    write_rows(tmp_path / "metrics.csv", rows)
    return tmp_path


def shades(run_dir: Path) -> dict[str, int]:
    """The grey level, 100 and the old epoch, of each picture."""
    files = sorted(run_dir.glob("samples/gan/*"))
    return {file.name: int(max(Image.open(file).getpixel((60, 30)))) for file in files}  # type: ignore[arg-type]


def test_an_old_run_is_read_from_1(old: Path) -> None:
    run = read_run(old)
    assert run.stages["gan"].epochs == 4
    assert run.stages["gan"].series("loss/generator") == [(i, 1.0) for i in (1, 2, 3, 4)]
    assert {epoch: file.name for epoch, file in run.samples("gan").items()} == {
        2: "epoch_0001.png",
        4: "epoch_0003.png",
    }


def test_recounting_changes_no_epoch(old: Path) -> None:
    before = read_run(old)
    levels = list(shades(old).values())
    recount(old)
    after = read_run(old)
    assert after.stages == before.stages
    assert list(after.samples("gan")) == list(before.samples("gan")) == [2, 4]
    assert shades(old) == dict(zip(("epoch_0002.png", "epoch_0004.png"), levels))
    assert parse_rows(old / "metrics.csv")[0]["epoch"] == "1"
    recount(old)  # a run of today stays as it is
    assert list(read_run(old).samples("gan")) == [2, 4]


@pytest.mark.parametrize("renamed", range(7))
def test_an_interrupted_recount_goes_on(
    old: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    left, rename = renamed, Path.rename

    def until(self: Path, target: Path) -> Path:
        nonlocal left
        if not left and "samples" in str(self):
            raise KeyboardInterrupt
        left -= "samples" in str(self)
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", until)
        with pytest.raises(KeyboardInterrupt):
            recount(old)
    recount(old)
    run = read_run(old)
    assert list(run.samples("gan")) == list(run.samples("pretrain")) == [2, 4]
    assert run.stages["gan"].epochs == 4


def test_pictures_alone_tell_it_too(tmp_path: Path) -> None:
    """The first epoch was validated, and the run was stopped before its row was written."""
    folder = tmp_path / "samples" / "gan"
    folder.mkdir(parents=True)
    grid(0).save(folder / "epoch_0000.png")
    recount(tmp_path)
    assert [file.name for file in folder.iterdir()] == ["epoch_0001.png"]
