"""What generators are built from: convolutions, enlargement, and how their weights start."""

from collections.abc import Callable
from itertools import pairwise
from math import log2
from typing import Literal

import torch
from torch import Tensor, nn

Scale = Literal[2, 4, 8]


@torch.no_grad()
def icnr_(weight: Tensor, factor: int) -> None:
    """Makes the channels that a pixel shuffle puts side by side equal, without a checkerboard.

    Args:
        weight: (factor^2 * C, inputs, k, k) of the convolution before the shuffle; the first of
            each group of factor^2 filters becomes all of them.
        factor: of the pixel shuffle.

    Source: Aitken et al. 2017, *Checkerboard artifact free sub-pixel convolution*.
    """
    weight.copy_(weight[:: factor**2].repeat_interleave(factor**2, 0))


def icnr_shuffles(layers: nn.Sequential) -> None:
    """:func:`icnr_` for every convolution that a pixel shuffle follows."""
    for layer, shuffle in pairwise(layers):
        if isinstance(layer, nn.Conv2d) and isinstance(shuffle, nn.PixelShuffle):
            icnr_(layer.weight, shuffle.upscale_factor)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size of an image."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


class LastConv(nn.Conv2d):
    """A generator's last convolution: of mixed precision it leaves fp32.

    bfloat16 has 8 bits: near the ends of [-1, 1] half a grey level.
    """

    def __init__(self, inputs: int, kernel: int = 3, outputs: int = 3) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.to(self.weight.dtype))


def pixel_shuffle_stages(
    scale: int, filters: int, activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """Conv to 4 x filters, shuffle and activation, once for every factor of two."""
    stages: list[nn.Module] = []
    for _ in range(int(log2(scale))):
        stages += [conv(filters, 4 * filters), nn.PixelShuffle(2), activation()]
    return stages


@torch.no_grad()
def small_he_init(layer: nn.Conv2d) -> None:
    """A tenth of He's scale, and no bias: a residual branch begins near 0 (Wang et al. 2018)."""
    nn.init.kaiming_normal_(layer.weight).mul_(0.1)
    if layer.bias is not None:
        layer.bias.zero_()


def check_sizes(scale: int, filters: int, blocks: int) -> None:
    """Raises a ValueError for a size that no generator can have."""
    if scale not in (2, 4, 8):
        raise ValueError(f"scale must be 2, 4 or 8, got {scale}")
    if filters < 1:
        raise ValueError(f"filters must be at least 1, got {filters}")
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
