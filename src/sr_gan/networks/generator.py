"""Generators: low resolution in [0, 1] to high resolution in [-1, 1].

Each is a trunk, which works at the size of its input and sees far, and a reconstruction, which
enlarges and sees a few pixels: nearly all of the memory goes into the second, so that any-size
inference runs it on smaller pieces.
"""

from collections.abc import Callable
from itertools import pairwise
from math import log2
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Scale = Literal[2, 4, 8]
Skip = Literal["bilinear", "nearest"]


class SRResNet(nn.Module):
    """The SRGAN paper's generator, about 1.5 M parameters at x4.

    Conv + PReLU, ``blocks`` residual blocks, conv + BN and a long skip, one pixel-shuffle stage
    a factor of two, conv, tanh. Ends 9x9 in the paper; ``end_kernel=3`` is the mission's variant.

    Args:
        scale: factor of enlargement: 2, 4 or 8.
        filters: channels of every hidden convolution.
        blocks: residual blocks.
        end_kernel: size of the first and last convolution, odd.
        icnr: start the pixel shuffles as a nearest-neighbour enlargement, see :func:`icnr_`.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w) in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Ledig et al. 2017, section 2.1 and figure 4. Convolutions before a BN carry no bias:
    the BN's shift takes its place.
    """

    def __init__(
        self,
        scale: Scale = 4,
        filters: int = 64,
        blocks: int = 16,
        end_kernel: int = 9,
        icnr: bool = False,
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
        if icnr:
            _icnr_shuffles(self.upsample)

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
    """SRResNet without batch normalisation, learning what to add to an enlargement of its input.

    It passes bicubic within a minute of training, where :class:`SRResNet` first has to learn to
    copy the image. The range is nominal: nothing clips the sum, so gradients never vanish.

    Args:
        scale: factor of enlargement: 2, 4 or 8.
        filters: channels of every hidden convolution.
        blocks: residual blocks (conv 3x3, ReLU, conv 3x3).
        skip: how the input is enlarged: ``bilinear`` or ``nearest``.
        icnr: start the pixel shuffles as a nearest-neighbour enlargement, see :func:`icnr_`.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: the BN-free SRResNet of Wang et al. 2018 (ESRGAN), section 4; residual weights start
    at a tenth of He's scale, as there.
    """

    def __init__(
        self,
        scale: Scale = 4,
        filters: int = 64,
        blocks: int = 16,
        skip: Skip = "bilinear",
        icnr: bool = False,
    ) -> None:
        super().__init__()
        _check(scale, filters, blocks)
        if skip not in get_args(Skip):
            raise ValueError(f"skip must be one of {', '.join(get_args(Skip))}, got {skip}")
        self.scale = scale
        self.skip = skip
        self.head = nn.Sequential(_conv(3, filters), nn.LeakyReLU(0.1))
        self.body = nn.Sequential(*(PlainResidualBlock(filters) for _ in range(blocks)))
        self.upsample = nn.Sequential(
            *_pixel_shuffle_stages(scale, filters, lambda: nn.LeakyReLU(0.1))
        )
        self.tail = nn.Sequential(_conv(filters, filters), nn.LeakyReLU(0.1), _conv(filters, 3))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                _small_he_init(layer)
        if icnr:
            _icnr_shuffles(self.upsample)

    def forward(self, lr: Tensor) -> Tensor:
        return self.reconstruct(self.trunk(lr), lr)

    def trunk(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, filters, h, w)"""
        features: Tensor = self.body(self.head(lr))
        return features

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        """(B, filters, h, w) and (B, 3, h, w) -> (B, 3, scale * h, scale * w)"""
        residual: Tensor = self.tail(self.upsample(features))
        enlarged = F.interpolate(lr, scale_factor=float(self.scale), mode=self.skip)
        return residual + enlarged * 2 - 1


class PlainResidualBlock(nn.Module):
    """Conv, ReLU, conv and the identity skip, no normalisation: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_conv(filters, filters), nn.ReLU(), _conv(filters, filters))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class RRDBNet(nn.Module):
    """ESRGAN's generator: residual in residual dense blocks, no BN, nearest-neighbour upsampling.

    16.7 M parameters with 23 blocks, 5.0 M with 6. The range is nominal: nothing clips the output.

    Args:
        scale: factor of enlargement: 2, 4 or 8.
        filters: channels between the blocks.
        blocks: residual in residual dense blocks.
        growth: channels that each convolution of a dense block adds.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Wang et al. 2018 (ESRGAN), section 3.1 and figure 4; residual weights start at a tenth
    of He's scale.
    """

    def __init__(
        self, scale: Scale = 4, filters: int = 64, blocks: int = 23, growth: int = 32
    ) -> None:
        super().__init__()
        _check(scale, filters, blocks)
        if growth < 1:
            raise ValueError(f"growth must be at least 1, got {growth}")
        self.scale = scale
        self.head = _conv(3, filters)
        self.body = nn.Sequential(
            *(RRDB(filters, growth) for _ in range(blocks)), _conv(filters, filters)
        )
        self.upsample = nn.Sequential()
        for _ in range(int(log2(scale))):
            self.upsample += nn.Sequential(
                nn.Upsample(scale_factor=2), _conv(filters, filters), nn.LeakyReLU(0.2)
            )
        self.tail = nn.Sequential(_conv(filters, filters), nn.LeakyReLU(0.2), _conv(filters, 3))
        for layer in self.body.modules():
            if isinstance(layer, nn.Conv2d):
                _small_he_init(layer)

    def forward(self, lr: Tensor) -> Tensor:
        return self.reconstruct(self.trunk(lr), lr)

    def trunk(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, filters, h, w)"""
        features: Tensor = self.head(lr)
        deep: Tensor = self.body(features)
        return features + deep

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        """(B, filters, h, w) -> (B, 3, scale * h, scale * w); ``lr`` is not looked at."""
        sr: Tensor = self.tail(self.upsample(features)) * 2 - 1
        return sr


class RRDB(nn.Module):
    """Three dense blocks in a row, a fifth of which is added: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(DenseBlock(filters, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + 0.2 * self.layers(x)
        return out


class DenseBlock(nn.Module):
    """Five convolutions, each seeing all maps before it; a fifth of the result is added.

    Shapes:
        (B, C, h, w) -> (B, C, h, w)
    """

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        self.grow = nn.ModuleList(
            nn.Sequential(_conv(filters + i * growth, growth), nn.LeakyReLU(0.2)) for i in range(4)
        )
        self.fuse = _conv(filters + 4 * growth, filters)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.grow:
            maps.append(layer(torch.cat(maps, 1)))
        out: Tensor = x + 0.2 * self.fuse(torch.cat(maps, 1))
        return out


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


def _icnr_shuffles(layers: nn.Sequential) -> None:
    for conv, shuffle in pairwise(layers):
        if isinstance(conv, nn.Conv2d) and isinstance(shuffle, nn.PixelShuffle):
            icnr_(conv.weight, shuffle.upscale_factor)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)


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
