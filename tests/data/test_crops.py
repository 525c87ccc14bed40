import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sr_gan.data.crops import EpochSampler, RandomCrops, WholePhotos, dihedral
from sr_gan.data.degradation.kinds import spoiled
from sr_gan.data.photos import Photo
from tests.conftest import random_photo


def photo(height: int, width: int, seed: int, scale: int = 4) -> Photo:
    """A photo whose LR is every scale-th pixel, so that alignment can be checked exactly."""
    hr = np.ascontiguousarray(random_photo(height, width, seed).transpose(2, 0, 1))
    return Photo(f"{seed}.png", hr, np.ascontiguousarray(hr[:, ::scale, ::scale]))


@pytest.fixture
def crops() -> RandomCrops:
    photos = [photo(64, 80, 1), photo(48, 48, 2), photo(100, 60, 3)]
    return RandomCrops(photos, crop=48, scale=4, crops_per_epoch=12, augment=False)


def test_lr_and_hr_show_the_same_place(crops: RandomCrops) -> None:
    batch = crops.__getitems__([(0, i) for i in range(12)])
    assert batch["hr"].shape == (12, 3, 48, 48)
    assert batch["lr"].shape == (12, 3, 12, 12)
    assert batch["hr"].dtype == batch["lr"].dtype == torch.uint8
    assert torch.equal(batch["hr"][..., ::4, ::4], batch["lr"])
    assert batch["draw"] == (0, 0)


def test_crops_reach_every_corner() -> None:
    crops = RandomCrops([photo(64, 80, 1)], 48, 4, crops_per_epoch=400)
    table = crops.table(0)
    assert (table[:, 1].min(), table[:, 1].max()) == (0, (64 - 48) // 4)
    assert (table[:, 2].min(), table[:, 2].max()) == (0, (80 - 48) // 4)
    assert set(table[:, 3]) == set(range(8))


def test_augmentation_turns_both_alike() -> None:
    grey = np.arange(3 * 48 * 48, dtype=np.uint16).reshape(3, 48, 48) % 251
    lr = grey.astype(np.uint8)[:, ::4, ::4].copy()
    hr = lr.repeat(4, axis=1).repeat(4, axis=2)  # blocks: any symmetry keeps them aligned
    crops = RandomCrops([Photo("x", hr, lr)], crop=48, scale=4, crops_per_epoch=64)
    batch = crops.__getitems__([(0, i) for i in range(64)])
    assert torch.equal(batch["hr"][..., ::4, ::4], batch["lr"])
    assert len({bytes(item.numpy().tobytes()) for item in batch["lr"]}) == 8


def test_dihedral_is_the_whole_group() -> None:
    image = random_photo(5, 5).transpose(2, 0, 1)
    turns = [dihedral(image, turn) for turn in range(8)]
    assert np.array_equal(turns[0], image)
    expected = {
        np.rot90(f, k, (1, 2)).tobytes() for f in (image, image[..., ::-1]) for k in range(4)
    }
    assert {turn.tobytes() for turn in turns} == expected


def test_an_epoch_visits_all_photos_equally(crops: RandomCrops) -> None:
    assert sorted(crops.table(0)[:, 0]) == [0] * 4 + [1] * 4 + [2] * 4
    assert len({tuple(crops.table(epoch)[:3, 0]) for epoch in range(20)}) > 1


def test_the_length_of_an_epoch_changes_no_crop(crops: RandomCrops) -> None:
    longer = RandomCrops(crops.photos, 48, 4, crops_per_epoch=100, augment=False)
    assert np.array_equal(longer.table(5)[:12], crops.table(5))


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_do_not_change_the_crops(crops: RandomCrops, workers: int) -> None:
    def epoch(count: int) -> list[torch.Tensor]:
        loader = DataLoader(
            crops, 4, sampler=EpochSampler(12, epoch=3), num_workers=count, collate_fn=lambda b: b
        )
        return [batch["hr"] for batch in loader]

    assert all(torch.equal(a, b) for a, b in zip(epoch(0), epoch(workers)))


def test_draws_depend_on_seed_epoch_and_index(crops: RandomCrops) -> None:
    base = crops[(0, 0)]["hr"]
    assert torch.equal(base, crops[(0, 0)]["hr"])
    assert not torch.equal(base, crops[(1, 0)]["hr"])
    other = RandomCrops(crops.photos, 48, 4, 12, augment=False, seed=1)
    assert not torch.equal(base, other[(0, 0)]["hr"])


def test_sampler_resumes_in_the_middle_once() -> None:
    sampler = EpochSampler(6, epoch=2, start=4)
    sampler.set_epoch(2)
    assert list(sampler) == [(2, 4), (2, 5)]
    sampler.set_epoch(3)
    assert list(sampler) == [(3, i) for i in range(6)]
    assert len(sampler) == 6


def test_processes_share_an_epoch() -> None:
    draws = [list(EpochSampler(7, rank=rank, world=2)) for rank in (0, 1)]
    assert draws == [[(0, 0), (0, 2), (0, 4)], [(0, 1), (0, 3), (0, 5)]]


@pytest.mark.parametrize(("crop", "size"), [(None, (64, 80)), (48, (48, 48)), (72, (64, 72))])
def test_validation_takes_the_centre(crop: int | None, size: tuple[int, int]) -> None:
    item = WholePhotos([photo(64, 80, 1)], 4, crop)[0]
    assert item["hr"].shape[1:] == size
    assert torch.equal(item["hr"][:, ::4, ::4], item["lr"])
    height, width = size
    top, left = (64 - height) // 2, (80 - width) // 2
    centre = photo(64, 80, 1).hr[:, top : top + height, left : left + width]
    np.testing.assert_array_equal(item["hr"], centre)
    assert item["name"] == "1.png"


def test_validation_in_kinds_has_each_photo_in_each() -> None:
    photos, kinds = [photo(64, 80, 1), photo(64, 80, 2)], ["clean", "noise10", "jpeg40"]
    items = WholePhotos(photos, 4, kinds=kinds)
    seen = [(items[i]["name"], items[i]["kind"]) for i in range(len(items))]
    assert seen == [(f"{n}.png, {kind}", kind) for n in (1, 2) for kind in kinds]
    for i in range(6):
        clean = items[i - i % 3]["lr"]
        assert torch.equal(items[i]["hr"], items[i - i % 3]["hr"])
        assert torch.equal(
            items[i]["lr"], spoiled(clean[None], kinds[i % 3], f"{1 + i // 3}.png")[0]
        )
        assert torch.equal(items[i]["lr"], clean) == (i % 3 == 0)
    shares = [WholePhotos(photos, 4, None, rank, 4, kinds) for rank in range(4)]
    names = [x["name"] for share in shares for x in (share[0], share[1]) if x["weight"]]
    assert names == [name for name, _ in seen]
