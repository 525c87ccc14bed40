"""Every limit on an argument, in the settings of a command and in the constructor."""

import inspect
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from pydantic import ValidationError
from safetensors.torch import save_file

from sr_gan.errors import UserError
from sr_gan.losses import VGGLoss
from sr_gan.modules import Steps
from sr_gan.networks import SRResNet
from sr_gan.settings.build import build
from sr_gan.settings.check import check_target
from sr_gan.settings.signatures import parameters

ABOVE_0, FROM_0 = "should be greater than 0", "should be greater than or equal to 0"
LIMITS: list[tuple[str, str, Any, str]] = [
    ("networks.SRResNet", "scale", 3, "allowed are 2, 4, 8"),
    ("networks.SRResNet", "filters", 0, ABOVE_0),
    ("networks.SRResNet", "blocks", -1, ABOVE_0),
    ("networks.SRResNet", "end_kernel", 4, "must be odd"),
    ("networks.SRResNet", "end_kernel", -1, "should be greater than or equal to 1"),
    ("networks.MSRResNet", "filters", 0, ABOVE_0),
    ("networks.MSRResNet", "skip", "cubic", "allowed are bilinear, nearest"),
    ("networks.CompactNet", "blocks", 0, ABOVE_0),
    ("networks.RRDBNet", "growth", 0, ABOVE_0),
    ("networks.VGGDiscriminator", "crop", 0, ABOVE_0),
    ("networks.VGGDiscriminator", "pooled_size", 0, ABOVE_0),
    ("networks.VGGDiscriminator", "norm", "layer", "allowed are batch, spectral, none"),
    ("networks.PatchDiscriminator", "layers", 0, ABOVE_0),
    ("networks.UNetDiscriminator", "filters", 0, ABOVE_0),
    ("networks.BandDiscriminator", "levels", 0, ABOVE_0),
    ("losses.VGGLoss", "layers", [], "should have at least 1 item, not 0"),
    ("losses.VGGLoss", "layers", ["relu2_2", "fc6"], r"should match pattern .*conv\|relu"),
    ("losses.VGGLoss", "layers", ["relu1_3"], "should match pattern"),
    ("losses.VGGLoss", "weights", "none.pth", "does not exist: give a file, or torchvision or r"),
    ("losses.VGGLoss", "distance", "cosine", "allowed are mse, l1"),
    ("losses.VGGLoss", "feature_scale", 0.0, ABOVE_0),
    ("losses.CharbonnierLoss", "epsilon", 0.0, ABOVE_0),
    ("losses.LRConsistencyLoss", "scale", 1, "should be greater than or equal to 2"),
    ("losses.GridLoss", "window", 1, "should be greater than or equal to 2"),
    ("losses.WaveletLoss", "levels", 0, ABOVE_0),
    ("losses.LPIPSLoss", "weights", "none.pth", "does not exist: give a file, or download"),
    ("losses.LPIPSLoss", "net", "resnet", "allowed are alex, squeeze, vgg"),
    ("losses.Objective", "weights", {"mse": -1.0}, FROM_0),
    ("losses.BCEAdversarialLoss", "real_label", 0.5, "should be greater than 0.5"),
    ("losses.BCEAdversarialLoss", "fake_label", 0.5, "should be less than 0.5"),
    ("losses.R1Penalty", "weight", 0.0, ABOVE_0),
    ("losses.R1R2Penalty", "every", 0, ABOVE_0),
    ("losses.WassersteinPenalty", "weight", -1, ABOVE_0),
    ("modules.Pretrain", "epochs", 0, ABOVE_0),
    ("modules.Pretrain", "lr", 0, ABOVE_0),
    ("modules.Pretrain", "lr", math.inf, "should be a finite number"),
    ("modules.Pretrain", "betas", [0.9], "should have at least 2 items, not 1"),
    ("modules.Pretrain", "betas", [0.9, 1], "should be less than 1"),
    ("modules.Pretrain", "ema", 2, "should be less than 1"),
    ("modules.GAN", "generator_lr", 0, ABOVE_0),
    ("modules.GAN", "discriminator_lr", -1, ABOVE_0),
    ("modules.GAN", "accumulate", 0, ABOVE_0),
    ("modules.GAN", "adversarial_ramp", 1.5, "should be less than or equal to 1"),
    ("modules.GAN", "instance_noise", -0.1, FROM_0),
    ("modules.GAN", "noise_until", 0, ABOVE_0),
    ("modules.GAN", "discriminator_every", 0, ABOVE_0),
    ("modules.Constant", "warmup", 1.0, "should be less than 1"),
    ("modules.Constant", "interval", "batch", "allowed are step, epoch"),
    ("modules.Steps", "milestones", [2.0], "should be less than 1"),
    ("modules.Steps", "gamma", 0, ABOVE_0),
    ("modules.Cosine", "final", 2, "should be less than or equal to 1"),
    ("callbacks.CompileNetworks", "when", "yes", "allowed are auto, always, never"),
    ("callbacks.CompileNetworks", "mode", "reduce-overhead", "allowed are default, max-autotune-n"),
    ("callbacks.ReplayUpdates", "when", "always", "allowed are auto, never"),
    ("callbacks.SampleGrid", "photos", 0, ABOVE_0),
    ("callbacks.SampleGrid", "size", 8, "should be greater than or equal to 16"),
    ("callbacks.PruneByMedian", "finished", 0, ABOVE_0),
    ("callbacks.PruneByMedian", "warmup", 1.5, "should be less than or equal to 1"),
    ("callbacks.Health", "every", 0, ABOVE_0),
    ("callbacks.PerceptualQuality", "weights", "none.pth", "does not exist: give a file, or d"),
    ("callbacks.Timing", "most_waiting", 2, "should be less than or equal to 1"),
    ("data.FolderData", "train_dir", "none", "does not exist: give a folder of photos"),
    ("data.FolderData", "valid_lr_dir", __file__, "is a file: give a folder of photos"),
    ("data.FolderData", "batch_size", 0, ABOVE_0),
    ("data.FolderData", "feed", "gpu", "allowed are auto, loader, device"),
    ("data.FolderData", "on_bad", "ignore", "allowed are error, skip"),
    ("data.FolderData", "max_megapixels", 0, ABOVE_0),
    ("data.FolderData", "workers", -1, FROM_0),
    ("data.FolderData", "valid_fraction", 1.5, "should be less than 1"),
    ("data.FolderData", "valid_kinds", ["jpeg"], "allowed are clean, jpegN"),
    ("data.degradation.Kinds", "names", ["clean", "jpeg0"], "allowed are clean, jpegN"),
    ("data.degradation.Kinds", "names", [], "should have at least 1 item, not 0"),
    ("data.degradation.Degradation", "blur_sigma", [-1.0, 2.0], FROM_0),
    ("data.degradation.Degradation", "blur_sigma", [3.0, 2.0], r"must be \[lowest, highest\]"),
    ("data.degradation.Degradation", "blur_sigma", [0.0, math.nan], "should be a finite number"),
    ("data.degradation.Degradation", "noise_sigma", [1.0], "should have at least 2 items, not 1"),
    ("data.degradation.Degradation", "noise_sigma", [0, 256], "less than or equal to 255"),
    ("data.degradation.Degradation", "jpeg_quality", [0, 50], "greater than or equal to 1"),
    ("data.degradation.Degradation", "jpeg_quality", [50, 101], "less than or equal to 100"),
    ("data.degradation.Degradation", "grey_noise", 1.5, "should be less than or equal to 1"),
    ("data.degradation.Degradation", "probability", -0.1, FROM_0),
    ("data.degradation.Degradation", "blur_beta", [0.0, 1.0], "greater than or equal to 0.1"),
    ("data.degradation.RandomResize", "factor", [0, 1], "greater than or equal to 0.1"),
    ("data.degradation.RandomResize", "share", 3, "should be less than or equal to 1"),
]


