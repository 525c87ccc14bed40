"""Two processes on a CPU (gloo) against one: gradients, validation, files and resuming."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from PIL import Image
from skimage import data as skimage_data
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sr_gan.data.crops import WholePhotos
from sr_gan.losses import BCEAdversarialLoss, Objective, R1Penalty
from sr_gan.modules import GAN
from sr_gan.networks import MSRResNet, VGGDiscriminator
from sr_gan.runs.metrics_table import read_rows
from tests.conftest import SMALL

CROP, BATCH, UPDATES = 32, 2, 3
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=32-true"]


class Joint(L.LightningDataModule):
    """Batches of ``2 * BATCH`` random crops; two processes get a half of each batch."""

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        draws = torch.Generator().manual_seed(0)
        count = 2 * BATCH * UPDATES
        lr = torch.rand(count, 3, CROP // 4, CROP // 4, generator=draws)
        hr = torch.rand(count, 3, CROP, CROP, generator=draws) * 2 - 1
        items: list[dict[str, Tensor]] = [{"lr": lr[i], "hr": hr[i]} for i in range(count)]
        mine = [item for i, item in enumerate(items) if i // BATCH % world == rank]
        return DataLoader(mine, 2 * BATCH // world)  # type: ignore[arg-type]


class Gradients(L.Callback):
    """Writes the gradient at each optimiser's step, and the logged losses, to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.steps = path, list[Tensor]()

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        parameters = optimizer.param_groups[0]["params"]
        self.steps.append(torch.cat([p.grad.flatten().clone() for p in parameters]))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        losses = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if trainer.is_global_zero:
            torch.save({"gradients": self.steps, "losses": losses}, self.path)


def gradients(path: Path, penalty: bool, **settings: Any) -> dict[str, Any]:
    """Trains a GAN without BatchNorm, which would average over a process's part.

    It computes in float64, or in float32 with a penalty, as penalties always do.
    """
    torch.manual_seed(0)
    discriminator = VGGDiscriminator(CROP, filters=2, dense=4)
    for name, layer in list(discriminator.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            discriminator.set_submodule(name, nn.Identity())
    weights, content = {"l1": 1.0, "adversarial": 1e-2}, {"l1": nn.L1Loss()}
    module = GAN(
        MSRResNet(filters=4, blocks=1),
        discriminator,
        Objective(weights, content, BCEAdversarialLoss()),
        epochs=1,
        penalty=R1Penalty(10.0) if penalty else None,
    )
    trainer = L.Trainer(
        accelerator="cpu",
        precision="32-true" if penalty else "64-true",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[Gradients(path)],
        **settings,
    )
    trainer.fit(module, datamodule=Joint())
    return dict(torch.load(path, weights_only=True))


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [False, True])
def test_gradients_and_losses_are_those_of_the_joint_batch(tmp_path: Path, penalty: bool) -> None:
    one = gradients(tmp_path / "one.pt", penalty, devices=1)
    strategy = "ddp_spawn_find_unused_parameters_true"
    two = gradients(tmp_path / "two.pt", penalty, devices=2, strategy=strategy)
    assert len(one["gradients"]) == len(two["gradients"]) == 2 * UPDATES
    for a, b in zip(one["gradients"], two["gradients"]):
        assert a.norm() > 0
        assert (a - b).norm() < (1e-4 if penalty else 1e-9) * a.norm()
    for name in ("loss/generator", "loss/discriminator", "loss/l1", "loss/adversarial"):
        assert two["losses"][name] == pytest.approx(one["losses"][name], rel=1e-6)


@pytest.mark.parametrize(("photos", "world"), [(3, 2), (1, 2), (1, 4), (5, 3), (4, 2)])
def test_photos_are_shared_out_and_each_counts_once(photos: int, world: int) -> None:
    class Photo:
        def __init__(self, name: int) -> None:
            self.name = name
            self.hr = torch.zeros(3, 16, 16, dtype=torch.uint8).numpy()
            self.lr = self.hr[:, :4, :4]

    every: Sequence[Any] = [Photo(i) for i in range(photos)]
    shares = [WholePhotos(every, 4, None, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1  # no process waits for another
    items = [share[i] for share in shares for i in range(len(share))]
    assert [item["name"] for item in items if item["weight"]] == list(range(photos))
    assert {item["weight"] for item in items} <= {0, world}
    assert all(shares[0][i]["weight"] for i in range(len(shares[0])))  # its samples are drawn


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Four photos to train on, and three of different difficulty to validate on."""
    for name, count in (("train", 4), ("valid", 3)):
        (tmp_path / name).mkdir()
        for i in range(count):
            photo = skimage_data.chelsea() if i % 2 else skimage_data.coffee()
            photo = photo[20 * i :, 90 * i + (name == "valid") :]
            Image.fromarray(photo[:96, : 96 + 12 * i]).save(tmp_path / name / f"{i}.png")
    return tmp_path


def run(folder: Path, name: str, *settings: str) -> str:
    """Trains into the folder ``name``; returns stderr."""
    photos = ["data=folder", "data.train_dir=train", "data.valid_dir=valid"]
    return python(folder, "sr_gan.train", *photos, *SMALL, f"hydra.run.dir={name}", *settings)


def python(folder: Path, *arguments: str) -> str:
    """Runs ``python -m ARGUMENTS``; returns stderr."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "SR_GAN_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_run_of_two_processes_writes_once_validates_rightly_and_resumes(
    folders: Path, alexnet_file: Path
) -> None:
    """Both networks have BatchNorm, whose averages would differ between the processes."""
    common = ["generator=srresnet", "stages=[gan]", f"callbacks.lpips.weights={alexnet_file}"]
    common += ["generator.filters=8", "generator.blocks=1"]
    errors = run(folders, "two", *TWO, *common)
    for word in ("sync_dist", "Traceback", "GLOO", "drop_last"):
        assert word not in errors
    two = folders / "two"
    assert {path.name for path in two.iterdir()} - {".lock"} == {
        "train.log",
        "overrides.json",
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "summary.json",
        "checkpoints",
        "samples",
        "gan",
        "result",
    }
    assert (two / "train.log").read_text().count("generator  SRResNet") == 1
    rows = read_rows(two / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]

    measured = ["sr_gan.evaluate", "model=two", "benchmark=valid", f"lpips={alexnet_file}"]
    python(folders, *measured, "output=scores")
    scores = json.loads((folders / "scores" / "valid.json").read_text())
    for name in ("psnr_y", "ssim_y", "lpips"):  # photo by photo, in one process
        logged = [float(rows[-1][f"quality/{name}{beside}"]) for beside in ("", "_bicubic")]
        assert logged == pytest.approx([scores["mean"][name], scores["bicubic"][name]], rel=2e-4)

    run(folders, "two", *TWO, *common, "ckpt_path=last", "gan.epochs=3")
    run(folders, "straight", *TWO, *common, "gan.epochs=3")
    last = [
        torch.load(folders / name / "checkpoints/gan/last.ckpt", weights_only=True)
        for name in ("two", "straight")
    ]
    for key, value in last[0]["state_dict"].items():
        torch.testing.assert_close(value, last[1]["state_dict"][key], msg=key)
    assert [row["epoch"] for row in read_rows(two / "metrics.csv")] == ["1", "2", "3"]
