from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from sr_gan.data.images import load_photos
from sr_gan.data.resize import downscale
from sr_gan.data.sources import Source
from sr_gan.errors import UserError
from tests.conftest import random_photo


def save(path: Path, array: np.ndarray, **options: object) -> Source:
    Image.fromarray(array).save(path, **options)  # type: ignore[arg-type]
    return Source(path)


def test_reduces_the_whole_photo_exactly(tmp_path: Path) -> None:
    array = random_photo(43, 50)
    (photo,) = load_photos([save(tmp_path / "a.png", array)], scale=4, least=8)
    assert np.array_equal(photo.hr, array[:40, :48])  # cut to a multiple of the scale
    tensor = torch.from_numpy(array[:40, :48].copy()).permute(2, 0, 1)[None]
    assert np.array_equal(photo.lr, downscale(tensor, 4)[0].permute(1, 2, 0).numpy())
    assert photo.name == "a.png"


def test_takes_given_lr_images(tmp_path: Path) -> None:
    hr = save(tmp_path / "a.png", random_photo(40, 48)).hr
    lr = random_photo(10, 12, seed=1)
    (photo,) = load_photos([Source(hr, save(tmp_path / "ax4.png", lr).hr)], scale=4, least=8)
    assert np.array_equal(photo.lr, lr)


def test_turns_and_converts(tmp_path: Path) -> None:
    array = random_photo(24, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to view
    sources = [
        save(tmp_path / "turned.png", array, exif=exif),
        save(tmp_path / "grey.png", array[..., 0]),
        save(tmp_path / "grey16.png", array[..., 0].astype(np.uint16) * 257),
    ]
    turned, grey, grey16 = load_photos(sources, scale=4, least=8)
    assert np.array_equal(turned.hr, np.rot90(array, -1))
    for photo in (grey, grey16):
        assert np.array_equal(photo.hr, np.repeat(array[..., :1], 3, axis=2))


def test_reports_every_bad_file_at_once(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", random_photo(64, 64))
    small = save(tmp_path / "small.png", random_photo(20, 64))
    text, cut = Source(tmp_path / "text.jpg"), Source(tmp_path / "cut.png")
    text.hr.write_text("no image at all")
    cut.hr.write_bytes(good.hr.read_bytes()[:2000])
    with pytest.raises(UserError) as error:
        load_photos([good, small, text], scale=4, least=32)
    assert "2 images cannot be used" in str(error.value)
    assert f"{small.hr}: 64x20 pixels, smaller than 32x32" in str(error.value)
    assert f"{text.hr}: not an image" in str(error.value)
    with pytest.raises(UserError, match=r"1 image cannot be used.*\n.*cut\.png: .*truncated"):
        load_photos([good, cut], scale=4, least=32)


def test_refuses_an_lr_image_of_another_size(tmp_path: Path) -> None:
    hr = save(tmp_path / "a.png", random_photo(40, 48)).hr
    lr = save(tmp_path / "ax4.png", random_photo(10, 10)).hr
    with pytest.raises(UserError, match=r"ax4\.png: 10x10 pixels, but a x4 reduction .* 12x10"):
        load_photos([Source(hr, lr)], scale=4, least=8)


def test_refuses_more_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "a.png", random_photo(64, 64))
    memory = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(UserError, match=r"1 photos need .* GB of memory"):
        load_photos([source], scale=4, least=8)