@pytest.mark.parametrize(("target", "name", "value", "allowed"), LIMITS)
def test_the_settings_refuse_it(target: str, name: str, value: Any, allowed: str) -> None:
    node = {"_target_": f"sr_gan.{target}", name: value}
    with pytest.raises(UserError, match=rf"^part\.{name}.*=.*: .*{allowed}") as error:
        check_target(node, "part")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("target", "name", "value", "allowed"), LIMITS)
def test_the_constructor_refuses_it(target: str, name: str, value: Any, allowed: str) -> None:
    mro = get_class(f"sr_gan.{target}").__mro__
    owner = next(x for x in mro if name in inspect.signature(x.__init__).parameters)  # type: ignore[misc]
    with pytest.raises(ValidationError) as error:
        owner(**{name: value})
    assert name in [each["loc"][0] for each in error.value.errors()]  # others are missing


def test_every_limit_is_enforced_by_its_constructor() -> None:
    """A range in an annotation without ``@checked`` above it would be a promise only."""
    for target in dict.fromkeys(f"sr_gan.{target}" for target, *_ in LIMITS):
        for owner in get_class(target).__mro__:
            init = vars(owner).get("__init__")
            if init is not None and owner.__module__.startswith("sr_gan"):
                assert init.__code__.co_name == "construct", owner


def test_a_constructor_that_refuses_is_one_line() -> None:
    node = {"_target_": "sr_gan.networks.SRResNet", "filters": 0}
    cfg = OmegaConf.create({"outer": {"generator": node}})
    with pytest.raises(UserError, match=r"^outer\.generator\.filters=0: should be greater than 0$"):
        build(cfg.outer.generator)


def test_limits_are_read_without_pytorch() -> None:
    code = "import sys; from sr_gan.settings.signatures import parameters as p; "
    code += "print(p('sr_gan.modules.GAN')['ema'].__metadata__); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(parameters("sr_gan.modules.GAN")["ema"].__metadata__)
    assert "lt=1" in done.stdout.replace(" ", "").lower()


def test_numbers_of_numpy_and_paths_are_taken(tmp_path: Path) -> None:
    network = SRResNet(filters=np.int64(4), blocks=1, icnr=np.bool_(True))  # type: ignore[arg-type]
    assert network.head[0].out_channels == 4
    assert Steps(np.array([0.5]), gamma=np.float32(0.5)).milestones == (0.5,)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="greater than 0"):
        SRResNet(filters=np.int64(0))
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="holds no VGG19"):
        VGGLoss(weights=tmp_path / "x.safetensors")  # type: ignore[arg-type]
