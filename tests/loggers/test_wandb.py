from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sr_gan.train import train
from tests.conftest import Compose

wandb: Any = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "user"))


def test_each_stage_is_an_offline_run(composed: Compose) -> None:
    cfg = composed("quickstart", "logger=wandb")
    train(cfg)
    wandb.teardown()  # as at the end of a process: waits until all is written
    runs = sorted((Path(cfg.run_dir) / "wandb").glob("offline-run-*"), key=_age)
    names = [f"{cfg.run_dir}/{stage}".encode() for stage in ("pretrain", "gan")]
    assert len(runs) == 2
    for run, name in zip(runs, names):
        (record,) = run.glob("run-*.wandb")
        written = record.read_bytes()
        assert name in written  # its name
        assert b"quality/psnr_y" in written  # its curves
        assert b"check_val_every_n_epoch" in written  # its settings
        pictures = sorted((run / "files" / "media" / "images").glob("samples_*.png"))
        assert len(pictures) == 2
        with Image.open(pictures[0]) as picture:
            assert picture.width > 4 * 64


def _age(path: Path) -> float:
    return path.stat().st_mtime
