from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan.data import Div2kData, FolderData, SkimageData
from sr_gan.data.crops import dihedral
from sr_gan.data.datamodule import SRData
from sr_gan.data.degradation import Degradation, Kinds
from sr_gan.data.feed import DeviceFeed
from sr_gan.errors import UserError


def transferred(data: SRData, raw: dict[str, Any]) -> dict[str, Any]:
    """What Lightning does between loading a batch and the training step."""
    return data.on_after_batch_transfer(data.on_before_batch_transfer(raw, 0), 0)


def test_batches_arrive_in_the_networks_ranges(photos: Path) -> None:
    data = FolderData(str(photos), crop=32, batch_size=2, workers=0)
    data.setup()
    raw = next(iter(data.train_dataloader()))
    assert raw["lr"].dtype == raw["hr"].dtype == torch.uint8
    batch = transferred(data, raw)
    assert set(batch) == {"lr", "hr"}
    assert batch["lr"].shape == (2, 3, 8, 8)
    assert batch["hr"].shape == (2, 3, 32, 32)
    torch.testing.assert_close(batch["lr"], raw["lr"] / 255)
    torch.testing.assert_close(batch["hr"], raw["hr"] / 255 * 2 - 1)


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
    assert item["hr"].shape == (1, 3, 40, 40)
    assert item["name"] == ["black.png"]


def test_recognises_a_div2k_folder(photos: Path, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / f"DIV2K_{split}_HR").symlink_to(photos)
    for data in (Div2kData(str(tmp_path), crop=32), FolderData(str(tmp_path), crop=32)):
        train, valid = data.collections()
        assert valid is not None
        assert (len(train.sources), len(valid.sources)) == (6, 6)


def test_skimage_photos_are_there() -> None:
    data = SkimageData(["astronaut.png"], ["chelsea.png"], batch_size=1)
    data.setup()
    assert data.describe().startswith("1 photo to train on, 1 held out (chelsea.png)")
    with pytest.raises(UserError, match=r"does not bring nothing\.png"):
        SkimageData(["nothing.png"], []).collections()


def test_an_epoch_must_fill_a_batch(photos: Path) -> None:
    with pytest.raises(UserError, match=r"5 crops, fewer than data.batch_size=16: set data.crops"):
        FolderData(str(photos), crop=32).setup()


@pytest.mark.parametrize("feed", ["loader", "device"])
def test_the_feed_does_not_change_the_batches(photos: Path, feed: str) -> None:
    def epoch(chosen: str) -> list[dict[str, Any]]:
        data = FolderData(str(photos), crop=32, batch_size=2, workers=2, seed=3, feed=chosen)
        data.setup()
        return [transferred(data, batch) for batch in data.train_dataloader()]

    batches, expected = epoch(feed), epoch("auto")
    assert len(batches) == len(expected) > 1
    for ours, auto in zip(batches, expected):
        assert torch.equal(ours["hr"], auto["hr"])
        assert torch.equal(ours["lr"], auto["lr"])


def test_a_degradation_sees_beyond_the_crop(photos: Path) -> None:
    """With a blur of fixed strength, LR crops equal those of whole photos that were blurred."""
    blur = Degradation(blur_sigma=(1.5, 1.5))
    data = FolderData(str(photos), crop=16, batch_size=4, degradation=blur, feed="device")
    data.setup()
    assert data.cut_side == 16 + 2 * 4 * blur.margin(4)
    raw = next(iter(data.train_dataloader()))
    row = data._feed.crops.table(0)[0]  # type: ignore[union-attr]
    batch = transferred(data, raw)
    assert batch["lr"].shape == (4, 3, 4, 4)
    assert batch["hr"].shape == (4, 3, 16, 16)
    photo = data.train_photos[row[0]]
    whole = torch.from_numpy(photo.hr.copy())[None] / 255
    lr = blur(whole, 4, torch.Generator()).mul(255).round()[0].numpy()
    top, left = row[1] + blur.margin(4), row[2] + blur.margin(4)
    expected = dihedral(lr[:, top : top + 4, left : left + 4], int(row[3]))
    assert np.array_equal(batch["lr"][0].mul(255).round().numpy(), expected)


def test_degradations_depend_on_the_draw_alone(photos: Path) -> None:
    noise = Degradation(noise_sigma=(20, 20))

    def epoch(feed: str, workers: int) -> list[torch.Tensor]:
        data = FolderData(
            str(photos), crop=32, batch_size=2, workers=workers, feed=feed, degradation=noise
        )
        data.setup()
        return [transferred(data, batch)["lr"] for batch in data.train_dataloader()]

    batches = epoch("loader", 0)
    for other in (epoch("loader", 2), epoch("device", 0)):
        assert all(torch.equal(a, b) for a, b in zip(batches, other))
    assert not torch.equal(batches[0], batches[1])


def test_validation_is_degraded_the_same_each_time(photos: Path) -> None:
    data = FolderData(
        str(photos), crop=32, batch_size=2, degradation=Degradation(noise_sigma=(20, 20))
    )
    data.setup()
    first, second = ([transferred(data, item) for item in data.val_dataloader()] for _ in range(2))
    assert torch.equal(first[0]["lr"], second[0]["lr"])
    clean = next(iter(data.val_dataloader()))["lr"] / 255
    assert first[0]["lr"].shape == clean.shape
    assert 5 < (first[0]["lr"] - clean).mul(255).std() < 25


def test_validation_in_kinds_is_not_degraded_beyond_them(photos: Path) -> None:
    noise, kinds = Degradation(noise_sigma=(20, 20)), ["clean", "jpeg75"]
    data = FolderData(
        str(photos), crop=32, batch_size=2, degradation=noise, valid_kinds=kinds, valid_images=1
    )
    data.setup()
    clean, saved = (transferred(data, item) for item in data.val_dataloader())
    assert (clean["kind"], saved["kind"]) == (["clean"], ["jpeg75"])
    lr = torch.from_numpy(data.valid_photos[0].lr.copy())
    assert torch.equal(clean["lr"][0].mul(255).round(), lr.float())
    assert 0.5 < (saved["lr"] - clean["lr"]).mul(255).abs().mean() < 8
    with pytest.raises(ValueError, match="should be an instance of Degradation"):
        FolderData(str(photos), degradation=Kinds(["clean"]))


def test_the_feed_stays_in_a_later_stage(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photos of a device feed take the memory of which a later stage would want more."""
    free = iter([10**9, 0])
    monkeypatch.setattr("sr_gan.data.feed.free_memory", lambda device: next(free))
    data = FolderData(str(photos), crop=32, batch_size=2)
    data.setup()
    first, second = data.train_dataloader(), data.train_dataloader()
    assert isinstance(first, DeviceFeed)
    assert isinstance(second, DeviceFeed)
    assert first.resident is second.resident


def test_advice_fits_the_feed(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_gan.data.datamodule.cores", lambda: 8)
    data = FolderData(str(photos), crop=32, batch_size=2, workers=2, feed="loader")
    data.setup()
    data.train_dataloader()
    assert data.advice() == "set data.workers=4 (now 2)"
    data.workers = 8
    assert data.advice().startswith("set data.feed=device")
    data.feed = "device"
    data.train_dataloader()
    assert "another program" in data.advice()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 50}, "crop=50 must be a multiple of scale=4"),
        ({"valid_crop": 50}, "valid_crop=50 must be a multiple of scale=4"),
        ({"valid_lr_dir": "."}, "valid_dir is not: set both or neither"),
    ],
)
def test_refuses_settings_that_contradict(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FolderData(".", **settings)
