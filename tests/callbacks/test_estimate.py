import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_gan.callbacks.estimate import Estimate
from sr_gan.callbacks.progress import RunBar
from sr_gan.train import train
from tests.conftest import Compose

LONG = ["data.crops_per_epoch=60", "pretrain.epochs=2", "gan.epochs=4"]  # 60 and 120 updates


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the estimate sees it, in which only updates and validations take any."""
    now = [0.0]
    monkeypatch.setattr("sr_gan.callbacks.estimate.perf_counter", lambda: now[0])

    def slowed(owner: str, seconds: float) -> None:
        module, _, name = owner.rpartition(".")
        place, _, kind = module.rpartition(".")
        original = getattr(importlib.import_module(place), kind)
        method = getattr(original, name)

        def work(*args: Any, **kwargs: Any) -> Any:
            now[0] += seconds
            return method(*args, **kwargs)

        monkeypatch.setattr(original, name, work)

    slowed("sr_gan.modules.Pretrain.training_step", 2.0)
    slowed("sr_gan.modules.GAN.discriminator_loss", 3.0)
    slowed("sr_gan.modules.GAN.generator_loss", 4.0)
    slowed("sr_gan.modules.base.SRModule.validation_step", 50.0)
    return now


def test_the_whole_run_is_foreseen(
    composed: Compose, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Pretrain: 40 of 60 updates of 2 s; GAN: 120 of 7 s; six validations of 50 s."""
    caplog.set_level("INFO")
    cfg = composed("quickstart", *LONG)
    train(cfg)
    first, second = (line for line in caplog.messages if line.startswith("estimate"))
    # the first validation has not been measured then, and enlarging takes no time here
    assert first.startswith("estimate   about 15 min (pretrain 1 min, gan 14 min), and")
    # 100 updates and four validations
    assert second.startswith("estimate   about 15 min, and")
    said = float(re.findall(r"and ([\d.]+) MB", first)[0])
    files = Path(cfg.run_dir, "checkpoints").rglob("*.*")
    written = sum(file.stat().st_size for file in files) / 1e6
    assert said == pytest.approx(written, abs=0.6)  # the settings are in each file, too


def test_the_last_epoch_is_validated_in_any_case() -> None:
    """In the last epoch of a stage Lightning's setting becomes 1, but not for the next stage."""
    stages: Any = {"pretrain": SimpleNamespace(epochs=1), "gan": SimpleNamespace(epochs=25)}
    trainer: Any = SimpleNamespace(num_training_batches=3, check_val_every_n_epoch=10)
    estimate = Estimate(stages)
    estimate.on_train_start(trainer, stages["pretrain"])
    trainer.check_val_every_n_epoch = 1
    estimate.validation = 50.0
    left = [estimate.seconds(trainer, "gan", epoch * 3) for epoch in (0, 9, 10, 20)]
    assert left == [150, 150, 100, 50]


def test_nothing_changes_by_it(composed: Compose, tmp_path: Path) -> None:
    """The losses of the GAN stage are computed in advance, and leave no trace."""
    cfg = [composed("quickstart", *LONG, f"run_dir={tmp_path / name}") for name in "ab"]
    train(cfg[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sr_gan.callbacks.estimate.Estimate._measure", lambda *args: None)
        train(cfg[1])
    for stage in ("pretrain", "gan"):
        a, b = (
            torch.load(tmp_path / name / "checkpoints" / stage / "last.ckpt", weights_only=True)
            for name in "ab"
        )
        assert all(
            torch.equal(x, b["state_dict"][name])
            for name, x in a["state_dict"].items()
            if isinstance(x, torch.Tensor)
        )


def test_the_bar_ends_with_the_run() -> None:
    with open("/dev/null", "w") as file, RunBar(total=100, file=file) as bar:  # noqa: PTH123
        assert bar.format_dict["run_left"] == "?"
        bar.n = 20
        bar.start_t -= 40  # 2 s for each
        assert bar.format_dict["run_left"] == "02:40"
        bar.beyond = lambda: 3600.0
        assert bar.format_dict["run_left"] == "1:02:40"
