from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan.data import Div2kData, FolderData, SkimageData
from sr_gan.errors import UserError


def test_batches_arrive_in_the_networks_ranges(photos: Path) -> None:
    data = FolderData(str(photos), crop=32, batch_size=2, workers=0)
    data.setup()
    raw = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer(raw, 0)
    assert batch["lr"].shape == (2, 3, 8, 8)
    assert batch["hr"].shape == (2, 3, 32, 32)
    torch.testing.assert_close(batch["lr"], raw["lr"].permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(batch["hr"], raw["hr"].permute(0, 3, 1, 2) / 255 * 2 - 1)


def test_holds_out_or_takes_a_folder(photos: Path, tmp_path: Path) -> None:
    held = FolderData(str(photos), crop=32, batch_size=2)
    held.setup()
    assert "5 photos to train on, 1 held out" in held.describe()
    (tmp_path / "v").mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "v" / "black.png")
    given = FolderData(str(photos), str(tmp_path / "v"), crop=32, batch_size=2)
    given.setup()
    assert "6 photos to train on, 1 held out (black.png)" in given.describe()
    (item,) = given.val_dataloader()
    assert item["hr"].shape == (1, 40, 40, 3)
    assert item["name"] == ["black.png"]


def test_recognises_a_div2k_folder(photos: Path, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / f"DIV2K_{split}_HR").symlink_to(photos)
    for data in (Div2kData(str(tmp_path), crop=32), FolderData(str(tmp_path), crop=32)):
        assert [len(sources) for sources in data.sources()] == [6, 6]


def test_skimage_photos_are_there() -> None:
    data = SkimageData(["astronaut.png"], ["chelsea.png"], batch_size=1)
    data.setup()
    assert data.describe().startswith("1 photos to train on, 1 held out (chelsea.png)")
    with pytest.raises(UserError, match=r"does not bring nothing\.png"):
        SkimageData(["nothing.png"], []).sources()


def test_an_epoch_must_fill_a_batch(photos: Path) -> None:
    with pytest.raises(UserError, match=r"5 crops, fewer than data.batch_size=16: set data.crops"):
        FolderData(str(photos), crop=32).setup()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 50}, "crop must be a multiple of the scale 4, got 50"),
        ({"valid_crop": 50}, "valid_crop must be a multiple"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"workers": -1}, "workers and seed must be at least 0"),
        ({"valid_fraction": 1.5}, "valid_fraction must be between 0 and 1"),
        ({"valid_lr_dir": "x"}, "valid_dir is not: set both or neither"),
    ],
)
def test_refuses_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FolderData("photos", **settings)  # type: ignore[arg-type]
