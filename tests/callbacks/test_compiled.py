"""torch.compile changes nothing but speed; what happens if it fails."""

import copy
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from packaging.version import Version
from torch import nn

from sr_gan.callbacks import CompileNetworks
from sr_gan.losses import BCEAdversarialLoss, Objective
from sr_gan.modules import GAN
from sr_gan.networks import SRResNet, VGGDiscriminator
from sr_gan.runs.metrics_table import read_rows
from sr_gan.train import train
from tests.conftest import RECIPES, Compose
from tests.modules.test_stages import CROP, batches, fit


def stage(**settings: Any) -> GAN:
    torch.manual_seed(0)
    networks = SRResNet(filters=4, blocks=1), VGGDiscriminator(CROP, filters=2, dense=4)
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-3}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    return GAN(*networks, objective, epochs=1, **settings)


def compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a compiler")
@pytest.mark.parametrize("parts", [1, 2])
def test_compiled_updates_equal_eager_ones(parts: int) -> None:
    plain, fast = stage(accumulate=parts), stage(accumulate=parts)
    loader = batches(3)
    # In 64 bits, because Adam's first steps are as long for a gradient that is a rounding error.
    fit(plain, loader, precision="64-true")
    fit(fast, loader, precision="64-true", callbacks=[CompileNetworks("always")])
    assert compiled(fast.generator)
    assert compiled(fast.discriminator)
    for (name, a), b in zip(plain.state_dict().items(), fast.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


def test_a_failure_is_told_and_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: nn.Module, **settings: Any) -> None:
        def call(*inputs: Any) -> Any:
            self.forward(*inputs)  # moves BatchNorm's averages before it fails
            raise RuntimeError("\nno compiler here\nand more")

        self._compiled_call_impl = call

    plain, fast = stage(), stage()
    loader = batches(2)
    fit(plain, loader)
    monkeypatch.setattr(nn.Module, "compile", broken)
    with caplog.at_level(logging.WARNING):
        fit(fast, loader, callbacks=[CompileNetworks("always")])
    assert "torch.compile failed, going on without: no compiler here" in caplog.text
    assert not compiled(fast.generator)
    for a, b in zip(plain.state_dict().values(), fast.state_dict().values()):
        assert torch.equal(a, b)


def test_the_rehearsal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "compile", lambda self, **settings: None)
    plain, fast = stage(), stage()
    loader = batches(2)
    fit(plain, loader)
    fit(fast, loader, callbacks=[CompileNetworks("always")])
    for a, b in zip(plain.state_dict().values(), fast.state_dict().values()):
        assert torch.equal(a, b)


@pytest.mark.parametrize("when", ["auto", "never"])
def test_on_a_cpu_it_is_asked_for_or_not_done(monkeypatch: pytest.MonkeyPatch, when: Any) -> None:
    monkeypatch.setattr(nn.Module, "compile", lambda self, **settings: pytest.fail("compiled"))
    fit(copy.deepcopy(stage()), batches(1), callbacks=[CompileNetworks(when)])


