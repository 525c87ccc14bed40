"""The bench of crops, at toy size. What the numbers are is for a quiet machine to show."""

import json
from pathlib import Path

import pytest
import torch

from sr_gan.bench.__main__ import BENCHES
from sr_gan.bench.data import speed
from tests.conftest import run_command


def test_measures_the_loader_and_the_device_feed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["images=2", "crop=32", "batch_size=4", "seconds=0.05", "rounds=1", "workers=[0,1]"]
    code, output, errors = run_command(
        monkeypatch, capsys, BENCHES["data"], "bench_data", *small, "device=cpu"
    )
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-data.json").read_text())
    speeds = result["crops_per_second"]
    assert list(speeds) == ["loader, 0 workers", "loader, 1 workers", "device feed, cpu"]
    assert all(value > 0 for value in speeds.values())
    assert result["build"]["photos"] == 2
    assert result["build"]["seconds"] > 0
    assert result["memory"]["bytes"] > 50e6
    assert result["settings"]["images"] == 2
    assert "python" in result["environment"]
    assert f"| device feed, cpu | {speeds['device feed, cpu']:,.0f} |" in output
    assert [path.name for path in tmp_path.iterdir()] == ["bench-data.json"]


def test_speed_counts_images_over_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves half a second with each batch."""
    now = 0.0

    def batches() -> list[int]:
        return [1, 2, 3]

    def tick() -> float:
        nonlocal now
        now += 0.5
        return now

    monkeypatch.setattr("sr_gan.bench.data.perf_counter", tick)
    assert speed(batches, 10, 5, torch.device("cpu")) == pytest.approx(20, rel=0.15)
