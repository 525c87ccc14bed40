import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import DataLoader

from sr_gan.data.crops import EpochSampler, RandomCrops
from sr_gan.data.feed import (
    DeviceFeed,
    Resident,
    choose_feed,
    concatenate,
    gather,
    pack_batch,
    unpack_batch,
)
from sr_gan.data.photos import Photo
from tests.data.test_crops import photo

CPU = torch.device("cpu")


@pytest.fixture
def crops() -> RandomCrops:
    photos = [photo(64, 80, 1), photo(48, 48, 2), photo(100, 60, 3)]
    return RandomCrops(photos, crop=48, scale=4, crops_per_epoch=13)


def same(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    assert len(ours) == len(theirs) > 0
    return all(
        torch.equal(a["hr"].cpu(), b["hr"])
        and torch.equal(a["lr"].cpu(), b["lr"])
        and tuple(a["draw"]) == tuple(b["draw"])
        for a, b in zip(ours, theirs)
    )


def loaded(crops: RandomCrops, sampler: EpochSampler) -> list[Any]:
    return list(DataLoader(crops, 4, sampler=sampler, drop_last=True, collate_fn=lambda b: b))


def test_gives_the_loaders_batches(crops: RandomCrops) -> None:
    feed = DeviceFeed(crops, Resident(crops.photos, CPU), 4, EpochSampler(13))
    assert len(feed) == 3
    assert same(list(feed), loaded(crops, EpochSampler(13)))
    first = list(feed)
    feed.sampler.set_epoch(1)
    assert same(list(feed), loaded(crops, EpochSampler(13, epoch=1)))
    assert not same(list(feed), first)


def test_resumes_in_mid_epoch_and_shares_epochs(crops: RandomCrops) -> None:
    resident = Resident(crops.photos, CPU)
    for options in ({"epoch": 2, "start": 8}, {"rank": 1, "world": 2}, {"start": 2, "world": 2}):
        feed = DeviceFeed(crops, resident, 4, EpochSampler(13, **options))
        assert same(list(feed), loaded(crops, EpochSampler(13, **options)))


def gathered(crops: RandomCrops, device: torch.device) -> dict[str, torch.Tensor]:
    """Reads a whole epoch by the indexed read that a GPU does."""
    side = crops.crop // crops.scale
    rows = torch.from_numpy(crops.table(0)).to(device)
    index, top, left, turn = rows.unbind(1)
    hr = concatenate(crops.photos, "hr", device)
    lr = concatenate(crops.photos, "lr", device)
    return {
        "hr": gather(*hr, index, 4 * top, 4 * left, turn, 4 * side),
        "lr": gather(*lr, index, top, left, turn, side),
    }


def test_the_indexed_read_is_the_same_crop(crops: RandomCrops) -> None:
    crops.crops_per_epoch = 64
    expected = crops.__getitems__([(0, i) for i in range(64)])
    result = gathered(crops, CPU)
    assert torch.equal(result["hr"], expected["hr"])
    assert torch.equal(result["lr"], expected["lr"])
    assert set(crops.table(0)[:, 3]) == set(range(8))


def test_reaches_beyond_32_bit_offsets() -> None:
    """DIV2K has more bytes than an int32 can count; an expanded tensor needs no memory for them."""
    shapes = torch.tensor([[3_000_000_000, 8, 8]])
    pixels = torch.zeros(1, dtype=torch.uint8).expand(3_000_000_000 + 192)
    zero = torch.zeros(1, dtype=torch.int64)
    assert gather(pixels, shapes, zero, zero, zero, zero, 8).shape == (1, 3, 8, 8)


def test_resident_photos_are_read_one_at_a_time(crops: RandomCrops) -> None:
    """A process cannot map any number of files."""
    held: list[weakref.ref[Any]] = []

    class Mapped(Sequence[Photo]):
        def __len__(self) -> int:
            return len(crops.photos)

        def __getitem__(self, index: Any) -> Any:
            assert sum(reference() is not None for reference in held) < 2
            again = photo(64, 80, [1, 2, 3][index])
            held.append(weakref.ref(again.hr))
            return again

    pixels, _ = concatenate(Mapped(), "hr", CPU)
    assert len(held) > 3
    assert pixels.shape == (3 * 3 * 64 * 80,)


@pytest.mark.gpu
def test_a_gpu_gives_the_loaders_batches(crops: RandomCrops) -> None:
    feed = DeviceFeed(crops, Resident(crops.photos, torch.device("cuda")), 4, EpochSampler(13))
    batches = list(feed)
    assert batches[0]["hr"].is_cuda
    assert same(batches, loaded(crops, EpochSampler(13)))


def test_a_parcel_holds_the_batch(crops: RandomCrops) -> None:
    batch = crops.__getitems__([(0, i) for i in range(5)])
    hr, lr = batch["hr"].clone(), batch["lr"].clone()
    sent = pack_batch(batch)
    assert set(sent) == {"pixels", "draw"}
    assert sent["pixels"].is_shared()
    received = unpack_batch(sent, 48, 4)
    assert torch.equal(received["hr"], hr)
    assert torch.equal(received["lr"], lr)


def test_auto_goes_by_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = psutil.virtual_memory()._replace(available=10_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert choose_feed("auto", 4_000_000_000, CPU) == (
        "device",
        "4.00 GB of photos, 10.00 GB free on cpu",
    )
    assert choose_feed("auto", 4_000_000_001, CPU)[0] == "loader"
    for feed in ("loader", "device"):
        chosen, why = choose_feed(feed, 1, CPU)
        assert chosen == feed
        assert why.startswith("as set; ")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6_000_000_000, 6_400_000_000))
    gpu = torch.device("cuda", 0)
    assert choose_feed("auto", 7_140_000_000, gpu)[0] == "loader"  # DIV2K on a 6 GB GPU
    assert choose_feed("auto", 900_000_000, gpu) == (
        "device",
        "900.0 MB of photos, 6.00 GB free on cuda:0",
    )


def test_photos_travel_to_other_processes_by_name(photos: Path) -> None:
    """The pixels must not be sent to a spawned worker."""
    import pickle

    from sr_gan.data import FolderData

    data = FolderData(str(photos), crop=32, batch_size=2)
    data.setup()
    data.train_photos[0]
    sent = pickle.dumps(data.train_photos)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert isinstance(again[0], Photo)
    assert all(np.array_equal(a.hr, b.hr) for a, b in zip(again, data.train_photos))
