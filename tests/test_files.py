from pathlib import Path

import pytest

from sr_gan.files import atomic_write, readable


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
            raise OSError("disk full")

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
