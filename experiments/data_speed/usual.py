"""The usual ways, to compare with: photos opened crop by crop, and a plain training loop."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from sr_gan.data.photos import Photos
from sr_gan.images.decode import Pixels
from sr_gan.losses import Objective

_SUB_IMAGE = 480  # side of BasicSR's sub-images


class DecodeEachTime(Dataset[dict[str, Tensor]]):
    """The usual way: opens a photo for every crop, cuts, and reduces the crop with Pillow."""

    def __init__(self, files: Sequence[Path], crop: int, scale: int) -> None:
        self.files, self.crop, self.scale = files, crop, scale
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        with Image.open(self.files[index]) as image:
            picture = image.convert("RGB")
        left = int(self.rng.integers(picture.width - self.crop + 1))
        top = int(self.rng.integers(picture.height - self.crop + 1))
        hr = picture.crop((left, top, left + self.crop, top + self.crop))
        side = self.crop // self.scale
        return {"hr": _tensor(hr), "lr": _tensor(hr.resize((side, side), Image.Resampling.BICUBIC))}


class SubImages(Dataset[dict[str, Tensor]]):
    """BasicSR's way: HR and LR cut into PNG sub-images beforehand, here held in memory as its
    LMDB holds them; for every crop one pair is decoded."""

    def __init__(self, photos: Photos, crop: int, scale: int) -> None:
        self.crop, self.scale = crop, scale
        self.rng = np.random.default_rng(0)
        side = _SUB_IMAGE // scale * scale
        self.pairs = [
            (_png(photo.hr[:, :side, :side]), _png(photo.lr[:, : side // scale, : side // scale]))
            for photo in photos[:64]
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        hr, lr = (_tensor(Image.open(io.BytesIO(data))) for data in self.pairs[index])
        side = self.crop // self.scale
        top = int(self.rng.integers(lr.shape[1] - side + 1))
        left = int(self.rng.integers(lr.shape[2] - side + 1))
        lr = lr[:, top : top + side, left : left + side]
        top, left = top * self.scale, left * self.scale
        return {"hr": hr[:, top : top + self.crop, left : left + self.crop], "lr": lr}


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _png(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(stream, "PNG")
    return stream.getvalue()


def plain_updates(
    files: Sequence[Path],
    generator: nn.Module,
    discriminator: nn.Module,
    loss: Objective,
    crop: int,
    scale: int,
    batch_size: int,
    workers: int,
    device: torch.device,
    lr: float = 1e-4,
) -> Iterator[dict[str, float]]:
    """Trains with a loop of the usual kind, one update a step, for as long as it is asked.

    NCHW in fp32; every crop opens its photo; the generator runs once for the discriminator's step
    and again for its own, which computes the discriminator's gradients too; losses are read in
    every step.
    """
    dataset = DecodeEachTime(files, crop, scale)
    draws = RandomSampler(dataset, replacement=True, num_samples=1 << 20)
    batches = DataLoader(dataset, batch_size, sampler=draws, num_workers=workers)
    for network in (generator, discriminator, loss):
        network.to(device, memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    adversarial: Any = loss.adversarial
    optimizer_g = torch.optim.Adam(generator.parameters(), lr)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr)
    while True:
        for batch in batches:
            small, hr = batch["lr"].to(device), batch["hr"].to(device) * 2 - 1

            fake = generator(small)
            loss_d = adversarial.discriminator(discriminator(hr), discriminator(fake.detach()))
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()

            fake = generator(small)
            terms = loss.content(fake, hr)
            terms["adversarial"] = adversarial.generator(discriminator(fake))
            loss_g = loss.total(terms)
            optimizer_g.zero_grad()
            loss_g.backward()  # type: ignore[no-untyped-call]
            optimizer_g.step()
            yield {"D": loss_d.item(), "G": loss_g.item()}
