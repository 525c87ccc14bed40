"""``python -m sr_gan.export`` as a user calls it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from skimage import data

from sr_gan import Upscaler
from sr_gan.networks import SRResNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell

CONFIG = {"_target_": "sr_gan.networks.SRResNet", "scale": 2, "filters": 4, "blocks": 1}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_generator(SRResNet(2, filters=4, blocks=1), CONFIG, path)
    return path


def test_the_bundled_model_enlarges_a_photograph_as_here(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("export", "format=onnx", "output=there", "model=gan")
    assert (code, err) == (0, "")
    assert re.search(r"there/gan-x4\.onnx \(6\.\d MB, \d+ s\), differs by at most \S+ grey", out)
    file = tmp_path / "there" / "gan-x4.onnx"
    card, entry = tmp_path / "there" / "4x-gan.md", tmp_path / "there" / "4x-gan.json"
    assert {file, card, entry} == set(file.parent.iterdir())
    assert "`gan-x4.onnx` is for ONNX Runtime" in card.read_text()
    assert json.loads(entry.read_text())["resources"][0]["size"] == file.stat().st_size
    photo = torch.from_numpy(data.astronaut()[:61, 200:277].copy()).permute(2, 0, 1) / 255
    session = onnxruntime.InferenceSession(file)
    assert session.get_modelmeta().custom_metadata_map["license"] == "MIT"
    made = session.run(None, {"image": photo[None].numpy()})[0]
    ours = Upscaler.from_pretrained("gan", precision="fp32")(photo)
    torch.testing.assert_close(torch.from_numpy(made[0]), ours, rtol=0, atol=1e-4)


def test_one_format_that_fails_does_not_stop_the_others(
    shell: Shell, small: Path, tmp_path: Path
) -> None:
    code, out, err = shell("export", f"model={small}", "format=[spandrel,ncnn,basicsr,openvino]")
    assert code == 1
    assert "spandrel  failed: format=spandrel: spandrel knows RRDBNet" in out
    assert err == "error: 2 of 4 formats failed: spandrel, basicsr\n"
    names = ["small-x2-openvino.bin", "small-x2-openvino.xml", "small-x2.bin", "small-x2.param"]
    cards = ["2x-small.json", "2x-small.md"]
    assert sorted(file.name for file in (tmp_path / "exported").iterdir()) == cards + names
    bins = [tmp_path / "exported" / name for name in (names[0], names[2])]
    assert bins[0].read_bytes() != bins[1].read_bytes()


def test_a_card_that_was_changed_is_kept(shell: Shell, small: Path, tmp_path: Path) -> None:
    words = ["export", f"model={small}", "format=pt2", "author=Jane"]
    assert shell(*words)[0] == 0
    card = tmp_path / "exported" / "2x-small.md"
    assert not card.with_name("2x-small.md.old").exists()
    card.write_text("my own words")
    assert "kept    the earlier 2x-small.md, as 2x-small.md.old" in shell(*words)[1]
    assert card.with_name("2x-small.md.old").read_text() == "my own words"
    assert "Author: Jane" in card.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["format=onxx"], "format=onxx: allowed are onnx, ncnn"),
        ([], "format is not set"),
        (["format=[]"], "format=[]"),
        (["format=onnx", "model=bicubic"], "model=bicubic has no network to export"),
        (["format=onnx", "model=none.pth"], "model=none.pth does not exist"),
        (["format=[onnx,ncnn]", "web=true"], "web=true is for format=onnx"),
        (["format=pt2", "precision=fp16"], "precision=fp16: pt2 is exported in fp32 only"),
        (["format=onnx", "precision=int8"], "precision=int8"),
        (["format=onnx", "output=small.safetensors"], "output=small.safetensors cannot be written"),
        (["format=basicsr", "model=SELF"], "format=basicsr: BasicSR knows MSRResNet, not SRResNet"),
    ],
)
def test_mistakes_are_one_line(
    shell: Shell, small: Path, arguments: list[str], message: str, tmp_path: Path
) -> None:
    code, _, err = shell("export", *(each.replace("SELF", str(small)) for each in arguments))
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [small]


@pytest.mark.parametrize(
    ("form", "package"),
    [
        *(("onnx", "onnx"), ("onnx", "onnxruntime"), ("ncnn", "pnnx"), ("spandrel", "spandrel")),
        ("openvino", "openvino"),
    ],
)
def test_a_missing_package_is_named(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, form: str, package: str
) -> None:
    monkeypatch.setattr("sr_gan.settings.extras.installed", lambda name: name != package)
    code, _, err = shell("export", f"format={form}")
    assert code == 1
    needs = f"format={form} needs the package {package}: pip install 'sr_gan[export]'"
    assert err == f"error: {needs}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="of another system")
def test_a_folder_in_the_place_of_a_file(shell: Shell, small: Path, tmp_path: Path) -> None:
    (tmp_path / "exported" / "small-x2.pt2").mkdir(parents=True)
    code, _, err = shell("export", f"model={small}", "format=pt2")
    assert code == 1
    assert "small-x2.pt2" in err
    assert len(err.strip().splitlines()) == 1
    assert [file.name for file in (tmp_path / "exported").iterdir()] == ["small-x2.pt2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="resource is of Unix")
@pytest.mark.parametrize("form", ["onnx", "ncnn", "pt2", "openvino"])
def test_a_disk_that_takes_no_more(small: Path, tmp_path: Path, form: str) -> None:
    """A limit on the size of files stands in for a full disk."""
    code = f"""
import resource, signal, sys
sys.argv = ["sr-gan", "export", "model={small}", "format={form}", "output=there"]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from sr_gan.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert list(tmp_path.iterdir()) == [small]
