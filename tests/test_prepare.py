"""The command as a user types it; DIV2K's archives come from a server on this machine."""

import hashlib
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sr_gan.data import datasets
from sr_gan.data.div2k import ARCHIVES
from tests.conftest import Shell


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def run(shell: Shell) -> Shell:
    return partial(shell, "prepare")


@pytest.fixture
def mirror(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with both of DIV2K's archives, grown small."""
    (tmp_path / "www").mkdir()
    small = []
    for archive in ARCHIVES:
        file = tmp_path / "www" / archive.name
        with zipfile.ZipFile(file, "w") as content:
            for i, photo in enumerate(sorted(photos.rglob("*.*"))[:3]):
                content.write(photo, f"{archive.folder}/{i:04}{photo.suffix}")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        size = file.stat().st_size
        small.append(replace(archive, count=3, size=size, sha256=digest))
    monkeypatch.setattr(datasets, "ARCHIVES", tuple(small))
    handler = partial(Silent, directory=str(tmp_path / "www"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_div2k_in_one_command(run: Shell, mirror: str, tmp_path: Path) -> None:
    code, output, _ = run("data=div2k", f"data.url={mirror}", "data.cache_dir=cache")
    assert code == 0, output
    assert "data/DIV2K/DIV2K_train_HR: 3 photos, 0.0 megapixels" in output
    assert "data/DIV2K/DIV2K_valid_HR: 3 photos" in output
    assert len(list(tmp_path.glob("data/DIV2K/DIV2K_train_HR/*"))) == 3
    assert len(list(tmp_path.glob("cache/*/*.safetensors"))) == 6
    shutil.rmtree(tmp_path / "www")  # what is there needs no server
    code, output, _ = run("data=div2k", f"data.url={mirror}", "data.cache_dir=cache")
    assert code == 0
    assert "decoding" not in output
    assert not list(tmp_path.glob("*.log"))


def test_a_file_that_the_mirror_lacks_is_one_line(run: Shell, mirror: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "DIV2K_valid_HR.zip").unlink()
    code, _, errors = run("data=div2k", f"data.url={mirror}")
    assert code == 1
    line = errors.strip().splitlines()[-1]
    assert line.startswith(f"error: {mirror}/DIV2K_valid_HR.zip cannot be fetched: status 404")
    assert "Place DIV2K_valid_HR.zip in data/DIV2K by hand" in line


def test_a_damaged_archive_is_one_line(run: Shell, mirror: str, tmp_path: Path) -> None:
    file = tmp_path / "www" / "DIV2K_train_HR.zip"
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    file.write_bytes(data)
    code, _, errors = run("data=div2k", f"data.url={mirror}")
    assert code == 1
    assert "DIV2K_train_HR.zip is damaged or another version" in errors
    assert "Traceback" not in errors


def test_any_folder(run: Shell, photos: Path) -> None:
    code, output, _ = run("data=folder", f"data.train_dir={photos}", "data.cache_dir=cache")
    assert code == 0
    assert f"{photos}: 6 photos" in output
    assert "MB in cache/photos" in output


def test_another_scale_and_what_skimage_brings(run: Shell, tmp_path: Path) -> None:
    code, output, _ = run("data=skimage", "scale=2", "data.cache_dir=cache")
    assert code == 0
    assert "5 photos, " in output
    assert "1 photo, " in output
    assert len(list(tmp_path.glob("cache/data-x2-*"))) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "data.train_dir is not set: give it on the command line"),
        ("data=nothing", "data=nothing: no such choice (allowed: base, div2k, folder, skimage)"),
        ("data=folder data.train_dir=none", "data.train_dir=none: does not exist: give a folder"),
        ("data=div2k data.url=nowhere", "data.url=nowhere is not a URL"),
        ("data=div2k data.rot=x", "data.rot is not a setting"),
        ("data=skimage scale=3", "scale=3: allowed are 2, 4, 8"),
        ("gan.epochs=3", "gan"),
    ],
)
def test_a_mistake_is_one_line(run: Shell, tmp_path: Path, arguments: str, message: str) -> None:
    code, _, errors = run(*arguments.split())
    assert code == 1
    (line,) = errors.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert tmp_path.is_dir()  # an empty folder, where the command ran, is nobody's to remove


def test_bad_files_are_an_error_or_skipped(run: Shell, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "mine")
    (tmp_path / "mine" / "broken.png").write_text("no image")
    code, _, errors = run("data.train_dir=mine")
    assert code == 1
    assert "mine/broken.png: not an image" in errors
    code, output, _ = run("data.train_dir=mine", "data.on_bad=skip")
    assert code == 0
    assert "left out: 1 image cannot be used" in output
    assert "mine: 6 photos" in output


def test_help_reads_well(run: Shell) -> None:
    code, text, _ = run("--help")
    assert code == 0
    assert text.startswith("python -m sr_gan.prepare data=CHOICE [KEY=VALUE ...]")
    assert "data: base, div2k, folder, skimage" in text
    assert max(len(line) for line in text.splitlines()) <= 100
