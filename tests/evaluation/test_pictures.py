from pathlib import Path

import pytest

from sr_gan.data.sources import Collection, Source
from sr_gan.errors import UserError
from sr_gan.evaluation.pictures import find_pictures


def found(tmp_path: Path, photos: list[str], pictures: list[str]) -> list[str]:
    """The names of the pictures, in the order of the photographs."""
    for folder, names in (("hr", photos), ("sr", pictures)):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    paths = [tmp_path / "hr" / name for name in photos]
    photos_there = Collection(tmp_path / "hr", [Source(path) for path in paths])
    pairs = find_pictures(photos_there, tmp_path / "sr", "sr")
    return [str(pairs[path].relative_to(tmp_path / "sr")) for path in paths]


@pytest.mark.parametrize(
    ("photo", "picture"),
    [
        ("0001.png", "0001.jpg"),
        ("0001.png", "0001x4.png"),
        ("0001.png", "0001_SR.png"),
        ("0001.png", "0001_out.png"),
        ("0001.png", "0001-realesrgan-x4plus.png"),
        ("baby.png", "baby_EDSR_Lx4_f64b16_Set5.png"),
        ("baby.png", "Baby.PNG"),
        ("img_001_SRF_4_HR.png", "img_001_SRF_4_SRGAN.png"),
        ("img_001_SRF_4_HR.png", "img_001_SRF_4.png"),
        ("a/0001.png", "a/0001_x4.png"),
        ("a/0001.png", "0001_x4.png"),
    ],
)
def test_names_that_programs_give(tmp_path: Path, photo: str, picture: str) -> None:
    assert found(tmp_path, [photo], [picture]) == [picture]


def test_a_name_that_begins_another_does_not_take_its_picture(tmp_path: Path) -> None:
    photos = ["a.png", "a_1.png", "a_10.png", "ab.png"]
    pictures = ["a_x4.png", "a_1_x4.png", "a_10_x4.png", "ab_x4.png"]
    assert found(tmp_path, photos, pictures) == pictures


def test_thousands_of_pictures_are_found_at_once(tmp_path: Path) -> None:
    photos = [f"{i:05}.png" for i in range(1500)]
    pictures = [f"{i:05}x4.png" for i in range(1500)]
    assert found(tmp_path, photos, pictures) == pictures


def test_photographs_that_are_named_as_pictures(tmp_path: Path) -> None:
    photos = ["a.png", "a_x4.png", "b_HR.png"]
    assert found(tmp_path, photos, photos) == photos


def test_pictures_that_are_missing_or_there_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no picture of 1 of 1 photographs \(a\.png\)"):
        found(tmp_path / "other", ["a.png"], ["a_2_x4.png", "a-3.png"])
    with pytest.raises(UserError, match=r"several pictures of a\.png: a\.png, a_SR\.png; keep one"):
        found(tmp_path / "both", ["a.png"], ["a.png", "a_SR.png"])
    with pytest.raises(UserError, match=r"no picture of 2 of 3 photographs \(b\.png, c\.png\)"):
        found(tmp_path, ["a.png", "b.png", "c.png"], ["a.png", "bx.png", "cats.png"])
    with pytest.raises(UserError, match=r"several pictures of a\.png: a\.jpg, a\.png; keep one"):
        found(tmp_path / "twice", ["a.png"], ["a.png", "a.jpg"])
