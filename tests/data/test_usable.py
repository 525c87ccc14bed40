import logging
from pathlib import Path

import pytest

from sr_gan.data.cache import Cache
from sr_gan.data.photos import Photos
from sr_gan.data.sources import folder_photos
from sr_gan.data.usable import usable, warn_of_leaks
from sr_gan.errors import UserError
from sr_gan.files import printable
from tests.conftest import random_photo
from tests.images.made_files import save


def open_all(folder: Path, on_bad: str, least: int = 32) -> Photos:
    files = folder_photos(folder)
    return usable(*Cache.of(files, 4).open(files), files, least, on_bad)


@pytest.fixture
def mess(tmp_path: Path) -> Path:
    save(tmp_path / "good.png", random_photo(64, 64))
    save(tmp_path / "small.png", random_photo(20, 64))
    (tmp_path / "text.jpg").write_text("no image at all")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    (tmp_path / "link.png").symlink_to("nowhere")
    return tmp_path


def test_one_report_names_every_file_and_reason(mess: Path) -> None:
    with pytest.raises(UserError) as error:
        open_all(mess, "error")
    first, *lines = str(error.value).splitlines()
    assert first == "4 images cannot be used:"
    assert lines == [
        f"  {mess}/cut.png: cannot be decoded: damaged, cut off, or of a rare kind",
        f"  {mess}/link.png: a broken link",
        f"  {mess}/small.png: 64x20 pixels, smaller than 32x32",
        f"  {mess}/text.jpg: not an image, or damaged at its beginning",
        "  remove or replace them, or go on with data.on_bad=skip; a lower data.crop takes smaller "
        "photos",
    ]


def test_skip_goes_on_and_tells(mess: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [photo.name for photo in open_all(mess, "skip")] == ["good.png"]
    assert "left out: 4 images cannot be used" in caplog.text
    assert "small.png: 64x20 pixels" in caplog.text
    (mess / "good.png").unlink()
    with pytest.raises(UserError, match=r"no photo of .* can be used"):
        open_all(mess, "skip")


def test_a_very_long_report_is_a_file(tmp_path: Path) -> None:
    for i in range(45):
        (tmp_path / f"{i:02}.png").write_text("no image")
    with pytest.raises(UserError) as error:
        open_all(tmp_path, "error")
    lines = str(error.value).splitlines()
    assert len(lines) == 1 + 20 + 1 + 1
    rest, path = lines[-2].split(", all in ")
    assert rest.strip() == "and 25 more"
    assert len(Path(path).read_text().splitlines()) == 45


def test_a_crop_that_is_too_large_for_all_photos_is_one_line(tmp_path: Path) -> None:
    for i in range(12):
        save(tmp_path / f"{i}.png", random_photo(40, 20 + i))
    with pytest.raises(UserError, match=r"every photo of .* is smaller than 4096x4096") as error:
        open_all(tmp_path, "error", least=4096)
    assert "the shorter side of the largest has 28: set a lower data.crop" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cache_that_cannot_be_written_prints_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    for i in range(45):
        (tmp_path / f"{i:02}.png").write_text("no image")
    monkeypatch.setattr("sr_gan.data.usable.atomic_write", refuse)
    with pytest.raises(UserError) as error:
        open_all(tmp_path, "error")
    assert str(error.value).count("not an image") == 45


def test_copies_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.png", random_photo(40, 40))
    save(tmp_path / "b.bmp", random_photo(40, 40))
    save(tmp_path / "c.png", random_photo(40, 40, seed=1))
    (tmp_path / "d.png").symlink_to(tmp_path / "c.png")
    with caplog.at_level(logging.WARNING):
        assert [photo.name for photo in open_all(tmp_path, "error")] == ["a.png", "c.png"]
    assert "copies of other photos left out, 2 in all: b.bmp = a.png, d.png = c.png" in caplog.text


def test_tells_of_validation_photos_that_are_trained_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train/a.png", "valid/b.png", "valid/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / name, random_photo(40, 40, seed=int("c" in name)))
    train, valid = (open_all(tmp_path / split, "error") for split in ("train", "valid"))
    with caplog.at_level(logging.WARNING):
        warn_of_leaks(train, valid)
    assert "1 validation photo is trained on too" in caplog.text
    assert caplog.text.strip().endswith("b.png")


def test_any_name_can_be_printed() -> None:
    assert printable("grüße 写真.png") == "grüße 写真.png"
    for name in ("a\udcff.png", "a\nb.png", "\x1b[31m.png"):
        printable(name).encode()
        assert printable(name).isprintable()