class OnGPU(CompileNetworks):
    """Behaves with ``auto`` as on a GPU."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.due = True


@pytest.mark.parametrize(
    ("eager", "compiled_", "kept", "message"),
    [
        (200.0, 100.0, True, "compiled   3 networks in"),
        (200.0, 201.0, False, "not faster (201000.0 ms per pass, 200000.0 without): not used"),
        (1.0, 0.1, False, ""),  # two updates of a second end before a compiler does
    ],
)
def test_it_stays_only_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    eager: float,
    compiled_: float,
    kept: bool,
    message: str,
) -> None:
    caplog.set_level(logging.INFO)
    seconds = iter([eager, compiled_])
    monkeypatch.setattr("sr_gan.callbacks.compiled._seconds", lambda module, batch: next(seconds))
    monkeypatch.setattr(nn.Module, "compile", as_they_are)
    fast = stage()
    fit(fast, batches(2), callbacks=[OnGPU("auto")])
    assert compiled(fast.generator) == kept
    assert message in caplog.text
    assert ("compiled" in caplog.text) == bool(message)


def as_they_are(self: nn.Module, **settings: Any) -> None:
    self._compiled_call_impl = self._call_impl


class Counter:
    """A compiler that changes nothing, and counts the graphs made in and after a rehearsal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.expected, self.late, self.rehearsing, self.broken = 0, 0, False, False
        compile_, try_out = nn.Module.compile, CompileNetworks._compile

        def compile_by_this(module: nn.Module, **settings: Any) -> None:
            compile_(module, backend=self, dynamic=False)

        def watched(callback: CompileNetworks, *arguments: Any) -> None:
            self.rehearsing = True
            try_out(callback, *arguments)
            self.rehearsing = False

        monkeypatch.setattr(nn.Module, "compile", compile_by_this)
        monkeypatch.setattr(CompileNetworks, "_compile", watched)

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        if self.broken:
            raise RuntimeError("no compiler any more")
        self.expected += self.rehearsing
        self.late += not self.rehearsing
        return graph.forward


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter]:
    torch._dynamo.reset()
    yield Counter(monkeypatch)
    torch._dynamo.reset()
    torch._dynamo.config.suppress_errors = False


@pytest.mark.parametrize(
    ("variant", "graphs"),
    [
        ("seed=0", 3),  # G in both stages, D while it learns, D while it judges
        ("adversarial=relativistic", 4),  # also D without any gradient
        ("penalty=r1", 3),
        ("gan.accumulate=2", 5),  # also G on half a batch, without and with a gradient
        ("gan.instance_noise=0.1", 3),
        ("gan.ema=0.9", 3),
        ("gan.discriminator_every=2", 3),
        ("health.intervene=true", 3),
        ("gan_ldl", 6),  # also D without any gradient, the artefact map and VGG
        ("gan_unit", 12),  # LPIPS is not compiled, the reduction is in pieces
        ("gan_bands", 12),  # as gan_unit, without VGG
    ],
)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_nothing_is_compiled_after_the_rehearsal(
    composed: Compose, recipe: Compose, counter: Counter, variant: str, graphs: int, precision: str
) -> None:
    """Both stages run with validation, samples, checkpoints and readings of health."""
    common = ["callbacks.compile.when=always", "health.every=2", f"trainer.precision={precision}"]
    if variant in RECIPES:
        train(recipe(variant, *common))
    else:
        train(composed("quickstart", *common, "penalty=none", variant))
    assert counter.late == 0
    if Version(torch.__version__) < Version("2.12"):
        assert counter.expected == graphs
    assert counter.expected >= graphs  # later versions compile smaller pieces


def test_a_graph_that_fails_later_does_not_end_the_run(counter: Counter) -> None:
    fast = stage()
    fit(fast, batches(1), callbacks=[CompileNetworks("always")])
    counter.broken = True
    lr = torch.rand(1, 3, 5, 7)  # another size
    torch.testing.assert_close(fast.generator(lr), copy.deepcopy(fast.generator).forward(lr))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_compiled_updates_equal_eager_ones_on_a_gpu(
    composed: Compose, caplog: pytest.LogCaptureFixture, precision: str
) -> None:
    common = ["stages=[gan]", "gan.epochs=1", "trainer=gpu", f"trainer.precision={precision}"]
    common += ["data.crops_per_epoch=16", "generator=srresnet"]
    for when in ("always", "never"):
        train(composed("quickstart", *common, f"callbacks.compile.when={when}", f"run_dir={when}"))
    assert "going on without" not in caplog.text  # that nothing was compiled or recorded
    rows = [read_rows(Path(when) / "metrics.csv")[0] for when in ("always", "never")]
    for name in ("loss/generator", "loss/discriminator", "quality/psnr_y"):
        assert float(rows[0][name]) == pytest.approx(float(rows[1][name]), rel=0.02), name
