"""The bench of enlarging: every way that works here, beside the plain forward."""

import json
from pathlib import Path

import pytest
import torch

from sr_gan.bench.upscale import PLAIN, bench_upscale, ways
from sr_gan.machine import cpu_computes_bf16
from sr_gan.networks import MSRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import run_command

SETTINGS = {"device": "cpu", "model": None}


def test_a_model_without_training_is_not_measured_in_integers() -> None:
    names = set(ways(SETTINGS))
    assert {PLAIN, "ours, fp32"} <= names
    assert "openvino, int8" not in names
    assert ("ours, bf16" in names) == cpu_computes_bf16()


def test_measures_each_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sr_gan.bench.upscale.cpu_computes_bf16", lambda: False)
    monkeypatch.setattr("sr_gan.bench.upscale.find_spec", lambda name: None)
    config = {"_target_": "sr_gan.networks.MSRResNet", "filters": 8, "blocks": 1}
    save_generator(MSRResNet(filters=8, blocks=1), config, Path("model.safetensors"))
    arguments = ["model=model.safetensors", "width=40", "height=32", "rounds=1", "device=cpu"]
    code, output, errors = run_command(
        monkeypatch, capsys, bench_upscale, "bench_upscale", *arguments
    )
    assert code == 0, errors
    assert "| x plain |" in output
    result = json.loads(Path("bench-upscale.json").read_text())
    plain, ours = result["ways"]
    assert (plain["name"], ours["name"]) == (PLAIN, "ours, fp32")
    assert plain["most"] == 0
    assert ours["most"] <= 1
    assert min(plain["megapixels_per_second"], ours["megapixels_per_second"]) > 0
    assert result["environment"]["threads"] == torch.get_num_threads()
