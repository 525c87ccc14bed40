"""Model files from strangers: no command that reads them runs anything in them."""

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sr_gan.errors import UserError
from sr_gan.inference.upscaler import Upscaler
from sr_gan.networks import MSRResNet
from tests.conftest import Shell

PLAIN = {"_target_": "sr_gan.networks.MSRResNet", "scale": 4, "filters": 8, "blocks": 1}
RUN = {"_target_": "torch.utils.collect_env.run", "_args_": ["touch marker"]}
CREATE = "${oc.create:{_target_:torch.utils.collect_env.run,_args_:['touch marker']}}"
DEEP = "x${oc.create:{a:{_target_:torch.utils.collect_env.run,_args_:['touch marker']}}}"

HOSTILE: dict[str, Any] = {
    "interpolation": {**PLAIN, "blocks": CREATE},
    "interpolation inside a word": {**PLAIN, "skip": DEEP},
    "interpolation as a key": {**PLAIN, CREATE: 1},
    "interpolation as the target": {**PLAIN, "_target_": CREATE},
    "environment": {**PLAIN, "skip": "${oc.env:HOME}"},
    "node": {**PLAIN, "blocks": RUN},
    "list": {**PLAIN, "blocks": [RUN]},
    "list in a list": {**PLAIN, "blocks": [[RUN]]},
    "arguments": {**PLAIN, "_args_": [CREATE]},
    "partial": {**PLAIN, "_partial_": True, "_convert_": CREATE},
    "target": RUN,
    "target with words": {"_target_": "torch.utils.collect_env.run", "command": "touch marker"},
    "call": {"_target_": "os.system", "command": "touch marker"},
    "a module's own import": {**PLAIN, "_target_": "sr_gan.networks.resnet.nn.Module"},
    "a function of ours": {**PLAIN, "_target_": "sr_gan.networks.layers.check_sizes"},
    "a download": {"_target_": "sr_gan.networks.LPIPSNetwork", "weights": "download"},
    "a file": {"_target_": "sr_gan.networks.VGG19Features", "weights": "marker"},
    "no generator": {"_target_": "sr_gan.networks.VGGDiscriminator", "crop": 32},
    "a dunder": {**PLAIN, "_target_": "sr_gan.networks.__builtins__"},
}
PICKLED: dict[str, Any] = {  # types that JSON does not have
    "tuple": {**PLAIN, "blocks": (RUN,)},
    "tuple of interpolations": {**PLAIN, "blocks": (CREATE,)},
    "set": {**PLAIN, "blocks": {CREATE}},
    "bytes": {**PLAIN, "skip": CREATE.encode()},
    "tensor": {**PLAIN, "blocks": torch.tensor(1)},
}
ENDLESS: dict[str, Any] = {
    "blocks": {**PLAIN, "blocks": 10**9},
    "filters": {**PLAIN, "filters": 10**7},
    "more filters": {**PLAIN, "filters": 10**12},
    "blocks as a float": {**PLAIN, "blocks": 1e9},
    "growth": {
        "_target_": "sr_gan.networks.RRDBNet",
        "filters": 8,
        "blocks": 10**9,
        "growth": 10**9,
    },
}


def model(path: Path, config: Any) -> Path:
    """Writes a file with the weights of a small generator, which asks for ``config``."""
    state = MSRResNet(filters=8, blocks=1).state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path, {"format": "pt", "generator": json.dumps(config)})
    else:
        inside = {f"generator.{key}": value for key, value in state.items()}
        sr_gan = {"version": "0", "stage": "gan", "config": {"generator": config}}
        torch.save({"state_dict": inside, "sr_gan": sr_gan}, path)
    return path


FILES = [
    *((f"m.{kind}", config) for kind in ("safetensors", "ckpt") for config in HOSTILE.values()),
    *(("m.ckpt", config) for config in PICKLED.values()),
]
NAMES = [
    *(f"{name}, {kind}" for kind in ("safetensors", "ckpt") for name in HOSTILE),
    *PICKLED,
]


@pytest.fixture(autouse=True)
def _photo(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16), "red").save(tmp_path / "photos" / "a.png")


