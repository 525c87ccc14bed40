import math
import os
import signal
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning import Callback

from sr_gan.callbacks import PerceptualQuality
from sr_gan.modules import GAN
from sr_gan.signals import Interrupted
from sr_gan.train import train
from tests.conftest import Compose


class Watch(Callback):
    """Notes at which batch of the GAN stage ``last.ckpt`` was last saved."""

    seen: list[tuple[int, int]] = []

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        Watch.seen = []

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if self.path.exists():
            saved = torch.load(self.path, weights_only=True)
            progress = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
            self.seen.append((trainer.fit_loop.total_batch_idx, progress["processed"]))


def watched(composed: Compose, *settings: str) -> list[tuple[int, int]]:
    cfg = composed("quickstart", "stages=[gan]", "data.crops_per_epoch=8", *settings)
    path = Path(cfg.run_dir) / "checkpoints" / "gan" / "last.ckpt"
    watch = ["+callbacks.watch._target_=tests.callbacks.test_save.Watch"]
    plain = "trainer.plugins=[{_target_:sr_gan.runs.checkpoint_io.AtomicCheckpointIO}]"
    settings = (*settings, *watch, f"+callbacks.watch.path={path}", plain)
    train(composed("quickstart", "stages=[gan]", "data.crops_per_epoch=8", *settings))
    return Watch.seen


def test_the_state_is_saved_now_and_then(composed: Compose) -> None:
    """Not after the last batch of an epoch, but after its validation."""
    seen = watched(composed, "callbacks.save.minutes=1e-9", "gan.epochs=2")
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]


def test_by_default_every_ten_minutes(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    now, step = [0.0], GAN.training_step

    def slow(self: GAN, batch: Any, batch_idx: int) -> Any:
        now[0] += 150  # seconds
        return step(self, batch, batch_idx)

    monkeypatch.setattr(GAN, "training_step", slow)
    monkeypatch.setattr("sr_gan.callbacks.save.monotonic", lambda: now[0])
    seen = watched(composed, "gan.epochs=5", "trainer.check_val_every_n_epoch=5")
    assert sorted({saved for _, saved in seen}) == [5, 10, 15]


def test_a_state_that_has_diverged_is_not_saved(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = GAN.training_step

    def poisoned(self: GAN, batch: Any, batch_idx: int) -> Any:
        if (self.trainer.current_epoch, batch_idx) == (1, 1):
            with torch.no_grad():
                next(self.generator.parameters()).fill_(math.nan)
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(GAN, "training_step", poisoned)
    cfg = composed("quickstart", "stages=[gan]", "data.crops_per_epoch=8")
    with pytest.raises(Interrupted) as stopped:
        train(cfg)
    path = Path(cfg.run_dir) / "checkpoints" / "gan" / "last.ckpt"
    assert stopped.value.checkpoint == path
    saved = torch.load(path, weights_only=True)
    assert saved["epoch"] == 0
    assert all(bool(torch.isfinite(x).all()) for x in saved["state_dict"].values())
    assert any("not saved: the run has diverged" in line for line in caplog.messages)


@pytest.mark.parametrize("stopped", [None, "epoch", "validation"])
def test_the_last_epoch_can_be_the_best(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, stopped: str | None
) -> None:
    """It is validated although it is the third one of every two, also in a run that goes on."""
    ranks, stop = [1.0, 0.5], [stopped]

    def rank(self: PerceptualQuality, trainer: L.Trainer, module: L.LightningModule) -> None:
        module.log("quality/rank", ranks[trainer.current_epoch // 2])

    def asked(self: GAN, batch: Any, batch_idx: int) -> Any:
        where = "validation" if self.trainer.validating else "epoch"
        if self.trainer.current_epoch == 2 and where in stop:
            stop.clear()
            os.kill(os.getpid(), signal.SIGTERM)
        return (validation_step if self.trainer.validating else step)(self, batch, batch_idx)

    step, validation_step = GAN.training_step, GAN.validation_step
    monkeypatch.setattr(PerceptualQuality, "on_validation_epoch_end", rank)
    monkeypatch.setattr(GAN, "training_step", asked)
    monkeypatch.setattr(GAN, "validation_step", asked)
    settings = ["stages=[gan]", "data.crops_per_epoch=8", "gan.epochs=3"]
    cfg = composed("quickstart", *settings, "trainer.check_val_every_n_epoch=2")
    if stopped:
        with pytest.raises(Interrupted):
            train(cfg)
        cfg.ckpt_path = "last"
    train(cfg)
    checkpoints = Path(cfg.run_dir) / "checkpoints" / "gan"
    best = torch.load(checkpoints / "best.ckpt", weights_only=True)
    assert best["epoch"] == 2


def test_the_best_score_of_an_older_run_is_kept(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Version 0.2 had Lightning's class for it, under whose name its checkpoints hold the score."""
    ranks = iter([0.1, 0.5])

    def rank(self: PerceptualQuality, trainer: L.Trainer, module: L.LightningModule) -> None:
        module.log("quality/rank", next(ranks))

    monkeypatch.setattr(PerceptualQuality, "on_validation_epoch_end", rank)
    cfg = composed("quickstart", "stages=[gan]", "data.crops_per_epoch=8", "gan.epochs=1")
    train(cfg)
    folder = Path(cfg.run_dir) / "checkpoints" / "gan"
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    (own,) = (key for key in saved["callbacks"] if key.startswith("SaveBest"))
    former = own.replace("SaveBest", "ModelCheckpoint").replace("epochs': 1", "epochs': 2")
    saved["callbacks"][former] = saved["callbacks"].pop(own)
    torch.save(saved, folder / "last.ckpt")
    cfg.ckpt_path, cfg.gan.epochs = "last", 2
    train(cfg)
    assert torch.load(folder / "best.ckpt", weights_only=True)["epoch"] == 0
    assert not any("add the following callbacks" in str(each.message) for each in recwarn)


def test_validations_between_updates_stay_where_they_are(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without epochs between them, the last epoch is no reason for another one."""
    seen: list[int] = []

    def note(self: PerceptualQuality, trainer: L.Trainer, module: GAN) -> None:
        seen.append(module.updates)
        module.log("quality/rank", 1.0)

    monkeypatch.setattr(PerceptualQuality, "on_validation_epoch_end", note)
    settings = ["stages=[gan]", "data.crops_per_epoch=8", "gan.epochs=3"]  # of four updates
    settings += ["trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=6"]
    train(composed("quickstart", *settings))
    assert seen == [6, 12]
