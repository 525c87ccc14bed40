from pathlib import Path

import pytest

from sr_gan.data.sources import Source, div2k_sources, folder_sources, hold_out, list_images
from sr_gan.errors import UserError


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


def test_pairs_lr_images_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "hr/a/1.png", "hr/2.jpg", "lr/a/1x4.png", "lr/2.png")
    pairs = folder_sources(tmp_path / "hr", tmp_path / "lr", 4)
    assert [pair.lr and pair.lr.name for pair in pairs] == ["2.png", "1x4.png"]
    touch(tmp_path, "hr/3.png")
    with pytest.raises(UserError, match=r"3\.png has no reduced image 3x4 or 3 in"):
        folder_sources(tmp_path / "hr", tmp_path / "lr", 4)


def test_recognises_div2k_with_and_without_its_lr(tmp_path: Path) -> None:
    touch(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_train_HR/0002.png", "DIV2K_valid_HR/0801.png")
    assert [s.lr for s in div2k_sources(tmp_path, "train", 4)] == [None, None]
    touch(tmp_path, *(f"DIV2K_train_LR_bicubic/X4/000{i}x4.png" for i in (1, 2)))
    lr = [source.lr for source in div2k_sources(tmp_path, "train", 4)]
    assert [path and path.name for path in lr] == ["0001x4.png", "0002x4.png"]
    assert [s.lr for s in div2k_sources(tmp_path, "train", 2)] == [None, None]


def test_missing_div2k_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Download https://.*/DIV2K_train_HR\.zip, unpack it in"):
        div2k_sources(tmp_path, "train", 4)


@pytest.mark.parametrize(("count", "held"), [(2, 1), (10, 1), (170, 17)])
def test_holds_out_every_nth(count: int, held: int) -> None:
    sources = [Source(Path(f"{i:03}.png")) for i in range(count)]
    train, valid = hold_out(sources, 0.1)
    assert len(valid) == held
    assert sorted(train + valid, key=lambda s: s.hr) == sources
    assert (train, valid) == hold_out(sources, 0.1)


def test_cannot_hold_out_the_only_photo() -> None:
    with pytest.raises(UserError, match=r"a\.png is the only photo"):
        hold_out([Source(Path("a.png"))], 0.1)
