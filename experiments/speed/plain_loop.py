"""A training loop of the usual kind, as one writes it first."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler

from experiments.data_speed.usual import DecodeEachTime
from sr_gan.losses import Objective


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
    """Trains with a plain loop and yields the losses of each update, without an end.

    The tensors are NCHW in fp32. Every crop opens its photograph. The generator runs once for the
    discriminator's step and again for its own, which computes gradients of the discriminator that
    nobody uses. The losses are read in every update.

    Args:
        files: the photographs.
        generator: the network from LR in [0, 1] to HR in [-1, 1].
        discriminator: the network from HR to logits.
        loss: the losses of both.
        crop: the side of an HR crop in pixels.
        scale: the factor between HR and LR.
        batch_size: the number of crops in a batch.
        workers: the processes that make the crops.
        device: where to train.
        lr: the learning rate of both networks.
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
