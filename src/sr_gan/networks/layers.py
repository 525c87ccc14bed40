"""What generators share: their base class, convolutions, enlargement and initial weights."""

from collections.abc import Callable
from itertools import pairwise
from math import log2

import torch
from torch import Tensor, nn

from sr_gan.arguments import Scale, checked


class Generator(nn.Module):
    """The base class of generators, which consist of a trunk and a reconstruction.

    Args:
        scale: the scale factor: 2, 4 or 8.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    @checked
    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr: Tensor) -> Tensor:
        return self.reconstruct(self.trunk(lr), lr)

    def trunk(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, filters, h, w)"""
        raise NotImplementedError

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        """(B, filters, h, w) and (B, 3, h, w) -> (B, 3, scale * h, scale * w)"""
        raise NotImplementedError


@torch.no_grad()
def icnr_(weight: Tensor, factor: int) -> None:
    """Makes the filters equal whose channels a pixel shuffle puts side by side.

    The network then starts without a checkerboard pattern.

    Args:
        weight: the weight (factor^2 * C, inputs, k, k) of the convolution before the shuffle; the
            first filter of each group of factor^2 is copied to the whole group.
        factor: the factor of the pixel shuffle.

    Source: Aitken et al. 2017, *Checkerboard artifact free sub-pixel convolution*.
    """
    weight.copy_(weight[:: factor**2].repeat_interleave(factor**2, 0))


def icnr_shuffles(layers: nn.Sequential) -> None:
    """Applies :func:`icnr_` to every convolution that is followed by a pixel shuffle."""
    for layer, shuffle in pairwise(layers):
        if isinstance(layer, nn.Conv2d) and isinstance(shuffle, nn.PixelShuffle):
            icnr_(layer.weight, shuffle.upscale_factor)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    """Builds a convolution that keeps the size of an image."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


class LastConv(nn.Conv2d):
    """A generator's last convolution, which stays in fp32 under mixed precision.

    bfloat16 has 8 significant bits: near the ends of [-1, 1] its steps are half a grey level.
    """

    def __init__(self, inputs: int, kernel: int = 3, outputs: int = 3) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.to(self.weight.dtype))


def pixel_shuffle_stages(
    scale: int, filters: int, activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """Builds conv to 4 * filters, pixel shuffle and activation, once for each factor of two."""
    stages: list[nn.Module] = []
    for _ in range(int(log2(scale))):
        stages += [conv(filters, 4 * filters), nn.PixelShuffle(2), activation()]
    return stages


@torch.no_grad()
def small_he_init(layer: nn.Conv2d) -> None:
    """Sets the bias to 0 and the weights to a tenth of He's scale (Wang et al. 2018).

    A residual branch then starts near 0.
    """
    nn.init.kaiming_normal_(layer.weight).mul_(0.1)
    if layer.bias is not None:
        layer.bias.zero_()
