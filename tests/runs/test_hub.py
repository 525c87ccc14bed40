"""Models of a small Hub on this machine: downloads, revisions, the cache and every error."""

from pathlib import Path

import pytest
import torch

from sr_gan import Upscaler
from sr_gan.errors import UserError
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.networks import CompactNet
from sr_gan.runs.folder import find_weights
from sr_gan.runs.hub import HubModel, at_revision, parse
from sr_gan.runs.weights import save_generator
from tests.hub_server import Hub

CONFIG = {"_target_": "sr_gan.networks.CompactNet", "scale": 2, "filters": 4, "blocks": 1}


def weights(folder: Path, seed: int) -> bytes:
    torch.manual_seed(seed)
    path = folder / "made.safetensors"
    save_generator(CompactNet(scale=2, filters=4, blocks=1), CONFIG, path)
    return path.read_bytes()


def parameters(model: str) -> torch.Tensor:
    return next(load_pretrained(model).generator.parameters())


def test_names() -> None:
    assert parse("hf://a/b", "model") == HubModel("a/b")
    assert parse("hf://a/b-1.2/", "model") == HubModel("a/b-1.2")
    assert parse("hf://a/b@v1/sub/x.pth", "model") == HubModel("a/b", "v1", "sub/x.pth")
    assert parse("hf://a/b@refs/pr/3/x.pth", "model") == HubModel("a/b", "refs/pr/3", "x.pth")
    assert at_revision("hf://a/b/x.pth", "v1") == "hf://a/b@v1/x.pth"
    for wrong in ("hf://", "hf://a", "hf://a/b@", "hf://a/b/../../x", "hf://a b/c", "hf://-a/b"):
        with pytest.raises(UserError, match=r"model=.*hf://OWNER/NAME@REVISION"):
            parse(wrong, "model")
    for wrong in ("gan", "hf://a/b@v1"):
        with pytest.raises(UserError):
            at_revision(wrong, "v2")


def test_a_model_is_downloaded_and_works_offline(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (weights(tmp_path, seed) for seed in (1, 2))
    old = hub.commit("me/net", {"generator.safetensors": first})
    hub.names["me/net"]["v1"] = old
    hub.commit("me/net", {"generator.safetensors": second})
    model = load_pretrained("hf://me/net")
    assert model.name == "me/net"
    newest = parameters("hf://me/net")
    for revision in ("v1", old):
        assert not torch.equal(parameters(f"hf://me/net@{revision}"), newest)
    upscaler = Upscaler.from_pretrained("hf://me/net", revision="v1", device="cpu")
    assert upscaler(torch.rand(3, 8, 8)).shape == (3, 16, 16)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert torch.equal(parameters("hf://me/net"), newest)
    with pytest.raises(UserError, match="not in the cache, and HF_HUB_OFFLINE is set"):
        parameters("hf://me/other")
    assert hub.asked == []


def test_without_a_network_the_cache_is_taken(hub: Hub, tmp_path: Path) -> None:
    hub.commit("me/net", {"generator.safetensors": weights(tmp_path, 1)})
    path = find_weights("hf://me/net", "init_from")
    hub.broken = 503
    assert find_weights("hf://me/net", "init_from") == path


def test_the_only_file_of_weights_is_taken(hub: Hub, tmp_path: Path) -> None:
    hub.commit("me/net", {"README.md": b"x", "sub/4x_Net.safetensors": weights(tmp_path, 1)})
    assert find_weights("hf://me/net", "model").name == "4x_Net.safetensors"
    hub.commit("me/net", {"b.pth": b"x"})
    with pytest.raises(UserError, match=r"FILE = b\.pth, sub/4x_Net\.safetensors$"):
        find_weights("hf://me/net", "model")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("hf://me/none", "there is no repository me/none, or it is private: check the name"),
        ("hf://me/net@v9", "me/net has no revision v9: give a branch, a tag or a commit"),
        ("hf://me/net/x.pth", "me/net has no x.pth: name one of its files"),
        ("hf://me/empty", r"me/empty has no file of weights \(\.safetensors, "),
    ],
)
def test_mistakes_are_one_line(hub: Hub, model: str, message: str) -> None:
    hub.commit("me/net", {"generator.safetensors": b"x"})
    hub.commit("me/empty", {"README.md": b"x"})
    with pytest.raises(UserError, match=f"^init_from={model}: {message}") as caught:
        find_weights(model, "init_from")
    assert "\n" not in str(caught.value)


def test_no_network_a_missing_package_and_a_harmful_file_are_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.commit("me/net", {"generator.safetensors": b"no tensors"})
    with pytest.raises(UserError, match=r"model=.*generator\.safetensors cannot be read"):
        load_pretrained("hf://me/net")
    hub.broken = 503
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between its attempts
    with pytest.raises(UserError, match="cannot be reached, and the file is not in the cache"):
        find_weights("hf://me/other", "model")
    monkeypatch.setattr("sr_gan.runs.hub.installed", lambda package: False)
    with pytest.raises(UserError, match=r"needs the package .*: pip install 'sr_gan\[hub\]'"):
        find_weights("hf://me/net", "model")
