import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sr_gan.errors import UserError
from sr_gan.inference.pretrained import Interpolation, load_pretrained
from sr_gan.networks import MSRResNet, RRDBNet
from sr_gan.networks.layouts import to_layout
from sr_gan.runs.weights import save_generator
from sr_gan.train import train
from tests.conftest import Compose

CONFIG = {"_target_": "sr_gan.networks.MSRResNet", "scale": 2, "filters": 8, "blocks": 1}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_generator(MSRResNet(2, 8, 1), CONFIG, path)
    return path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_weights_file_rebuilds_its_network(weights: Path) -> None:
    model = load_pretrained(str(weights))
    assert (model.name, model.scale, model.generator.training) == ("small", 2, False)
    torch.manual_seed(0)
    assert model.generator(torch.rand(1, 3, 4, 5)).shape == (1, 3, 8, 10)
    assert "small, x2, MSRResNet of 4," in model.describe()


def test_a_run_its_stages_and_its_checkpoints(composed: Compose, tmp_path: Path) -> None:
    train(composed("quickstart", "pretrain.epochs=1", "gan.epochs=1"))
    run = tmp_path / "run"
    last, first = (load_pretrained(str(run)), load_pretrained(str(run / "checkpoints/pretrain")))
    assert (last.path or run).parent.name == "gan"
    assert (first.path or run).parent.name == "pretrain"
    assert not same(last.generator.state_dict(), first.generator.state_dict())
    checkpoint = load_pretrained(str(run / "checkpoints" / "gan" / "last.ckpt"))
    assert same(checkpoint.generator.state_dict(), last.generator.state_dict())
    (run / "checkpoints" / "gan" / "generator.safetensors").unlink()  # as if it were not finished
    assert same(load_pretrained(str(run)).generator.state_dict(), last.generator.state_dict())


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_interpolations_have_names(name: str) -> None:
    model = load_pretrained(name, scale=3)
    assert isinstance(model.generator, Interpolation)
    assert model.generator(torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)
    assert model.describe() == f"{name}, x3"


def test_shipped_models_and_the_default(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_gan.models.FOLDER", weights.parent / "none")
    with pytest.raises(UserError, match=r"python -m sr_gan\.train"):
        load_pretrained(None)
    (weights.parent / "photo.safetensors").write_bytes(weights.read_bytes())
    monkeypatch.setattr("sr_gan.models.FOLDER", weights.parent)
    assert load_pretrained(None).name == "photo"
    assert load_pretrained("small").path == weights
    with pytest.raises(UserError, match="photo, small, bicubic, lanczos"):
        load_pretrained("large")


def tampered(path: Path, config: Any) -> Path:
    state = MSRResNet(2, 8, 1).state_dict()
    save_file(state, path, {"generator": json.dumps(config)})
    return path


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "_target_": "os.system"}, "wants to build os.system"),
        ({**CONFIG, "_target_": "sr_gan.networks.features.torch.hub.load"}, "wants to build"),
        ({**CONFIG, "_target_": "sr_gan.networks.features.load_tensors"}, "wants to build"),
        ({**CONFIG, "filters": {"_target_": "os.getpid"}}, "MSRResNet with filters="),
        ({**CONFIG, "filters": 16}, "tensors differ"),
        ({**CONFIG, "blocks": 0}, "cannot be built"),
        ({**CONFIG, "colour": "red"}, "cannot be built"),
        (["a"], "does not say which generator"),
    ],
)
def test_files_that_say_something_wrong(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_pretrained(str(tampered(tmp_path / "m.safetensors", config)))


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", None])
@pytest.mark.parametrize("layout", ["esrgan", "esrgan_2019", "esrgan_2018"])
def test_files_of_other_programs(tmp_path: Path, layout: str, wrapper: str | None) -> None:
    network = RRDBNet(4, filters=8, blocks=1, growth=4)
    state = {f"module.{name}": x.half() for name, x in to_layout(network, layout).items()}
    path = tmp_path / "4x_Someone.pth"
    content = (
        {wrapper: state, "params": {}, "iter": 5} if wrapper == "params_ema" else {wrapper: state}
    )
    torch.save(content if wrapper else state, path, _use_new_zipfile_serialization=False)
    model = load_pretrained(str(path))
    halves = {name: x.half().float() for name, x in network.state_dict().items()}
    assert same(model.generator.state_dict(), halves)
    assert "4x_Someone, x4, RRDBNet of" in model.describe()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            torch.zeros(8, 12, 3, 3),
            "conv_first.weight takes 12 channels, and the generators here take 3",
        ),
        (torch.zeros(0, 3, 3, 3), "filters=0: should be greater than 0"),
        (torch.zeros(8), "conv_first.weight or conv_last.weight is no convolution"),
    ],
)
def test_a_foreign_network_that_does_not_fit(tmp_path: Path, tensor: Tensor, message: str) -> None:
    state = to_layout(RRDBNet(4, filters=8, blocks=1, growth=4), "esrgan")
    save_file(state | {"conv_first.weight": tensor}, tmp_path / "x2plus.safetensors")
    with pytest.raises(UserError, match=rf"model=.*x2plus.safetensors: {message}") as error:
        load_pretrained(str(tmp_path / "x2plus.safetensors"))
    assert "\n" not in str(error.value)


def test_files_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    torch.save(MSRResNet(2, 8, 1).state_dict(), tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not say which generator"):
        load_pretrained(str(tmp_path / "other.pth"))
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(UserError, match=r"model=.*text\.ckpt is not a file of weights"):
        load_pretrained(str(tmp_path / "text.ckpt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no stage of a run"):
        load_pretrained(str(tmp_path / "empty"))
