"""The bench of updates: the plain loop is the same training, and every number is measured."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn

from sr_gan import bench
from sr_gan.bench.clock import PARTS, Clock
from sr_gan.bench.train import bench_train
from sr_gan.bench.usual import plain_updates
from sr_gan.images.find import list_images
from sr_gan.losses import BCEAdversarialLoss, Objective, VGGLoss
from sr_gan.modules import GAN
from sr_gan.networks import MSRResNet, SRResNet, VGGDiscriminator
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


def test_measures_ours_beside_the_plain_loop(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    photos: Path,
) -> None:
    """At toy size; what the numbers are is for a quiet machine to tell."""
    monkeypatch.chdir(tmp_path)
    settings = [*TOY, f"data.train_dir={photos}", "bench.compare=true"]
    settings.append("bench.growth={data.crop: [32, 48], generator.blocks: [2]}")
    settings.append("bench.trace=traces/trace.json.gz")
    code, output, errors = run_command(monkeypatch, capsys, bench_train, "bench_train", *settings)
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-train.json").read_text())
    images = result["images_per_second"]
    assert images["ours"] == pytest.approx(2e3 / result["milliseconds"]["ours"])
    assert images["plain"] > 0
    assert all(result["split"][part] > 0 for part in PARTS)
    assert result["flops"] > 1e6
    assert result["matrix_peak"] > result["flops_per_second"] > 0
    assert result["peak_memory"] > 100e6
    assert [(row["key"], row["value"]) for row in result["growth"]] == [
        ("data.crop", 32),
        ("data.crop", 48),
        ("generator.blocks", 2),
    ]
    with gzip.open(tmp_path / "traces" / "trace.json.gz") as file:
        names = [event.get("name") for event in json.load(file)["traceEvents"]]
    assert names.count("aten::_fused_adam_") == 4  # of both players, in two updates
    assert result["trace"]["kernels"] == result["trace"]["busy"] == 0  # without a GPU
    assert "| plain |" in output
    assert "| content loss |" in output


def test_it_measures_the_device_that_trained(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    photos: Path,
) -> None:
    """Once a fit has ended the module is on the CPU again. Here the meta device stands for a GPU,
    and the fit itself is the CPU's."""
    monkeypatch.chdir(tmp_path)
    gpu, asked, fit_ = torch.device("meta"), [], bench.train._fit

    class Strategy:
        root_device = gpu

    class Fitted:
        world_size, strategy = 1, Strategy

    def fitted(*arguments: Any) -> Fitted:
        assert fit_(*arguments).strategy.root_device == torch.device("cpu")
        return Fitted()

    def plain(cfg: Any, device: torch.device) -> float:
        asked.append(device)
        return 1.0

    def peak(device: torch.device, *_: Any) -> float:
        asked.append(device)
        return 1.0

    monkeypatch.setattr(bench.train, "_fit", fitted)
    monkeypatch.setattr(bench.train, "_plain", plain)
    monkeypatch.setattr(bench.train, "matrix_peak", peak)
    settings = [*TOY, f"data.train_dir={photos}", "bench.compare=true"]
    code, _, errors = run_command(monkeypatch, capsys, bench_train, "bench_train", *settings)
    assert code == 0, errors
    assert asked == [gpu, gpu]
    result = json.loads((tmp_path / "bench-train.json").read_text())
    assert result["settings"]["device"] == "meta"


@pytest.mark.gpu
def test_it_measures_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [x for x in TOY if "accelerator" not in x]
    settings += ["trainer=gpu", "bench.photos=2", "bench.compare=true", "data.feed=device"]
    settings.append("bench.trace=trace.json.gz")
    code, _, errors = run_command(monkeypatch, capsys, bench_train, "bench_train", *settings)
    assert code == 0, errors
    result = json.loads((tmp_path / "bench-train.json").read_text())
    assert result["settings"]["device"] == "cuda:0"
    assert 0 < result["peak_memory"] < 2e9
    assert result["matrix_peak"] > 5e12
    assert result["trace"]["kernels"] > 100
    assert 0 < result["trace"]["busy"] <= 1.05


def test_memory_that_is_full_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    photos: Path,
) -> None:
    def full(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(GAN, "training_step", full)
    settings = [*TOY, f"data.train_dir={photos}"]
    code, _, errors = run_command(monkeypatch, capsys, bench_train, "bench_train", *settings)
    assert code == 1
    assert errors.startswith("error: memory is full: set data.batch_size below 2")
    assert len(errors.splitlines()) == 1


def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for setting, message in [
        ("bench.updates=0", "error: bench.updates=0: should be greater than 0"),
        ("data.train_dir=nowhere", "error: image folder nowhere does not exist"),
        ("bench.round=1", "error: "),
    ]:
        code, _, errors = run_command(
            monkeypatch, capsys, bench_train, "bench_train", *TOY, setting
        )
        assert code == 1
        assert errors.startswith(message)
        assert len(errors.splitlines()) == 1


def test_the_plain_loop_trains_as_ours(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same losses on the same batches, so that the comparison is one of speed only."""
    loader = batches(3)
    generator = MSRResNet(filters=4, blocks=1)
    discriminator = VGGDiscriminator(CROP, filters=2, dense=4)
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-2}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    networks = copy.deepcopy((generator, discriminator))
    seen: list[dict[str, float]] = []

    class Losses(L.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            seen.append({name: float(loss) for name, loss in outputs.items() if name in "DG"})

    fit(GAN(*networks, objective, epochs=1), loader, callbacks=[Losses()])

    shifted = [{"lr": b["lr"], "hr": (b["hr"] + 1) / 2} for b in loader]
    monkeypatch.setattr("sr_gan.bench.usual.DataLoader", lambda *_, **__: shifted)
    files, cpu = list_images(photos), torch.device("cpu")
    plain = plain_updates(files, generator, discriminator, objective, CROP, 4, 2, 0, cpu)
    for ours, theirs in zip(seen, plain):
        assert ours == pytest.approx(theirs, rel=1e-4)


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
