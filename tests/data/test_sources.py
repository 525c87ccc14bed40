import errno
import itertools
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from sr_gan.data.sources import folder_photos, hold_out
from sr_gan.errors import UserError
from sr_gan.images.find import list_images, matches


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_lists_nested_images_of_all_types(photos: Path) -> None:
    names = [path.relative_to(photos).as_posix() for path in list_images(photos)]
    assert names == ["a.png", "b.jpg", "c.webp", "more/d.bmp", "more/e.tiff", "more/f.PNG"]


def test_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    file, *_ = touch(tmp_path, "file.txt", "empty/readme.txt")
    for folder, message in [
        (tmp_path / "missing", "missing does not exist"),
        (file, "file.txt is a file, not a folder"),
        (tmp_path / "empty", "empty holds no images: looked for .png, .jpg"),
    ]:
        with pytest.raises(UserError, match=message):
            list_images(folder)


def test_enters_links_once_and_leaves_hidden_files_out(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/.2.png", ".thumbs/3.png", "__MACOSX/4.png", "a/5.PNG")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a/1.png", "a/5.PNG", "b.png"]


def test_a_folder_goes_by_its_own_name_not_by_that_of_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "b/c/2.png", "outside/3.png", "in/4.png")
    (tmp_path / "a").symlink_to("b/c")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "up").symlink_to("..")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["b/1.png", "b/c/2.png", "in/4.png", "outside/3.png"]
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path / "in")]
    assert names == ["in/4.png", "in/linked/3.png"]


def test_counts_files_of_other_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.png", "b/1.CR2", "b/2.cr2", "a.txt", "Makefile", "c.\n")
    touch(tmp_path, ".hidden", ".hidden.d/x.txt", "b/Thumbs.db", "desktop.ini")
    kinds = r"kinds that are not read: .cr2 2, no extension 1, .txt 1, '.\n' 1"
    with caplog.at_level(logging.INFO):
        list_images(tmp_path)
        assert caplog.messages == [f"skipped 5 files in {tmp_path}, of {kinds}"]
        caplog.clear()
        matches(f"{tmp_path}/a.*", "input")
        where = tmp_path / "a.*"
        assert caplog.messages == [f"skipped 1 file in {where}, of kinds that are not read: .txt 1"]
        caplog.clear()
        (tmp_path / "a.txt").unlink()
        assert matches(f"{tmp_path}/a.*", "input") == [tmp_path / "a.png"]
    assert not caplog.messages


def test_names_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def refusing(path: str) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match=r"locked cannot be read: Permission denied"):
        list_images(tmp_path)


def test_pairs_lr_images_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "hr/a/1.png", "hr/2.jpg", "hr/3.png", "lr/a/1x4.png", "lr/2.png", "lr/9.png")
    photos = folder_photos(tmp_path / "hr", tmp_path / "lr", 4)
    names = [source.lr and source.lr.relative_to(tmp_path).as_posix() for source in photos.sources]
    assert names == ["lr/2.png", "lr/3x4.png", "lr/a/1x4.png"]  # the second one is missing
    assert "1 image in" in caplog.text


@pytest.mark.parametrize(("count", "held"), [(2, 1), (10, 1), (170, 17)])
def test_holds_out_every_nth(count: int, held: int) -> None:
    indices = hold_out(count, 0.1)
    assert len(indices) == held == len(set(indices))
    assert indices == sorted(indices)
    assert indices[0] >= 0
    assert indices[-1] < count
    assert {b - a for a, b in itertools.pairwise(indices)} <= {10}


def test_cannot_hold_out_the_only_photo() -> None:
    with pytest.raises(UserError, match=r"1 photo is not enough to hold one out"):
        hold_out(1, 0.1)
