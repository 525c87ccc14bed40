"""Archives with hostile members, folders that are filled in part, and interrupted unpacking."""

import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from sr_gan.data.download.unzip import unpack
from sr_gan.errors import UserError
from tests.data.download.mirror import ARCHIVE, PHOTOS, ZIP, contents, zipped

PATHS = ["../evil", "LR/X4/../../../evil", "/evil", "LR\\..\\evil", "C:/evil", "LR/X4/..", "a/C:/b"]
KINDS = [stat.S_IFLNK, stat.S_IFIFO]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / ARCHIVE.name).write_bytes(ZIP)
    return root


@pytest.mark.parametrize(
    ("name", "mode", "what"),
    [(name, stat.S_IFREG, "has a path that may lead out") for name in PATHS]
    + [("LR/X4/odd.png", kind, "is a link or a device") for kind in KINDS],
)
def test_hostile_members_are_refused(name: str, mode: int, what: str, root: Path) -> None:
    body = zipped({**PHOTOS, name: b"/etc/passwd"}, mode)
    (root / ARCHIVE.name).write_bytes(body)
    with pytest.raises(UserError) as caught:
        unpack(ARCHIVE, root)
    expected = f"{root / ARCHIVE.name} is not safe and was not unpacked: its member {name!r} {what}"
    assert str(caught.value).startswith(expected)
    assert contents(root.parent) == {"root/LR X4.zip": body}


def test_all_files_appear_at_the_same_moment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, moves = Path.replace, []

    def recorded(source: Path, target: Path) -> Path:
        moves.append(target)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", recorded)
    unpack(ARCHIVE, root)
    assert moves == [root / "LR/X4"]
    assert contents(root) == {"LR X4.zip": ZIP, **PHOTOS}


def test_interrupted_unpacking_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = shutil.copyfileobj
    copied: list[Any] = []

    def interrupted(source: Any, target: Any, *args: Any) -> None:
        if len(copied) == 3:
            raise KeyboardInterrupt
        copy(source, target, *args)
        copied.append(target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack(ARCHIVE, root)
    assert len(copied) == 3
    assert contents(root) == {"LR X4.zip": ZIP}


def test_leftovers_of_a_killed_process_are_not_used(root: Path) -> None:
    leftover = root / ".LR X4.zip.part/LR/X4"
    leftover.mkdir(parents=True)
    (leftover / "0009.png").write_bytes(b"of another version")
    unpack(ARCHIVE, root)
    assert contents(root) == {"LR X4.zip": ZIP, **PHOTOS}


def test_gaps_are_filled_and_nothing_is_overwritten(root: Path) -> None:
    (root / "LR/X4").mkdir(parents=True)
    own = {"LR/X4/0001.png": bytes(100_000), "LR/X4/mine.png": b"mine"}
    for name, data in own.items():
        (root / name).write_bytes(data)
    unpack(ARCHIVE, root)
    assert contents(root) == {"LR X4.zip": ZIP, **PHOTOS, **own}
    assert not list(root.glob(".*.part"))


def test_file_of_another_size_is_named(root: Path) -> None:
    (root / "LR/X4").mkdir(parents=True)
    (root / "LR/X4/0001.png").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"0001.png has another size than in LR X4.zip: delete it"):
        unpack(ARCHIVE, root)
    assert contents(root / "LR") == {"X4/0001.png": b"cut off"}
