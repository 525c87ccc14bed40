import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_gan.callbacks import Timing
from sr_gan.callbacks import timing as module


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def run(timing: Timing, clock: Clock, steps: int, waiting: float, working: float) -> dict[str, Any]:
    """Runs an epoch whose steps each wait and work for so many seconds."""
    logged: dict[str, Any] = {}
    advice = SimpleNamespace(advice=lambda: "set data.workers=8 (now 2)")
    trainer: Any = SimpleNamespace(world_size=1, datamodule=advice)
    pl_module: Any = SimpleNamespace(log_dict=logged.update)
    batch = {"hr": torch.zeros(4, 3, 8, 8)}
    timing.on_train_start(trainer, pl_module)
    timing.on_train_epoch_start(trainer, pl_module)
    for i in range(steps):
        clock.now += waiting
        timing.on_train_batch_start(trainer, pl_module, batch, i)
        clock.now += working
        timing.on_train_batch_end(trainer, pl_module, None, batch, i)
    timing.on_train_epoch_end(trainer, pl_module)
    return logged


def test_logs_means_over_the_epoch(clock: Clock) -> None:
    logged = run(Timing(), clock, 20, waiting=0.25, working=0.75)
    assert logged == pytest.approx(
        {"speed/step_time": 1.0, "speed/data_time": 0.25, "speed/images_per_second": 4.0}
    )


def test_tells_once_that_training_waits(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    timing = Timing(most_waiting=0.1)
    with caplog.at_level(logging.WARNING):
        run(timing, clock, 200, waiting=0.25, working=0.75)
        run(timing, clock, 200, waiting=0.25, working=0.75)
    assert caplog.messages == [
        "training waits for data 25 % of the time: set data.workers=8 (now 2)"
    ]


@pytest.mark.parametrize(("steps", "waiting"), [(200, 0.05), (40, 0.5)])
def test_is_silent_below_the_limit_and_at_the_start(
    clock: Clock, caplog: pytest.LogCaptureFixture, steps: int, waiting: float
) -> None:
    with caplog.at_level(logging.WARNING):
        run(Timing(most_waiting=0.1), clock, steps, waiting, working=0.75)
    assert not caplog.messages
