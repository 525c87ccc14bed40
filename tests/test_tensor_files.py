"""Every file that is no file of weights is refused in our own words, which never advise risks."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sr_gan.errors import UserError
from sr_gan.tensor_files import load_tensors


class Program:
    """Makes the file ``marker`` when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("marker"),)  # type: ignore[return-value]


def saved(path: Path, content: object = None) -> bytearray:
    torch.save({"a": torch.zeros(1000)} if content is None else content, path)
    return bytearray(path.read_bytes())


def flipped(path: Path) -> None:
    data = saved(path)
    data[bytes(data).index(bytes(3000)) + 100] ^= 4
    path.write_bytes(data)


def compressed(path: Path) -> None:
    saved(path)
    with zipfile.ZipFile(path) as content:
        parts = {name: content.read(name) for name in content.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data in parts.items():
            content.writestr(name, data)


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("photos/a.png", "no photo")


NO_WEIGHTS = "is not a file of weights"
MORE = "holds more than tensors and plain data"
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda path: path.write_bytes(b"x"), NO_WEIGHTS),
    "nothing": (Path.touch, NO_WEIGHTS),
    "a text": (lambda path: path.write_text("text"), NO_WEIGHTS),
    "a photo": (lambda path: Image.new("RGB", (9, 9)).save(path, "PNG"), NO_WEIGHTS),
    "the begin of a pickle": (lambda path: path.write_bytes(b"\x80"), MORE),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(Program())), MORE),
    "an old pickle": (lambda path: path.write_bytes(pickle.dumps(Program(), 0)), NO_WEIGHTS),
    "a checkpoint with code": (lambda path: saved(path, {"a": Program()}), MORE),
    "a checkpoint before torch 1.6": (
        lambda path: torch.save({"a": Program()}, path, _use_new_zipfile_serialization=False),
        MORE,
    ),
    "TorchScript": (
        lambda path: torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path),
        NO_WEIGHTS,
    ),
    "another zip": (archive, NO_WEIGHTS),
    "compressed": (compressed, NO_WEIGHTS),
    "cut off": (lambda path: path.write_bytes(saved(path)[:-100]), "is damaged, or cut off"),
    "a flipped bit": (flipped, "is damaged: its content differs from its checksums"),
    "a folder": (Path.mkdir, "cannot be read: Is a directory"),
    "a list": (lambda path: saved(path, [1]), "holds a list, not a dictionary of tensors"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_no_file_of_weights(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, reason = FILES[name]
    make(Path("file.ckpt"))
    with pytest.raises(UserError, match=r"^file\.ckpt ") as error:
        load_tensors(Path("file.ckpt"))
    assert reason in str(error.value)
    assert "weights_only" not in str(error.value)
    assert not Path("marker").exists()


@pytest.mark.parametrize("new", [True, False])
def test_files_of_every_version_are_read(tmp_path: Path, new: bool) -> None:
    tensor = torch.arange(5.0)
    torch.save({"a": tensor}, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    assert torch.equal(load_tensors(tmp_path / "a.pth")["a"], tensor)
