"""Shared fixtures: tiny photographs, and the real configuration composed and shrunk."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from PIL import Image
from skimage import data as skimage_data

from sr_gan.cli import command
from sr_gan.resolvers import register_resolvers
from sr_gan.settings.conf import conf_dir

with suppress(ImportError):  # TensorBoard and NNCF bring absl
    from absl import logging as absl_logging

    # Where logging is configured anew, absl closes its handler's stream, unless it is the
    # process's own.
    absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

pytest_plugins = ["tests.made_runs", "tests.hub_server"]

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
Compose = Callable[..., DictConfig]
Output = tuple[int, str, str]
Shell = Callable[..., Output]

# The smallest networks and epochs, for any experiment.
SMALL = [
    "generator.filters=8",
    "generator.blocks=1",
    "discriminator.filters=4",
    "discriminator.dense=8",
    "data.crop=32",
    "data.batch_size=2",
    "data.crops_per_epoch=4",
    "data.workers=0",
    "trainer.accelerator=cpu",
    "trainer.check_val_every_n_epoch=1",
    "pretrain.epochs=2",
    "gan.epochs=2",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@pytest.fixture(autouse=True)
def _quiet_and_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keeps tests away from the user's caches."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.getbasetemp() / "torch"))
    monkeypatch.setenv("SR_GAN_CACHE", str(tmp_path_factory.getbasetemp() / "photos-cache"))
    torch.manual_seed(0)


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared test material is not here")
    return SHARED


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six small real photographs, nested, in several formats."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    cat, coffee = skimage_data.chelsea(), skimage_data.coffee()
    names = ["a.png", "b.jpg", "c.webp", "more/d.bmp", "more/e.tiff", "more/f.PNG"]
    for i, name in enumerate(names):
        picture = cat if i % 2 else coffee
        Image.fromarray(picture[40 + 20 * i :][:70, 60 + 30 * i :][:, :85]).save(folder / name)
    return folder


@pytest.fixture
def composed(tmp_path: Path, photos: Path) -> Iterator[Compose]:
    """Composes an experiment of the real conf/, shrunk, on the small photos, into tmp_path."""
    register_resolvers()

    def shrunk(experiment: str, *overrides: str, small: Sequence[str] = SMALL) -> DictConfig:
        data = ["data=folder", f"data.train_dir={photos}"]
        run_dir = [f"run_dir={tmp_path / 'run'}"]
        cfg = compose("train", [f"experiment={experiment}", *data, *small, *run_dir, *overrides])
        with open_dict(cfg):
            cfg.pop("hydra", None)
        return cfg

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield shrunk


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random VGG19 weights cut after conv2_2, for tests of the loading and the loss."""
    from safetensors.torch import save_file

    from sr_gan.networks import VGG19Features

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg") / "vgg19_conv1_1-conv2_2.safetensors"
    state = VGG19Features(["conv2_2"], "random").state_dict()
    save_file({k: v.contiguous() for k, v in state.items() if k.startswith("features.")}, path)
    return path


@pytest.fixture(scope="session")
def alexnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random AlexNet weights under torchvision's names."""
    from safetensors.torch import save_file
    from torchvision.models import alexnet

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("alexnet") / "alexnet.safetensors"
    state = alexnet(weights=None).state_dict()
    save_file({key: value for key, value in state.items() if key.startswith("features.")}, path)
    return path


@pytest.fixture(scope="session")
def squeezenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random SqueezeNet weights under torchvision's names."""
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("squeezenet") / "squeezenet.safetensors"
    state = squeezenet1_1(weights=None).state_dict()
    save_file({k: v.contiguous() for k, v in state.items() if k.startswith("features.")}, path)
    return path


@pytest.fixture(scope="session")
def vgg16_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random VGG16 weights under torchvision's names."""
    from safetensors.torch import save_file
    from torchvision.models import vgg16

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vgg16") / "vgg16.safetensors"
    save_file(vgg16(weights=None).features.state_dict(prefix="features."), path)
    return path


RECIPES = ("gan_ldl", "gan_unit", "gan_bands")


@pytest.fixture
def recipe(composed: Compose, vgg_file: Path, squeezenet_file: Path) -> Compose:
    """Composes one of RECIPES on small networks, with losses from random weights."""

    def shrunk(name: str, *overrides: str) -> DictConfig:
        losses = []
        if name != "gan_bands":
            relu = "relu" if name == "gan_unit" else "conv"
            layers = {"layers": f"[{relu}1_2,{relu}2_2]", "layer_weights": "[0.1,1]"}
            vgg = {"weights": vgg_file, **layers}
            losses += [f"gan.loss.content.vgg.{key}={value}" for key, value in vgg.items()]
        if name != "gan_ldl":
            losses.append(f"gan.loss.content.lpips.weights={squeezenet_file}")
        sizes = [setting for setting in SMALL if name == "gan_ldl" or "dense" not in setting]
        sizes += ["data.valid_crop=48", "init_from=null"]
        return composed(name, *losses, "callbacks.progress=null", *overrides, small=sizes)

    return shrunk


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    """Runs ``python -m sr_gan.NAME ARGUMENTS``; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> Output:
        module = importlib.import_module(f"sr_gan.{name}")
        return run_command(monkeypatch, capsys, getattr(module, name), name, *arguments)

    return run


def random_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Returns uint8 noise of (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def run_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: Callable[[DictConfig], None],
    config_name: str,
    *arguments: str,
    after_sweep: Callable[[Path], None] | None = None,
    complete: Callable[[Sequence[str]], list[str]] = list,
) -> Output:
    """Runs a command as from the shell, in this process; returns exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", [f"{config_name}.py", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None  # as in a process of its own
    code = 0
    try:
        command(task, config_name, after_sweep, complete)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def leave_part(path: Path) -> None:
    """Leaves what a process leaves that is killed while it writes a file."""
    code = (
        "import os, signal, sys; from pathlib import Path; from sr_gan.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as file:\n"
        "    file.write('half'), file.flush(), os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert list(path.parent.glob(f".{path.name}.*.part"))
