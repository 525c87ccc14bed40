"""What Python and Lightning cost in an update, beside the same arithmetic in a bare loop.

    python experiments/speed/overhead.py [KEY=VALUE ...]

Both ways train ``experiment=srgan_400ep`` with nearly empty networks on the same crops, so that
almost nothing but the overhead is left. Ours is the training as ``python -m sr_gan.train`` builds
it, with every callback. Measured is the processor time of the main thread, on one thread; the best
of eight rounds counts. ``PROFILE=1`` in the environment prints where the time of ours goes.
"""

import cProfile
import os
import pstats
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
from typing import Any

import lightning as L
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from sr_gan.bench.machine import quiet
from sr_gan.bench.make_photos import make_photos
from sr_gan.machine import keep_freed_memory
from sr_gan.resolvers import register_resolvers
from sr_gan.settings.build import build, build_all
from sr_gan.settings.conf import conf_dir

UPDATES, WARM_UP, ROUNDS = 200, 30, 8
NEARLY_EMPTY = [
    *("generator.filters=1", "generator.blocks=1", "discriminator.filters=1"),
    *("discriminator.dense=1", "data.crop=16", "data.batch_size=2", "data.feed=device"),
    *("gan.loss.content.vgg.weights=random", "gan.loss.content.vgg.layers=[relu1_1]"),
    *("trainer=cpu", "trainer.precision=32-true", "gan.epochs=1", "logger=none"),
]


class Watch(L.Callback):
    """Takes the time from the end of the warm-up to the end of the last update."""

    def __init__(self) -> None:
        self.profile = cProfile.Profile() if os.environ.get("PROFILE") else None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        if i + 1 == WARM_UP:
            self.began = thread_time()
            if self.profile:
                self.profile.enable()
        elif i + 1 == WARM_UP + UPDATES:
            self.seconds = (thread_time() - self.began) / UPDATES
            if self.profile:
                self.profile.disable()


def ours(cfg: DictConfig) -> float:
    """Seconds an update of a GAN stage, as train.py builds it but without validation."""
    torch.manual_seed(0)
    watch = Watch()
    data = build(cfg.data)
    module = build(cfg.gan, generator=build(cfg.generator))
    trainer = build(
        cfg.trainer,
        max_epochs=1,
        limit_val_batches=0,
        callbacks=[*build_all(cfg.callbacks, "gan"), watch],
        logger=False,
    )
    trainer.fit(module, data)
    if watch.profile:
        pstats.Stats(watch.profile).sort_stats("tottime").print_stats(40)
    return watch.seconds


def bare(cfg: DictConfig) -> float:
    """Seconds an update of the same arithmetic without anything around it."""
    torch.manual_seed(0)
    data = build(cfg.data)
    data.setup()
    module = build(cfg.gan, generator=build(cfg.generator))
    generator, discriminator, loss = module.generator, module.discriminator, module.loss
    adversarial = loss.adversarial
    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), 1e-4, fused=True)
        for network in (generator, discriminator)
    )
    for i, batch in enumerate(_batches(data)):
        if i == WARM_UP:
            began = thread_time()
        lr, hr = batch["lr"], batch["hr"]
        sr = generator(lr)

        optimizer_d.zero_grad()
        loss_d = adversarial.discriminator(discriminator(hr), discriminator(sr.detach()))
        loss_d.backward()
        optimizer_d.step()

        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        terms = loss.content(sr, hr)
        terms["adversarial"] = adversarial.generator(discriminator(sr))
        loss.total(terms).backward()
        optimizer_g.step()
        discriminator.requires_grad_(True)
    return (thread_time() - began) / UPDATES


def _batches(data: Any) -> Iterator[dict[str, Any]]:
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)


def main(settings: list[str]) -> None:
    register_resolvers()
    keep_freed_memory()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch, quiet():
        make_photos(Path(scratch) / "photos", 4, (480, 320))
        photos = [f"data.train_dir={scratch}/photos", f"data.cache_dir={scratch}"]
        photos.append(f"run_dir={scratch}/run")
        crops = f"data.crops_per_epoch={2 * (WARM_UP + UPDATES)}"
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            overrides = ["experiment=srgan_400ep", "data=folder", "stages=[gan]", *NEARLY_EMPTY]
            cfg = compose("train", [*overrides, *photos, crops, *settings])
        rounds = [(ours(cfg), bare(cfg)) for _ in range(ROUNDS)]
    best, floor = (1e3 * min(times) for times in zip(*rounds))
    for name, time in (("ours", best), ("bare", floor), ("overhead", best - floor)):
        print(f"{name:10}{time:6.2f} ms an update")


if __name__ == "__main__":
    main(sys.argv[1:])
