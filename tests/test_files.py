import errno
import os
import time
from pathlib import Path

import pytest

from sr_gan import files
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, check_writable, readable, real, remove_abandoned, shortened
from tests.conftest import leave_part


def test_replaces_the_file_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as file:
        file.write("whole")
        assert not path.exists()
    assert path.read_text() == "whole"


def test_an_exception_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_write(path, "wb") as file:
            file.write(b"half")
            raise OSError(28, "disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_sizes_can_be_read() -> None:
    assert [readable(size) for size in (0, 4_200_000, 999_900_000, 7_140_000_000)] == [
        "0.0 MB",
        "4.2 MB",
        "999.9 MB",
        "7.14 GB",
    ]


def test_what_a_killed_process_left_is_used_again(tmp_path: Path) -> None:
    leave_part(tmp_path / "file.txt")
    with atomic_write(tmp_path / "file.txt") as file:
        file.write("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.txt", "new")]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    leave_part(tmp_path / "run" / "checkpoints" / "last.ckpt")
    (tmp_path / "run" / ".folder.part").mkdir()
    (tmp_path / "run" / "mine.part").touch()
    with atomic_write(tmp_path / "run" / "alive.txt") as file:
        remove_abandoned(tmp_path)
        file.write("whole")
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"run", "checkpoints", ".folder.part", "mine.part", "alive.txt"}
    assert (tmp_path / "run" / "alive.txt").read_text() == "whole"


def test_those_of_other_machines_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in {"new": 1, "old": 48}.items():
        path = tmp_path / f".{name}.elsewhere.0.part"
        path.touch()
        os.utime(path, times=(time.time() - age * 3600,) * 2)
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".new.elsewhere.0.part"]


def test_one_file_is_written_twice_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write("first")
        second.write("second")
    assert path.read_text() == "first"  # which was closed last
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    leave_part(tmp_path / "file.txt")
    (part,) = tmp_path.iterdir()
    part.unlink()
    part.symlink_to(tmp_path / "mine.txt")
    (tmp_path / "mine.txt").write_text("mine")
    with atomic_write(tmp_path / "file.txt") as file:
        file.write("new")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "file.txt").read_text() == "new"
    remove_abandoned(tmp_path)
    assert part.is_symlink()


@pytest.mark.parametrize("system", ["no locks on this disk", "Windows"])
def test_writes_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    def unsupported(*arguments: object) -> None:
        raise OSError("no locks available")

    if system == "Windows":
        monkeypatch.setattr(files, "fcntl", None)
    else:
        monkeypatch.setattr("fcntl.flock", unsupported)
    with atomic_write(tmp_path / "file.txt") as file:
        file.write("whole")
        remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 125 + ".txt")
    with atomic_write(path) as file:
        file.write("whole")
    assert path.read_text() == "whole"


def test_names_are_shortened_at_whole_letters() -> None:
    assert shortened("a", ".png") == "a.png"
    assert shortened("ü" * 125 + "n", ".png") == "ü" * 125 + "n.png"
    assert shortened("ü" * 125 + "n", ".tiff") == "ü" * 125 + ".tiff"


@pytest.mark.parametrize("name", ["n" * 251 + ".txt", "ü" * 125 + ".txt", "\udcff" * 255])
def test_what_is_killed_while_it_writes_the_longest_name_is_removed(
    tmp_path: Path, name: str
) -> None:
    with atomic_write(tmp_path / name) as file:
        (part,) = tmp_path.iterdir()
        file.write("whole")
    part.touch()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file/a.png", "file: Not a directory"),
        ("file/sub/deeper/a.png", "file: Not a directory"),
        ("gone/a.png", "gone: Not a directory"),
        ("n" * 256, "n: File name too long"),
        ("new/" + "ü" * 128 + "/a.png", "ü: File name too long"),
        ("long/" * 1000, "long: File name too long"),
        ("/proc/new/a.png", "(/proc: "),
        ("taken", "taken: Is a directory"),
    ],
)
def test_what_cannot_be_written_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("gone").symlink_to("nowhere")
    Path("taken").mkdir()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError) as error:
        check_writable([tmp_path / "fine" / "a.png", Path(path)], "output=x")
    text = str(error.value)
    assert text.startswith("output=x cannot be written (")
    assert message in text
    assert text.endswith("): give another folder")
    assert set(tmp_path.rglob("*")) == before


def test_a_read_only_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(dir))

    monkeypatch.setattr(files, "TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"output=x cannot be written \(/.*: Read-only file system"):
        check_writable([tmp_path / "new" / "a.png"], "output=x")


def test_what_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "link.png").symlink_to("nowhere")
    names = ["a.png", "link.png", "new/folder/a.png", "n" * 255]
    check_writable([tmp_path / name for name in names], "output=x")
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "link.png"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_locked_folder_names_the_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError) as error, atomic_write(tmp_path / "file.txt"):
        pass
    assert error.value.filename == str(tmp_path / "file.txt")


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert real(tmp_path / "a").parent == tmp_path
