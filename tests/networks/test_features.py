from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from sr_gan.errors import UserError
from sr_gan.networks import VGG19Features
from sr_gan.networks.features import layer_names


def test_equals_torchvisions_network_at_every_layer() -> None:
    reference = torchvision.models.vgg19(weights=None).features.eval()
    for layer in reference:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    features = VGG19Features(layer_names(), "random")
    features.features.load_state_dict(reference.state_dict())
    image = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    maps = features(image * 2 - 1)
    for name, layer in zip(layer_names(), reference):
        x = layer(x)
        torch.testing.assert_close(maps[name], x, msg=name)


def test_layer_names_follow_the_paper() -> None:
    names = layer_names()
    assert len(names) == 37
    indices = {"conv1_1": 0, "relu2_2": 8, "conv3_4": 16, "conv5_4": 34, "relu5_4": 35, "pool5": 36}
    assert {name: names.index(name) for name in indices} == indices


def test_stops_at_the_deepest_layer_and_is_frozen() -> None:
    features = VGG19Features(["relu2_2", "conv1_1"], "random")
    assert list(features(torch.rand(1, 3, 16, 16))) == ["relu2_2", "conv1_1"]
    assert len(features.features) == 9
    assert not any(p.requires_grad for p in features.parameters())
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    features(image)["relu2_2"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_reads_a_cut_file_up_to_its_end(vgg_file: Path) -> None:
    features = VGG19Features(["relu2_2"], str(vgg_file))
    tensors = load_file(vgg_file)
    assert torch.equal(features.get_parameter("features.0.weight"), tensors["features.0.weight"])
    with pytest.raises(
        UserError, match=r"from conv1_1 to conv2_2, .*relu5_4.*vgg\.layers=\[relu2_2\]"
    ):
        VGG19Features(["relu5_4"], str(vgg_file))


def test_reads_a_whole_pth_file(vgg_file: Path, tmp_path: Path) -> None:
    tensors = load_file(vgg_file)
    path = tmp_path / "vgg19.pth"
    torch.save({**tensors, "classifier.0.weight": torch.zeros(2)}, path)
    features = VGG19Features(["conv2_2"], str(path))
    assert torch.equal(features.get_parameter("features.7.bias"), tensors["features.7.bias"])


def test_reads_the_shared_oxford_weights(shared: Path) -> None:
    path = shared / "weights" / "vgg19_conv1_1-conv3_4.safetensors"
    maps = VGG19Features(["relu1_1", "relu3_4"], str(path))(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert maps["relu3_4"].shape == (1, 256, 16, 16)
    assert maps["relu3_4"].max() > 100  # the Oxford scale, not torchvision's


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.safetensors", b"not a file of tensors", "cannot be read"),
        ("broken.pth", b"nor this", "is not a file of weights"),
    ],
)
def test_names_a_file_that_is_not_usable(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        VGG19Features(["relu2_2"], str(tmp_path / name))


def test_refuses_a_file_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"body.0.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"holds no VGG19.*got body\.0\.weight"):
        VGG19Features(["relu2_2"], str(path))
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, path)  # as AlexNet's
    with pytest.raises(
        UserError, match=r"does not hold VGG19: its features\.0\.weight is \[64, 3, 11"
    ):
        VGG19Features(["relu2_2"], str(path))


def test_offline_names_url_place_and_override(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError) as error:
        VGG19Features(["relu5_4"])
    text = str(error.value)
    assert "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth" in text
    assert str(tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth") in text
    assert "gan.loss.content.vgg.weights=" in text


def test_takes_torchvisions_weights_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vgg_file: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    cached.parent.mkdir(parents=True)
    torch.save(load_file(vgg_file), cached)
    features = VGG19Features(["relu2_2"], "torchvision")
    assert torch.equal(
        features.get_parameter("features.0.bias"), load_file(vgg_file)["features.0.bias"]
    )
