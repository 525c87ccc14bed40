"""The bench of enlarging, at toy size."""

import json
from pathlib import Path

import pytest
import torch

from sr_gan.bench.__main__ import BENCHES
from sr_gan.bench.upscale import compared, ways
from sr_gan.errors import UserError
from sr_gan.machine import cpu_computes_bf16
from sr_gan.networks import MSRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import random_photo, run_command

SETTINGS = {"device": "cpu", "model": None}


def test_a_model_without_training_is_not_measured_in_integers() -> None:
    found = ways(SETTINGS)
    assert found[0] == {"precision": "fp32"}
    assert all(options["precision"] != "int8" for options in found)
    assert ({"precision": "bf16"} in found) == cpu_computes_bf16()


def test_differences_are_from_the_first_way() -> None:
    photo = random_photo(8, 8) // 2
    rows = compared([("a", {"x": 1}, photo), ("b", {"x": 2}, photo + 3)])
    assert rows[0] == {"name": "a", "x": 1, "most": 0, "mean": 0}
    assert rows[1] == {"name": "b", "x": 2, "most": 3, "mean": 3}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A setting that names a small model in the current folder."""
    monkeypatch.chdir(tmp_path)
    config = {"_target_": "sr_gan.networks.MSRResNet", "filters": 8, "blocks": 1}
    save_generator(MSRResNet(filters=8, blocks=1), config, Path("model.safetensors"))
    return "model=model.safetensors"


def test_measures_each_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    monkeypatch.setattr("sr_gan.bench.upscale.cpu_computes_bf16", lambda: True)
    monkeypatch.setattr("sr_gan.bench.upscale.installed", lambda name: False)
    small = [model, "width=40", "height=32", "rounds=1", "device=cpu"]
    code, output, errors = run_command(
        monkeypatch, capsys, BENCHES["upscale"], "bench_upscale", *small
    )
    assert code == 0, errors
    assert "| precision=bf16 |" in output
    result = json.loads(Path("bench-upscale.json").read_text())
    exact, half = result["ways"]
    assert (exact["name"], half["name"]) == ("precision=fp32", "precision=bf16")
    assert exact["most"] == 0
    assert 0 < half["most"] <= 10
    assert min(row["megapixels_per_second"] for row in result["ways"]) > 0
    assert result["environment"]["threads"] == torch.get_num_threads()


@pytest.mark.parametrize(
    ("precision", "code", "message"),
    [("int8", 0, ""), ("fp32", 1, "error: refused")],
    ids=["int8", "fp32"],
)
def test_only_int8_may_be_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model: str,
    precision: str,
    code: int,
    message: str,
) -> None:
    def in_own_process(function: object, options: dict[str, str], settings: object) -> object:
        if options["precision"] == precision:
            raise UserError("refused")
        numbers = {"seconds": [1, 1], "megapixels_per_second": 1.0, "memory": 1}
        return "a way", numbers, random_photo(8, 8)

    monkeypatch.setattr("sr_gan.bench.upscale.installed", lambda name: True)
    monkeypatch.setattr("sr_gan.bench.upscale.in_own_process", in_own_process)
    stopped, output, errors = run_command(
        monkeypatch, capsys, BENCHES["upscale"], "bench_upscale", model, "device=cpu"
    )
    assert stopped == code
    assert errors.strip() == message
    assert ("int8: refused" in output) == (precision == "int8")
