from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sr_gan.errors import UserError
from sr_gan.networks import MSRResNet, SRResNet
from sr_gan.runs.weights import load_generator, save_generator


def test_another_architecture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(SRResNet(filters=8, blocks=1), {"filters": 8}, path)
    load_generator(SRResNet(filters=8, blocks=1), str(path))
    for other in (SRResNet(filters=8, blocks=2), SRResNet(filters=4, blocks=1), MSRResNet()):
        with pytest.raises(UserError, match="weights are of another generator than"):
            load_generator(other, str(path))


def test_what_is_no_weights_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    torch.save([1, 2], tmp_path / "list.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name, message in [
        ("missing.pth", "missing.pth does not exist"),
        ("broken.safetensors", "cannot be read"),
        ("list.pth", "holds a list, not a dictionary of tensors"),
        ("other.safetensors", "another generator"),
        (".", "no stage of a run in it is finished"),
    ]:
        with pytest.raises(UserError, match=message):
            load_generator(SRResNet(filters=4, blocks=1), str(tmp_path / name))


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "generator.safetensors"
    generator = SRResNet(filters=4, blocks=1)
    save_generator(generator, {}, path)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*generator.safetensors'"):
        save_generator(generator, {}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["generator.safetensors"]


@pytest.mark.parametrize(
    "content",
    [
        {"sr_gan": 1},
        {"sr_gan": {"stage": "gan"}, "state_dict": 5},
        {"sr_gan": {"stage": "gan"}, "state_dict": {"generator.a": 5}},
        {"sr_gan": {"stage": "gan", "config": []}, "state_dict": {1: torch.zeros(1)}},
        {"state_dict": None},
        {"state_dict": {"a": {"b": torch.zeros(1)}}},
        {1: 2},
    ],
)
def test_odd_contents_are_one_line(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(UserError, match=r"init_from=.*odd\.ckpt holds no tensors by name"):
        load_generator(SRResNet(filters=4, blocks=1), str(tmp_path / "odd.ckpt"))
