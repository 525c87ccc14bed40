"""The usual ways in experiments/ do the same work as ours, so that only their speed differs."""

import copy
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

from experiments.data_speed.usual import DecodeEachTime, SubImages, copies, pillow
from experiments.speed.plain_loop import plain_updates
from sr_gan.data.crops import RandomCrops
from sr_gan.images.decode import decode
from sr_gan.images.find import list_images
from sr_gan.losses import BCEAdversarialLoss, Objective
from sr_gan.modules import GAN
from sr_gan.networks import MSRResNet, VGGDiscriminator
from tests.data.test_crops import photo
from tests.modules.test_stages import CROP, batches, fit


def test_the_plain_loop_trains_as_ours(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses on the same batches are the same."""
    loader = batches(3)
    generator = MSRResNet(filters=4, blocks=1)
    discriminator = VGGDiscriminator(CROP, filters=2, dense=4)
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-2}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    networks = copy.deepcopy((generator, discriminator))
    seen: list[dict[str, float]] = []

    class Losses(L.Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            seen.append({name: float(loss) for name, loss in outputs.items() if name in "DG"})

    fit(GAN(*networks, objective, epochs=1), loader, callbacks=[Losses()])

    shifted = [{"lr": b["lr"], "hr": (b["hr"] + 1) / 2} for b in loader]
    monkeypatch.setattr("experiments.speed.plain_loop.DataLoader", lambda *_, **__: shifted)
    files, cpu = list_images(photos), torch.device("cpu")
    plain = plain_updates(files, generator, discriminator, objective, CROP, 4, 2, 0, cpu)
    for ours, theirs in zip(seen, plain):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_decoding_each_time_gives_a_crop_and_its_reduction(photos: Path) -> None:
    pair = DecodeEachTime(list_images(photos), 32, 4)[0]
    assert pair["hr"].shape == (3, 32, 32)
    assert pair["lr"].shape == (3, 8, 8)
    assert pair["hr"].mean() == pytest.approx(float(pair["lr"].mean()), abs=0.02)


def test_sub_images_are_cut_at_the_same_place() -> None:
    data = SubImages([photo(64, 80, 1), photo(48, 48, 2)], 48, 4)  # type: ignore[arg-type]
    for i in range(len(data)):
        pair = data[i]
        assert torch.equal(pair["hr"][:, ::4, ::4], pair["lr"])


def test_the_floor_copies_the_same_bytes() -> None:
    crops = RandomCrops([photo(64, 80, 1)], 48, 4, crops_per_epoch=8, augment=False)
    (batch,) = copies(crops, 8)
    ours = crops.__getitems__([(0, i) for i in range(8)])
    assert np.array_equal(batch["hr"], ours["hr"].numpy())
    assert np.array_equal(batch["lr"], ours["lr"].numpy())


def test_pillow_decodes_the_same_pixels(photos: Path) -> None:
    assert np.array_equal(pillow(photos / "a.png"), decode(photos / "a.png").transpose(1, 2, 0))
