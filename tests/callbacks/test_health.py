"""The watch over a GAN, in real runs that are made to go wrong."""

import math
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor

from sr_gan.callbacks import Health
from sr_gan.errors import UserError
from sr_gan.modules import GAN
from sr_gan.runs.health import STATES
from sr_gan.runs.metrics_table import read_rows
from sr_gan.settings.build import build
from sr_gan.train import train
from tests.conftest import Compose
from tests.modules.test_stages import batches, fit


class Judge(torch.nn.Module):
    """Gives fixed answers to photographs, whose pixels are above 0, and to other images."""

    def __init__(self, real: float, fake: float) -> None:
        super().__init__()
        self.answers = torch.nn.Parameter(torch.tensor([real, fake]))

    def forward(self, image: Tensor) -> Tensor:
        is_real = image.amin((1, 2, 3)) > 0
        return torch.where(is_real, self.answers[0], self.answers[1]) + 0 * image.mean((1, 2, 3))


def photographs(count: int) -> Any:
    loader: Any = batches(count)
    for item in loader.dataset:
        item["hr"] = item["hr"].abs() + 0.01
    return loader


@pytest.fixture
def fine_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives all images normal contrast and colours."""
    monkeypatch.setattr("sr_gan.callbacks.health._looks", lambda sr, hr: torch.tensor([1.0, 0.0]))


def gan(composed: Compose, discriminator: torch.nn.Module | None = None, **settings: Any) -> GAN:
    cfg = composed("quickstart", "gan.epochs=1")
    extra = {"discriminator": discriminator} if discriminator else {}
    module: GAN = build(cfg.gan, generator=build(cfg.generator), **extra, **settings)
    return module


def test_a_run_logs_the_state_and_the_gradient_of_each_term(composed: Compose) -> None:
    cfg = composed("quickstart", "stages=[gan]", "health.every=1")
    train(cfg)
    for row in read_rows(Path(cfg.run_dir) / "metrics.csv"):
        assert float(row["health/state"]) in range(len(STATES))
        assert float(row["gradient/l1"]) > 0
        assert float(row["gradient/adversarial"]) > 0
        assert 0 < float(row["health/contrast"]) < 3


def test_gradients_are_those_of_the_weighted_terms(composed: Compose) -> None:
    """By hand: L1's gradient at every pixel is the weight over the number of pixels."""
    module = gan(composed)
    logged: dict[str, Tensor] = {}
    lr, sr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32) * 2 - 1
    hr = sr + 0.5
    health = Health("unused", every=1)

    class Probe(L.Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            module.log_dict = lambda values, **_: logged.update(values)  # type: ignore
            before = {k: v.clone() for k, v in module.state_dict().items()}
            health._log_gradients(module, lr, sr, hr)
            after = module.state_dict()
            assert all(torch.equal(before[key], after[key]) for key in before)
            assert all(p.requires_grad for p in module.discriminator.parameters())

    fit(module, batches(1), callbacks=[Probe()])
    count = sr.numel()
    expected = module.loss.weights["l1"] * math.sqrt(count) / count
    assert float(logged["gradient/l1"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("fine_looks")
def test_it_says_so_once_when_the_discriminator_wins(
    composed: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    health = Health(str(tmp_path / "healthy.ckpt"), every=1)
    module = gan(composed, Judge(8.0, -8.0))
    fit(module, photographs(6), callbacks=[health])
    reported = [line for line in caplog.messages if "saturated" in line]
    assert len(reported) == 1
    assert "start from a pretrained generator (init_from=RUN" in reported[0]
    assert module.discriminator_every == 1
    assert not (tmp_path / "healthy.ckpt").exists()


@pytest.mark.usefixtures("fine_looks")
@pytest.mark.parametrize("every", [1, 3, 32])
def test_acting_holds_the_discriminator_back_and_lets_go(
    composed: Compose, tmp_path: Path, every: int
) -> None:
    """It starts from the rarity in the settings, and returns to it."""
    health = Health(str(tmp_path / "healthy.ckpt"), every=1, intervene=True)
    judge = Judge(8.0, -8.0)
    module = gan(composed, judge)
    module.discriminator_every = every
    seen = []

    class Watch(L.Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            rate, noise = module.discriminator_slowdown, module.extra_noise
            seen.append((module.discriminator_every, rate, noise))
            if health.strength == 9:  # as if it had been overtaken
                judge.answers.data = torch.tensor([0.5, -0.5])

    fit(module, photographs(400 if every == 1 else 800), callbacks=[health, Watch()])
    assert (max(16, every), 1 / 16, 0.1) in seen
    assert (max(every, min(16, 2 * every)), 1.0, 0.0) in seen
    assert min(seen)[0] == every
    assert seen[-1] == (every, 1.0, 0.0)
    assert (tmp_path / "healthy.ckpt").exists()


def test_a_slowed_discriminator_moves_less_and_keeps_its_rate(composed: Compose) -> None:
    moves = []
    for slowdown in (1.0, 0.25):
        torch.manual_seed(0)
        module = gan(composed)
        module.discriminator_slowdown = slowdown
        start = [p.detach().clone() for p in module.discriminator.parameters()]
        trainer = fit(module, batches(1))
        ends = module.discriminator.parameters()
        moves.append(sum((a - b).abs().sum().item() for a, b in zip(start, ends)))
        assert trainer.optimizers[1].param_groups[0]["lr"] == 1e-4
    assert moves[1] == pytest.approx(moves[0] / 4, rel=0.02)


def test_intervening_returns_from_nan_to_the_last_healthy_state(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level("INFO")
    step = GAN.training_step

    def poisoned(self: GAN, batch: Any, batch_idx: int) -> Any:
        outputs = step(self, batch, batch_idx)
        if self.trainer.current_epoch == 1 and batch_idx == 0:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(math.nan)
        return outputs

    monkeypatch.setattr(GAN, "training_step", poisoned)
    settings = ("stages=[gan]", "health.every=1", "gan.epochs=3")
    with pytest.raises(UserError, match="diverged in epoch 2"):
        train(composed("quickstart", *settings))
    cfg = composed("quickstart", *settings, "health.intervene=true", f"run_dir={tmp_path / 'on'}")
    train(cfg)
    assert any("back to the state of epoch 1" in line for line in caplog.messages)
    weights = torch.load(Path(cfg.run_dir) / "checkpoints/gan/last.ckpt", weights_only=True)
    assert all(torch.isfinite(x).all() for x in weights["state_dict"].values())
    assert weights["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(5e-5)


def test_images_that_never_formed_are_a_discriminator_that_wins(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    looks = iter([0.1, 1.0, 0.1, 0.1, 0.1, 0.1] + [1.0] * 3 + [0.1] * 20)
    monkeypatch.setattr(
        "sr_gan.callbacks.health._looks", lambda sr, hr: torch.tensor([next(looks), 0.0])
    )
    health = Health("unused", every=1)
    fit(gan(composed, Judge(8.0, -8.0)), photographs(14), callbacks=[health])
    reported = [line.split(": ")[1].split(" (")[0] for line in caplog.messages if "health" in line]
    assert reported == ["saturated", "collapsed"]


def test_sums_of_a_checkpoint_go_to_the_device_that_trains(composed: Compose) -> None:
    """A checkpoint is read into the host's memory, where a GPU's numbers cannot be added.

    The meta device stands in for the GPU.
    """
    health = Health("unused", every=3)
    fit(gan(composed), batches(4), callbacks=[health])
    resumed = Health("unused", every=3)
    resumed.load_state_dict(health.state_dict())
    assert resumed.sums is not None
    assert resumed.count == 1
    module: Any = gan(composed).to("meta")
    resumed.on_train_start(None, module)  # type: ignore[arg-type]
    assert resumed.sums.device == module.device == torch.device("meta")
