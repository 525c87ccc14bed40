"""torch.compile: what it changes (nothing but speed), and what happens where it fails."""

import copy
import logging
import shutil
from typing import Any

import pytest
import torch
from torch import nn

from sr_gan.callbacks import CompileNetworks
from sr_gan.losses import BCEAdversarialLoss, Objective
from sr_gan.modules import GAN
from sr_gan.networks import SRResNet, VGGDiscriminator
from tests.modules.test_stages import CROP, batches, fit


def stage() -> GAN:
    torch.manual_seed(0)
    networks = SRResNet(filters=4, blocks=1), VGGDiscriminator(CROP, filters=2, dense=4)
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-3}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    return GAN(*networks, objective, epochs=1)


def compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a compiler")
def test_compiled_updates_equal_eager_ones() -> None:
    plain, fast = stage(), stage()
    loader = batches(3)
    fit(plain, loader)
    fit(fast, loader, callbacks=[CompileNetworks("always")])
    assert compiled(fast.generator)
    assert compiled(fast.discriminator)
    for (name, a), b in zip(plain.state_dict().items(), fast.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


def test_a_failure_is_told_and_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: nn.Module, **settings: Any) -> None:
        def call(*inputs: Any) -> Any:
            self.forward(*inputs)  # moves BN's averages before it fails
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


def test_refuses_unknown_choices() -> None:
    with pytest.raises(ValueError, match="when must be one of auto, always, never, got yes"):
        CompileNetworks("yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode must be one of default"):
        CompileNetworks(mode="fast")  # type: ignore[arg-type]
