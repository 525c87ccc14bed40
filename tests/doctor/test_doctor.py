"""``python -m sr_gan.doctor``: the page, and the line and the exit code for every fault."""

import importlib.metadata
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sr_gan.doctor import __main__ as main
from sr_gan.doctor.page import Line, examine
from sr_gan.losses import TotalVariationLoss
from sr_gan.runs.checkpoint_io import AtomicCheckpointIO
from sr_gan.runs.weights import save_generator
from tests.conftest import Output, run_command

Patch = pytest.MonkeyPatch
Doctor = Callable[..., Output]


@pytest.fixture
def examined(monkeypatch: Patch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Doctor:
    """Runs the command; returns its exit code, page and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sr_gan.doctor.hardware.has_gpu_file", lambda: False)
    monkeypatch.setattr("sr_gan.doctor.hardware._WRITTEN", 4 << 20)
    return lambda *arguments: run_command(monkeypatch, capsys, main.doctor, "doctor", *arguments)


def line(page: str, subject: str) -> str:
    """The first line on a subject and what belongs to it, as one line."""
    lines = page.splitlines()
    start = next(i for i, text in enumerate(lines) if text[6:19].strip() == subject)
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(" " * 20))
    return " ".join(text.strip() for text in lines[start:end])


def test_the_page_of_a_fit_machine(examined: Doctor, tmp_path: Path) -> None:
    code, page, errors = examined("output=page.txt")
    assert (code, errors) == (0, "")
    lines = page.splitlines()
    assert all(len(text) <= 100 or " " not in text.strip() for text in lines), page
    assert {text[:6].strip() for text in lines[:-2] if text[:6].strip()} == {"ok", "note"}
    assert "mse, l1, charbonnier, wavelet, consistency, grid, tv, vgg, ldl, adversarial" in line(
        page, "gradients"
    )
    assert "every pixel equals MATLAB's" in line(page, "bicubic")
    assert "the first run that needs it downloads 548 MB -> or fetch https" in line(page, "VGG19")
    assert "AlexNet's weights are not at" in line(page, "AlexNet")
    assert "python -m sr_gan.prepare data=div2k" in line(page, "DIV2K")
    assert (tmp_path / "page.txt").read_text().splitlines() == lines[:-2]
    assert [path.name for path in tmp_path.iterdir()] == ["page.txt"]  # nothing else is left


def test_weights_that_are_there(examined: Doctor, alexnet_file: Path) -> None:
    """Those of a stranger's AlexNet give another LPIPS, whose gradient is as good."""
    code, page, errors = examined(f"lpips={alexnet_file}")
    assert code == 1
    assert line(page, "LPIPS").startswith("FAIL  LPIPS")
    assert "ldl, lpips, adversarial" in line(page, "gradients")
    assert errors.strip().endswith("checks failed: LPIPS")


def other_torch(monkeypatch: Patch, folder: Path) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        "sr_gan.doctor.packages.version", lambda name: "2.6.0" if name == "torch" else real(name)
    )


def other_library(monkeypatch: Patch, folder: Path) -> None:
    def fail(*boxes: Any) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("torchvision.ops.nms", fail)


def old_package(monkeypatch: Patch, folder: Path) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        "sr_gan.doctor.packages.version", lambda name: "2.6" if name == "pydantic" else real(name)
    )


def unwritable_cache(monkeypatch: Patch, folder: Path) -> None:
    (folder / "file").touch()
    monkeypatch.setenv("SR_GAN_CACHE", str(folder / "file" / "cache"))


def unwritable_runs(monkeypatch: Patch, folder: Path) -> None:
    (folder / "runs").touch()


def full_disk(monkeypatch: Patch, folder: Path) -> None:
    usage = type(shutil.disk_usage(folder))(100, 99, 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)


def wrong_psnr(monkeypatch: Patch, folder: Path) -> None:
    wrong = torch.tensor([float("nan")])
    monkeypatch.setattr("sr_gan.doctor.parity.psnr_y", lambda *x: wrong)


def wrong_ssim(monkeypatch: Patch, folder: Path) -> None:
    wrong = torch.tensor([0.9686])
    monkeypatch.setattr("sr_gan.doctor.parity.ssim_y", lambda *x: wrong)


def wrong_bicubic(monkeypatch: Patch, folder: Path) -> None:
    wrong = torch.zeros(1, 1, 8, 8)
    monkeypatch.setattr("sr_gan.doctor.parity.downscale", lambda x, scale: wrong)


def lost_gradient(monkeypatch: Patch, folder: Path) -> None:
    real = TotalVariationLoss.forward
    monkeypatch.setattr(TotalVariationLoss, "forward", lambda *x: real(*x).detach())


def resting_player(monkeypatch: Patch, folder: Path) -> None:
    from sr_gan.modules import GAN

    def resting(module: GAN, batch_idx: int) -> Any:
        turn = real(module, batch_idx)
        return type(turn)(False, turn.penalty, turn.noise, turn.random)

    real = GAN._turn
    monkeypatch.setattr(GAN, "_turn", resting)


