"""Compares our ways to enlarge a photograph with the generator's plain forward.

    python -m experiments.speed.plain_forward [KEY=VALUE ...]

It is run in the root of the checkout and has the settings of ``python -m sr_gan.bench upscale``.
"""

from collections.abc import Iterator

import torch
from omegaconf import DictConfig

from sr_gan.bench.machine import in_own_process
from sr_gan.bench.result import write_result
from sr_gan.bench.upscale import (
    Measured,
    Pixels,
    Settings,
    compared,
    describe,
    measured,
    model,
    timed,
)
from sr_gan.cli import command
from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.check import check
from sr_gan.settings.options import Options
from sr_gan.settings.schema import BenchUpscaleConfig


def compare(cfg: DictConfig) -> None:
    """Measures everything, prints a table and writes ``output``.

    Raises:
        UserError: a setting, the model or the device is not usable.
    """
    settings = check(cfg, BenchUpscaleConfig)
    result = {"settings": settings, "ways": compared(plain_first(settings))}
    write_result(result, describe(result), settings["output"])


def plain_first(settings: Settings) -> Iterator[Measured]:
    """The plain forward, with which the other ways are compared, and these."""
    yield in_own_process(plain_forward, settings)
    yield from measured(settings)


@torch.inference_mode()
def plain_forward(settings: Settings) -> Measured:
    """Enlarges as a script would: the whole image at once, in fp32."""
    pretrained = model(settings)
    device = Upscaler(pretrained, Options(device=settings["device"])).device
    generator = pretrained.generator.to(device)

    def enlarge(image: Pixels) -> Pixels:
        lr = torch.from_numpy(image).permute(2, 0, 1)[None].to(device) / 255
        sr = (generator(lr) + 1).mul(127.5).round().clamp(0, 255).byte()
        pixels: Pixels = sr[0].permute(1, 2, 0).cpu().numpy()
        return pixels

    return timed("plain forward", enlarge, device, settings)


if __name__ == "__main__":
    command(compare, "bench_upscale")