def test_a_plain_file_is_read(tmp_path: Path, shell: Shell) -> None:
    """Shows that the files below are refused for what they ask, not for how they are made."""
    for name in ("m.safetensors", "m.ckpt"):
        assert Upscaler.from_pretrained(str(model(tmp_path / name, PLAIN))).scale == 4


@pytest.mark.parametrize(("file", "config"), FILES, ids=NAMES)
def test_nothing_is_run(file: str, config: Any, tmp_path: Path, shell: Shell) -> None:
    path = model(tmp_path / file, config)
    with pytest.raises(UserError):
        Upscaler.from_pretrained(str(path))
    for command, *arguments in (
        ("upscale", f"model={file}", "input=photos", "output=large"),
        ("evaluate", f"model={file}", "benchmark=photos"),
        ("interpolate", f"a={file}", "b=gan", "alpha=0.5"),
        ("interpolate", "a=gan", f"b={file}", "alpha=0.5"),
    ):
        code, _, errors = shell(command, *arguments)
        assert code == 1, command
        assert errors.startswith("error: "), errors
        assert len(errors.splitlines()) == 1
    assert not list(tmp_path.rglob("marker"))


ODD_TENSORS: dict[str, Any] = {  # how each tensor of a generator is changed
    "expanded": lambda x: torch.zeros(1).expand(x.shape),
    "meta": lambda x: torch.empty(x.shape, device="meta"),
    "sparse": lambda x: x.to_sparse(),
    "complex": lambda x: x.to(torch.complex64),
    "bool": lambda x: x.bool(),
    "NaN": lambda x: x * float("nan"),
}


@pytest.mark.parametrize("change", ODD_TENSORS.values(), ids=ODD_TENSORS)
def test_tensors_that_are_no_weights(change: Any, tmp_path: Path, shell: Shell) -> None:
    """Five kilobytes can claim to be tensors of a hundred gigabytes."""
    state = MSRResNet(filters=64, blocks=1).state_dict()
    inside = {f"generator.{key}": change(value) for key, value in state.items()}
    config = {"generator": {**PLAIN, "filters": 64}}
    content = {"state_dict": inside, "sr_gan": {"version": "0", "stage": "gan", "config": config}}
    torch.save(content, tmp_path / "m.ckpt")
    code, _, errors = shell("upscale", "model=m.ckpt", "input=photos")
    assert code == 1
    assert errors.startswith("error: model=m.ckpt")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    "content", [{"state_dict": 5}, {"state_dict": {5: torch.zeros(1)}}, {"state_dict": {}}, {}]
)
def test_checkpoints_that_hold_something_else(content: Any, tmp_path: Path, shell: Shell) -> None:
    torch.save(content, tmp_path / "m.ckpt")
    code, _, errors = shell("upscale", "model=m.ckpt", "input=photos")
    assert code == 1
    assert errors.startswith("error: model=m.ckpt")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        json.dumps({**PLAIN, "_target_": "evil\n\x1b[31merror: all\nyours"}),
        json.dumps({**PLAIN, "_target_": "e" * 200_000}),
        json.dumps({**PLAIN, "skip": "e" * 200_000}),
        json.dumps({**PLAIN, "a\nb": 1}),
        "[" * 100_000,
    ],
)
def test_a_strangers_words_stay_on_one_short_line(words: str, tmp_path: Path, shell: Shell) -> None:
    state = MSRResNet(filters=8, blocks=1).state_dict()
    save_file(state, tmp_path / "m.safetensors", {"generator": words})
    code, _, errors = shell("upscale", "model=m.safetensors", "input=photos")
    assert code == 1
    assert errors.startswith("error: model=m.safetensors")
    assert len(errors.splitlines()) == 1
    assert len(errors) < 500
    assert errors.strip().isprintable()


@pytest.mark.parametrize("config", ENDLESS.values(), ids=ENDLESS)
def test_a_network_beyond_the_files_weights_is_not_built(config: Any, tmp_path: Path) -> None:
    began = perf_counter()
    with pytest.raises(UserError, match=r"cannot be built|tensors differ"):
        Upscaler.from_pretrained(str(model(tmp_path / "m.safetensors", config)))
    assert perf_counter() - began < 20  # it would not end otherwise
