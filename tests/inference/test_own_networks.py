"""``allow=``: networks of a package of the user's own, and of no other."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan import Upscaler
from sr_gan.errors import UserError
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.losses import Objective
from sr_gan.modules import Pretrain
from sr_gan.runs.weights import save_generator
from sr_gan.settings.check import check
from sr_gan.settings.contradictions import check_contradictions
from sr_gan.train import adopt_generator, train
from tests.conftest import Compose, Shell, random_photo

NETS = """
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from others import Net as Borrowed

def function(scale=2):
    open("marker", "w")

class Net(nn.Module):
    def __init__(self, scale: int = 2, filters: int = 4):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Conv2d(3, filters, 3, padding=1), nn.BatchNorm2d(filters))
        layers = [nn.Conv2d(filters, filters, 1) for i in range(8)]
        self.more = nn.Sequential(*map(weight_norm, layers), nn.BatchNorm2d(filters))
        self.last = weight_norm(nn.Conv2d(filters, 3, 3, padding=1))
    def forward(self, lr):
        body = F.relu(self.body[1](self.body[0](lr)))
        return F.interpolate(self.last(self.more(body)), scale_factor=self.scale)

class Unscaled(nn.Module):
    pass

class Other:
    pass
"""
CONFIG = {"_target_": "mine.nets.Net", "scale": 2, "filters": 4}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The packages ``mine`` and ``mine_too``, the first of which imports ``others``."""
    folder = tmp_path / "packages"
    for name in ("mine", "mine_too"):
        (folder / name).mkdir(parents=True)
        (folder / name / "nets.py").write_text(NETS)
    (folder / "mine" / "broken.py").write_text("raise SystemExit('ended')")
    (folder / "others.py").write_text("from torch import nn\nclass Net(nn.Module): scale = 2")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [m for m in sys.modules if m.partition(".")[0] in ("mine", "mine_too", "others")]:
        del sys.modules[name]


@pytest.fixture
def weights(package: Path, tmp_path: Path) -> Path:
    from mine.nets import Net  # type: ignore[import-not-found]

    torch.manual_seed(0)
    save_generator(Net(), CONFIG, tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def asking(path: Path, **config: Any) -> str:
    """Writes a file that asks for something else; returns its name."""
    save_generator(torch.nn.Conv2d(3, 3, 1), {**CONFIG, **config}, path)
    return str(path)


@pytest.mark.parametrize("allow", ["mine", "mine.nets", ["others", "mine"], ("mine",)])
def test_an_allowed_package(weights: Path, allow: Any) -> None:
    upscaler = Upscaler.from_pretrained(str(weights), allow=allow, device="cpu", precision="fp32")
    image = random_photo(12, 9)
    large = upscaler(image)
    assert large.shape == (24, 18, 3)
    lr = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        whole = upscaler.model.generator(lr)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(large, ((whole + 1) * 127.5).round().clip(0, 255), atol=1)


@pytest.mark.parametrize("allow", [[], "min", "mine_too", "mine.net", "mine.nets.Net", "others"])
def test_other_packages_are_neither_imported_nor_built(weights: Path, allow: Any) -> None:
    for name in ("mine", "mine.nets"):
        sys.modules.pop(name)
    with pytest.raises(UserError, match=r"wants to build mine\.nets\.Net.*allow=PACKAGE"):
        load_pretrained(str(weights), allow=allow)
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine.nets.function", "wants to build"),
        ("mine.nets.Other", "wants to build"),
        ("mine.nets.Borrowed", "wants to build"),  # of a package that is not allowed
        ("mine.nets.nn.Module", "cannot be imported"),
        ("mine.nets.__loader__", "wants to build"),
        ("mine.nets.None", "cannot be imported"),
        ("mine..nets.Net", "wants to build"),
        ("mine/nets.Net", "wants to build"),
        ("mine", "wants to build"),
        ("mine.missing.Net", "cannot be imported"),
        ("mine.broken.Net", r"cannot be imported \(ended\)"),
        ("mine.nets.Unscaled", "cannot be built"),
    ],
)
def test_a_file_asks_an_allowed_package_for_something_else(
    target: str, message: str, package: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_pretrained(asking(tmp_path / "m.safetensors", _target_=target), allow="mine")
    assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.rglob("marker"))


