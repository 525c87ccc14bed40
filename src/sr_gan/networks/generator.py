"""Generators: low resolution in [0, 1] to high resolution in [-1, 1].

Each is a trunk, which works at the size of its input and sees far, and a reconstruction, which
enlarges and sees a few pixels: nearly all of the memory goes into the second, so that any-size
inference runs it on smaller pieces.
"""

from collections.abc import Callable
from math import log2
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scale = Literal[2, 4, 8]


class SRResNet(nn.Module):
    """The SRGAN paper's generator, about 1.5 M parameters at x4.

    Conv + PReLU, ``blocks`` residual blocks, conv + BN and a long skip, one pixel-shuffle stage
    a factor of two, conv, tanh. Ends 9x9 in the paper; ``end_kernel=3`` is the mission's variant.

    Args:
        scale: factor of enlargement: 2, 4 or 8.
        filters: channels of every hidden convolution.
        blocks: residual blocks.
        end_kernel: size of the first and last convolution, odd.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w) in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Ledig et al. 2017, section 2.1 and figure 4. Convolutions before a BN carry no bias:
    the BN's shift takes its place.
    """

    def __init__(
        self, scale: Scale = 4, filters: int = 64, blocks: int = 16, end_kernel: int = 9
    ) -> None:
        super().__init__()
        _check(scale, filters, blocks)
        if end_kernel < 1 or end_kernel % 2 == 0:
            raise ValueError(f"end_kernel must be odd and positive, got {end_kernel}")
        self.scale = scale
        self.head = nn.Sequential(_conv(3, filters, end_kernel), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(filters) for _ in range(blocks)),
            _conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.upsample = nn.Sequential(*_pixel_shuffle_stages(scale, filters, nn.PReLU))
        self.tail = nn.Sequential(_conv(filters, 3, end_kernel), nn.Tanh())

    def forward(self, lr: Tensor) -> Tensor:
        return self.reconstruct(self.trunk(lr), lr)

    def trunk(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, filters, h, w)"""
        features: Tensor = self.head(lr)
        deep: Tensor = self.body(features)
        return features + deep

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        """(B, filters, h, w) -> (B, 3, scale * h, scale * w); ``lr`` is not looked at."""
        sr: Tensor = self.tail(self.upsample(features))
        return sr


class ResidualBlock(nn.Module):
    """Conv, BN, PReLU, conv, BN and the identity skip: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
            nn.PReLU(),
            _conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class MSRResNet(nn.Module):
    """SRResNet without batch normalisation, learning what to add to the bilinear enlargement.

    It passes bicubic within a minute of training, where :class:`SRResNet` first has to learn to
    copy the image. The range is nominal: nothing clips the sum, so gradients never vanish.

    Args:
        scale: factor of enlargement: 2, 4 or 8.
        filters: channels of every hidden convolution.
        blocks: residual blocks (conv 3x3, ReLU, conv 3x3).

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: the BN-free SRResNet of Wang et al. 2018 (ESRGAN), section 4; residual weights start
    at a tenth of He's scale, as there.
    """

    def __init__(self, scale: Scale = 4, filters: int = 64, blocks: int = 16) -> None:
        super().__init__()
        _check(scale, filters, blocks)
        self.scale = scale
        self.head = nn.Sequential(_conv(3, filters), nn.LeakyReLU(0.1))
        self.body = nn.Sequential(*(PlainResidualBlock(filters) for _ in range(blocks)))
        self.upsample = nn.Sequential(
            *_pixel_shuffle_stages(scale, filters, lambda: nn.LeakyReLU(0.1))
        )
        self.tail = nn.Sequential(_conv(filters, filters), nn.LeakyReLU(0.1), _conv(filters, 3))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                _small_he_init(layer)

    def forward(self, lr: Tensor) -> Tensor:
        return self.reconstruct(self.trunk(lr), lr)

    def trunk(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, filters, h, w)"""
        features: Tensor = self.body(self.head(lr))
        return features

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        """(B, filters, h, w) and (B, 3, h, w) -> (B, 3, scale * h, scale * w)"""
        residual: Tensor = self.tail(self.upsample(features))
        enlarged = F.interpolate(lr, scale_factor=float(self.scale), mode="bilinear")
        return residual + enlarged * 2 - 1


class PlainResidualBlock(nn.Module):
    """Conv, ReLU, conv and the identity skip, no normalisation: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(filters, filters), nn.ReLU(), _conv(filters, filters))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


def _conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


def _pixel_shuffle_stages(
    scale: int, filters: int, activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """Conv to 4 x filters, shuffle and activation, once for every factor of two."""
    stages: list[nn.Module] = []
    for _ in range(int(log2(scale))):
        stages += [_conv(filters, 4 * filters), nn.PixelShuffle(2), activation()]
    return stages


@torch.no_grad()
def _small_he_init(layer: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(layer.weight).mul_(0.1)
    if layer.bias is not None:
        layer.bias.zero_()


def _check(scale: int, filters: int, blocks: int) -> None:
    if scale not in (2, 4, 8):
        raise ValueError(f"scale must be 2, 4 or 8, got {scale}")
    if filters < 1:
        raise ValueError(f"filters must be at least 1, got {filters}")
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