def damaged_checkpoint(monkeypatch: Patch, folder: Path) -> None:
    """Weights are the next floating-point numbers."""
    real = AtomicCheckpointIO.save_checkpoint

    def save(self: Any, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        state = checkpoint["state_dict"]
        name = next(name for name in state if name.endswith("weight"))
        state[name] = torch.nextafter(state[name], torch.ones(()))
        real(self, checkpoint, path)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)


def torn_checkpoint(monkeypatch: Patch, folder: Path) -> None:
    def save(self: Any, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        Path(path).write_bytes(b"PK\3\4")

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)


def other_weights(monkeypatch: Patch, folder: Path) -> None:
    def save(generator: Any, config: Any, path: Path) -> None:
        save_generator(generator, config, path)
        next(generator.parameters()).data.add_(1)

    monkeypatch.setattr("sr_gan.doctor.training.save_generator", save)


def damaged_vgg(monkeypatch: Patch, folder: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    file = folder / "torch" / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cut off")


def broken_check(monkeypatch: Patch, folder: Path) -> None:
    def fail() -> None:
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr("psutil.virtual_memory", fail)


def unusable_gpu(monkeypatch: Patch, folder: Path) -> None:
    monkeypatch.setattr("sr_gan.doctor.hardware.has_gpu_file", lambda: True)
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("torch.cuda.init", lambda: None)


FAULTS = [  # how it is caused, the check, the subject of its line, and what the line says
    (other_torch, "torchvision", "torchvision", "and torch is 2.6.0 -> install the two together"),
    (
        other_library,
        "torchvision",
        "torchvision",
        "operator torchvision::nms does not exist -> install the two",
    ),
    (
        old_package,
        "packages",
        "requirements",
        "pydantic is 2.6, and <3,>=2.7 is needed -> pip install",
    ),
    (unwritable_cache, "disk", "cache", "Not a directory -> set SR_GAN_CACHE=FOLDER"),
    (unwritable_runs, "disk", "runs", "cannot be written: Not a directory -> start"),
    (full_disk, "disk", "runs", "0.0 MB free, written at"),
    (wrong_psnr, "metrics cpu", "PSNR-Y", "nan on cpu, the reference is 35.901209 -> do not trust"),
    (wrong_ssim, "metrics cpu", "SSIM-Y", "0.968600 on cpu, the reference is 0.968582"),
    (wrong_bicubic, "metrics cpu", "bicubic", "of 128 pixels differ from MATLAB's on cpu"),
    (lost_gradient, "train cpu", "gradients", "from tv reaches the generator on cpu -> "),
    (resting_player, "train cpu", "train cpu", "the weights of the discriminator -> "),
    (damaged_checkpoint, "train cpu", "checkpoint", "read back with other state_dict -> "),
    (torn_checkpoint, "train cpu", "checkpoint", "last.ckpt is damaged, or cut off"),
    (other_weights, "train cpu", "weights", "read back with other values -> "),
    (damaged_vgg, "networks", "VGG19", "is damaged: its hash is"),
    (broken_check, "memory", "memory", "no memory"),
    (unusable_gpu, "GPU", "GPU", "it sees no GPU -> update the driver"),
]


@pytest.mark.parametrize(
    ("fault", "check", "subject", "text"), FAULTS, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_fault_is_a_line_and_the_exit_code(
    fault: Callable[[Patch, Path], None],
    check: str,
    subject: str,
    text: str,
    examined: Doctor,
    monkeypatch: Patch,
    tmp_path: Path,
) -> None:
    every = main.checks

    def few(settings: dict[str, Any]) -> list[Any]:
        return [each for each in every(settings) if each[0] in (check, "CPU", "trainer=auto")]

    monkeypatch.setattr(main, "checks", few)
    fault(monkeypatch, tmp_path)
    code, page, errors = examined()
    assert code == 1
    fails = [text[6:19].strip() for text in page.splitlines() if text.startswith("FAIL")]
    assert subject in fails
    found = next(
        line(page[page.index(start) :], subject)
        for start in page.splitlines()
        if start.startswith("FAIL") and start[6:19].strip() == subject
    )
    assert text in found, found
    assert errors.splitlines()[-1].startswith(f"error: {len(fails)} of ")
    assert "failed: " + ", ".join(fails) in errors
    assert "ok    trainer=auto" in page  # the other checks go on


@pytest.mark.parametrize(
    "fault", [lambda: 1 / 0, lambda: __import__("no_such_package"), lambda: [][0]]
)
def test_an_error_ends_its_own_check_only(fault: Callable[[], Any]) -> None:
    def check() -> Any:
        yield Line("a", "first")
        fault()
        yield Line("a", "never")

    first, second = examine("a", check)
    assert (first.verdict, second.verdict) == ("ok", "FAIL")
    assert len(second.text.splitlines()) == 1


def test_low_memory_and_slow_disks_are_notes(examined: Doctor, monkeypatch: Patch) -> None:
    monkeypatch.setattr("sr_gan.doctor.hardware._LEAST_MEMORY", float("inf"))
    monkeypatch.setattr("sr_gan.doctor.hardware._SLOW_DISK", float("inf"))
    code, page, _ = examined()
    assert code == 0
    assert line(page, "memory").startswith("note")
    assert "which is slow -> " in line(page, "cache")


def test_a_path_is_not_broken() -> None:
    path = "/a-long/" * 20
    assert path in str(Line("subject", f"a {path} b")).split()
