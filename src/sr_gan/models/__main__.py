"""``python -m sr_gan.models``: lists the bundled models and their speed on this machine."""

import argparse
import sys
from time import perf_counter
from typing import TYPE_CHECKING

from sr_gan.models import PURPOSES, bundled_models

if TYPE_CHECKING:
    from sr_gan.inference.upscaler import Upscaler

_SIDE = 128  # pixels; the side of the input that is enlarged to measure the speed
_SECONDS = 1.0  # the shortest time to measure


def main() -> None:
    """Prints one line per model."""
    parser = argparse.ArgumentParser(
        prog="python -m sr_gan.models",
        description="Lists the bundled models: scale factor, parameters, file size, megapixels "
        "of output per second on this machine, and what each is for. Choose one with "
        "python -m sr_gan.upscale model=NAME input=PHOTO.",
    )
    _, unknown = parser.parse_known_args()
    if unknown:
        sys.exit(f"error: {unknown[0]}: this command has no settings, see --help")
    from sr_gan.inference.upscaler import Upscaler  # imports PyTorch

    print(f"{'model':8} {'x':>2} {'parameters':>10} {'file':>7} {'speed':>11}  purpose")
    for name, path in bundled_models().items():
        upscaler = Upscaler.from_pretrained(name)
        count = sum(parameter.numel() for parameter in upscaler.model.generator.parameters())
        print(
            f"{name:8} {upscaler.scale:2} {count:10,} {path.stat().st_size / 1e6:4.1f} MB "
            f"{megapixels_per_second(upscaler):6.2f} MP/s  {PURPOSES[name]}"
        )


def megapixels_per_second(upscaler: "Upscaler") -> float:
    """Returns the megapixels of output per second on a small image, the best of several runs."""
    import torch

    from sr_gan.devices import wait

    image = torch.rand(3, _SIDE, _SIDE)
    upscaler(image)  # warm-up: memory is allocated and algorithms are chosen
    times: list[float] = []
    while sum(times) < _SECONDS or len(times) < 2:
        began = perf_counter()
        upscaler(image)
        wait(upscaler.device)
        times.append(perf_counter() - began)
    return (upscaler.scale * _SIDE) ** 2 / min(times) / 1e6


if __name__ == "__main__":
    main()
