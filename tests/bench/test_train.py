"""The bench of updates, at toy size. What the numbers are is for a quiet machine to show."""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from sr_gan.bench.__main__ import BENCHES
from sr_gan.bench.clock import PARTS, Clock
from sr_gan.bench.train import Stage
from sr_gan.losses import BCEAdversarialLoss, Objective, VGGLoss
from sr_gan.modules import GAN
from sr_gan.networks import SRResNet, VGGDiscriminator
from tests.conftest import run_command
from tests.modules.test_stages import CROP, batches, fit

TOY = [
    "generator.filters=8",
    "generator.blocks=1",
    "discriminator.filters=4",
    "discriminator.dense=8",
    "gan.loss.content.vgg.layers=[relu1_2]",
    "data.crop=32",
    "data.batch_size=2",
    "data.workers=0",
    "trainer.accelerator=cpu",
    "bench.updates=2",
    "bench.warm_up=1",
    "bench.rounds=1",
]


def test_measures_updates_and_their_parts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    photos: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [*TOY, f"data.train_dir={photos}", "bench.trace=traces/trace.json.gz"]
    code, output, errors = run_command(
        monkeypatch, capsys, BENCHES["train"], "bench_train", *settings
    )
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-train.json").read_text())
    assert result["milliseconds"] == pytest.approx(1e3 * min(result["seconds"]))
    assert result["images_per_second"] == pytest.approx(2e3 / result["milliseconds"])
    assert all(result["split"][part] > 0 for part in PARTS)
    assert result["peak_memory"] > 100e6
    assert result["settings"]["device"] == "cpu"
    assert not result["settings"]["replayed"]
    with gzip.open(tmp_path / "traces" / "trace.json.gz") as file:
        names = [event.get("name") for event in json.load(file)["traceEvents"]]
    assert names.count("aten::_fused_adam_") == 4  # of both players, in two updates
    assert result["trace"]["kernels"] == result["trace"]["busy"] == 0  # without a GPU
    assert "| content loss |" in output
    assert {path.name for path in tmp_path.iterdir()} == {"bench-train.json", "traces"}


def test_a_stage_knows_the_device_that_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a fit has ended the module is on the CPU again. Here the meta device stands for a GPU,
    and one object for everything that is built."""

    class Built:
        world_size, strategy = 2, SimpleNamespace(root_device=torch.device("meta"))

        def __init__(self, node: Any, **arguments: Any) -> None: ...

        def setup(self) -> None: ...

        def fit(self, module: Any, data: Any) -> None: ...

    monkeypatch.setattr("sr_gan.bench.train.build", Built)
    nodes: dict[str, Any] = {name: {} for name in ("gan", "generator", "trainer", "logger")}
    nodes |= {"data": {"batch_size": 2}, "bench": {"warm_up": 1, "updates": 3}}
    stage = Stage(OmegaConf.create(nodes))
    stage.fit(stage.module, stage.length)
    assert (stage.device, stage.processes) == (torch.device("meta"), 2)
    assert stage.cfg.data.crops_per_epoch == 8


@pytest.mark.gpu
def test_it_measures_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [x for x in TOY if "accelerator" not in x]
    settings += ["trainer=gpu", "bench.photos=2", "data.feed=device", "bench.warm_up=5"]
    settings.append("bench.trace=trace.json.gz")
    code, _, errors = run_command(monkeypatch, capsys, BENCHES["train"], "bench_train", *settings)
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-train.json").read_text())
    assert result["settings"]["device"] == "cuda:0"
    assert result["settings"]["replayed"]
    assert 0 < result["peak_memory"] < 2e9
    assert result["trace"]["kernels"] > 100
    assert 0 < result["trace"]["busy"] <= 1.05


def test_memory_that_is_full_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Without a folder of photographs it makes its own."""

    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(GAN, "training_step", full)
    settings = [*TOY, "bench.photos=2"]
    code, _, errors = run_command(monkeypatch, capsys, BENCHES["train"], "bench_train", *settings)
    assert code == 1
    assert errors.startswith("error: memory is full: set data.batch_size below 2")
    assert len(errors.splitlines()) == 1


def test_photos_that_are_missing_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [*TOY, "data.train_dir=nowhere"]
    code, _, errors = run_command(monkeypatch, capsys, BENCHES["train"], "bench_train", *settings)
    assert code == 1
    assert errors.startswith("error: data.train_dir=nowhere: does not exist")
    assert len(errors.splitlines()) == 1


def test_the_clock_finds_the_part_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only the content loss moves: 200 ms for each of its forward passes."""
    now = 0.0

    class Slow(VGGLoss):
        def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            nonlocal now
            now += 0.2
            return super().forward(sr, hr)

    monkeypatch.setattr("sr_gan.bench.clock.perf_counter", lambda: now)
    networks = SRResNet(filters=4, blocks=1), VGGDiscriminator(CROP, filters=2, dense=4)
    content = {"vgg": Slow(["relu1_1"], "random")}
    objective = Objective({"vgg": 1.0, "adversarial": 1e-3}, content, BCEAdversarialLoss())
    clock = Clock(warm_up=1)
    fit(GAN(*networks, objective, epochs=1), batches(3), callbacks=[clock])
    assert clock.updates == 2
    assert clock.milliseconds() == pytest.approx({**dict.fromkeys(PARTS, 0), "content loss": 200})