@pytest.mark.parametrize("value", [{"_target_": "mine.nets.function"}, [1], "${oc.env:HOME}"])
def test_arguments_stay_plain(value: Any, package: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed are numbers, words"):
        load_pretrained(asking(tmp_path / "m.safetensors", filters=value), allow="mine")


def test_a_network_without_its_scale_factor(package: Path, tmp_path: Path, shell: Shell) -> None:
    from mine.nets import Unscaled

    save_generator(Unscaled(), {"_target_": "mine.nets.Unscaled"}, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="Unscaled has no attribute scale"):
        load_pretrained(str(tmp_path / "m.safetensors"), allow="mine")
    with pytest.raises(ValueError, match="Unscaled has no attribute scale"):
        Pretrain(Unscaled(), Objective({}, {}), epochs=1)


def test_every_command_has_the_setting(weights: Path, tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(random_photo(32, 32)).save(tmp_path / "photos" / "a.png")
    for name, *arguments in (
        ("upscale", f"model={weights}", "input=photos"),
        ("evaluate", f"model={weights}", "benchmark=photos"),
        ("interpolate", f"a={weights}", f"b={weights}", "alpha=0.5"),
    ):
        code, _, errors = shell(name, *arguments)
        assert (code, "allow=PACKAGE" in errors, len(errors.splitlines())) == (1, True, 1)
        for allow in ("allow=mine", "allow=[others,mine]"):
            code, _, errors = shell(name, *arguments, allow)
            assert code == 0, errors
        code, _, errors = shell(name, *arguments, "allow=a/b")
        assert (code, "error: allow=a/b: must be the name of" in errors) == (1, True), errors
    assert load_pretrained(str(tmp_path / "interpolated" / "alpha_0.50.safetensors"), allow="mine")


def test_training_starts_from_a_network_that_its_settings_name(
    weights: Path, composed: Compose, tmp_path: Path
) -> None:
    small = ["data.crop=32", "data.batch_size=2", "data.crops_per_epoch=4", "data.workers=0"]
    small += ["trainer.accelerator=cpu", "pretrain.epochs=1", "stages=[pretrain]", "scale=2"]
    cfg = composed("quickstart", "callbacks.progress=null", f"init_from={weights}", small=small)
    cfg.generator = {"_target_": "sr_gan.networks.CompactNet"}
    with pytest.raises(UserError, match=r"wants to build mine\.nets\.Net.*with generator=CHOICE"):
        adopt_generator(cfg, [])
    cfg.generator = {"_target_": "mine.nets.Net", "scale": 2, "filters": 16}  # by an experiment
    adopt_generator(cfg, [])
    assert cfg.generator == CONFIG
    train(cfg)
    assert load_pretrained(str(tmp_path / "run"), allow="mine").scale == 2


def test_training_refuses_what_a_file_of_weights_cannot_keep(composed: Compose) -> None:
    plain = check(composed("quickstart"))
    for name, value in (("filters", [8, 8]), ("_convert_", "all")):
        with pytest.raises(UserError, match=f"generator.{name}=.*: allowed are numbers, words"):
            check_contradictions(plain | {"generator": {**plain["generator"], name: value}})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("missing.Net", r"No module named 'missing'; is its folder on PYTHONPATH\?"),
        ("mine.nets.Nett", "module 'mine.nets' has no attribute 'Nett'"),
        ("mine.nets.function", "function is not a class"),
        ("mine.torn.Net", r"'\(' was never closed .torn.py, line 1."),
    ],
)
def test_a_class_that_cannot_be_imported_is_one_line(
    target: str, message: str, package: Path, composed: Compose
) -> None:
    (package / "mine" / "torn.py").write_text("class Net(")
    cfg = composed("quickstart")
    cfg.generator = {"_target_": target}
    with pytest.raises(UserError, match=rf"^generator\._target_={target}: {message}$"):
        train(cfg)
