import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_gan.bench.data import _copies, bench_data, speed
from sr_gan.data.crops import RandomCrops
from tests.conftest import run_command
from tests.data.test_crops import photo


def test_measures_every_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """At toy size; what the numbers are is for a quiet machine to tell."""
    monkeypatch.chdir(tmp_path)
    small = ["images=4", "width=200", "height=160", "crop=32", "batch_size=4", "seconds=0.05"]
    small += ["rounds=1", "growth=[3]", "workers=[0,1]", "device=cpu", f"folder={tmp_path / 'x'}"]
    code, output, errors = run_command(monkeypatch, capsys, bench_data, "bench_data", *small)
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-data.json").read_text())
    assert list(result["crops_per_second"]) == [
        "decode each time",
        "PNG sub-images",
        "our loader, 0 workers",
        "our loader, 1 workers",
        "our device feeder, cpu",
        "the same, before floats, cpu",
        "copying the bytes alone",
    ]
    assert all(value > 0 for value in result["crops_per_second"].values())
    assert result["build"]["photos"] == 4
    assert result["memory"]["bytes"] > 50e6
    assert result["growth"][0]["photos"] in (2, 3)
    assert "| copying the bytes alone |" in output


def test_settings_that_contradict_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for setting, message in [
        ("images=3", "error: images=3: must be at least batch_size=16"),
        ("crop=98", "error: crop=98: must be a multiple of scale=4"),
        ("crop=400", "error: crop=400: must be a multiple of scale=4 that fits"),
        ("seconds=0", "error: seconds=0: should be greater than 0"),
    ]:
        code, _, errors = run_command(monkeypatch, capsys, bench_data, "bench_data", setting)
        assert code == 1
        assert errors.startswith(message)


def test_speed_counts_images_over_time() -> None:
    def batches() -> object:
        while True:
            yield {"hr": torch.zeros(10)}

    cpu = torch.device("cpu")
    assert speed(batches, 10, 0.05, cpu) > 1e4  # type: ignore[arg-type]


def test_the_floor_copies_the_same_bytes() -> None:
    crops = RandomCrops([photo(64, 80, 1)], 48, 4, crops_per_epoch=8, augment=False)
    (batch,) = _copies(crops, 8)
    ours = crops.__getitems__([(0, i) for i in range(8)])
    assert np.array_equal(batch["hr"], ours["hr"].numpy())
    assert np.array_equal(batch["lr"], ours["lr"].numpy())
