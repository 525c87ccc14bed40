import logging
from pathlib import Path

import pytest

from sr_gan.data import div2k
from sr_gan.data.div2k import ARCHIVES, div2k_photos
from sr_gan.errors import UserError
from tests.data.test_sources import touch


def test_recognises_div2k_with_and_without_its_lr(tmp_path: Path) -> None:
    touch(tmp_path, "DIV2K_train_HR/0001.png", "DIV2K_train_HR/0002.png", "DIV2K_valid_HR/0801.png")
    assert [s.lr for s in div2k_photos(tmp_path, "train", 4).sources] == [None, None]
    touch(tmp_path, *(f"DIV2K_train_LR_bicubic/X4/000{i}x4.png" for i in (1, 2)))
    lr = [source.lr for source in div2k_photos(tmp_path, "train", 4).sources]
    assert [path and path.name for path in lr] == ["0001x4.png", "0002x4.png"]
    assert [s.lr for s in div2k_photos(tmp_path, "train", 2).sources] == [None, None]


def test_missing_div2k_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Get it with python -m sr_gan.prepare data=div2k"):
        div2k_photos(tmp_path, "train", 4)


def test_tells_when_photos_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path, "DIV2K_valid_HR/0801.png", "DIV2K_valid_HR/0802.png")
    monkeypatch.setitem(div2k.PHOTOS, "valid", 2)
    div2k_photos(tmp_path, "valid", 4)
    assert not caplog.text
    monkeypatch.setitem(div2k.PHOTOS, "valid", 3)
    with caplog.at_level(logging.WARNING):
        div2k_photos(tmp_path, "valid", 4)
    assert "DIV2K_valid_HR holds 2 of DIV2K's 3 photos" in caplog.text


def test_archives_are_the_official_ones() -> None:
    assert [(a.name, a.count, a.size) for a in ARCHIVES] == [
        ("DIV2K_train_HR.zip", 800, 3_530_603_713),
        ("DIV2K_valid_HR.zip", 100, 448_993_893),
    ]
