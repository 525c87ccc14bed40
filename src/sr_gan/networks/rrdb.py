"""ESRGAN's generator."""

from math import log2

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from sr_gan.arguments import Scale, checked
from sr_gan.networks.layers import Generator, LastConv, conv, small_he_init


class RRDBNet(Generator):
    """ESRGAN's generator: residual in residual dense blocks, no BatchNorm.

    It enlarges by nearest-neighbour upsampling and has 16.7 M parameters with 23 blocks, 5.0 M with
    6. The range is nominal: nothing clips the output.

    Args:
        filters: the channels between the blocks.
        blocks: the number of residual in residual dense blocks.
        growth: the channels that each convolution of a dense block adds.

    Source: Wang et al. 2018 (ESRGAN), section 3.1 and figure 4; residual weights start at a tenth
    of He's scale.
    """

    @checked
    def __init__(
        self,
        scale: Scale = 4,
        filters: PositiveInt = 64,
        blocks: PositiveInt = 23,
        growth: PositiveInt = 32,
    ) -> None:
        super().__init__(scale)
        self.head = conv(3, filters)
        self.body = nn.Sequential(
            *(RRDB(filters, growth) for _ in range(blocks)), conv(filters, filters)
        )
        self.upsample = nn.Sequential()
        for _ in range(int(log2(scale))):
            self.upsample += nn.Sequential(
                nn.Upsample(scale_factor=2), conv(filters, filters), nn.LeakyReLU(0.2)
            )
        self.tail = nn.Sequential(conv(filters, filters), nn.LeakyReLU(0.2), LastConv(filters))
        for layer in self.body.modules():
            if isinstance(layer, nn.Conv2d):
                small_he_init(layer)

    def trunk(self, lr: Tensor) -> Tensor:
        features: Tensor = self.head(lr)
        deep: Tensor = self.body(features)
        return features + deep

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        sr: Tensor = self.tail(self.upsample(features)) * 2 - 1
        return sr


class RRDB(nn.Module):
    """Adds a fifth of the output of three dense blocks: (B, C, h, w) -> (B, C, h, w)."""

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(DenseBlock(filters, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + 0.2 * self.layers(x)
        return out


class DenseBlock(nn.Module):
    """Adds a fifth of the output of five convolutions, each of which sees all maps before it.

    Shapes:
        (B, C, h, w) -> (B, C, h, w)
    """

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        self.grow = nn.ModuleList(
            nn.Sequential(conv(filters + i * growth, growth), nn.LeakyReLU(0.2)) for i in range(4)
        )
        self.fuse = conv(filters + 4 * growth, filters)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.grow:
            maps.append(layer(torch.cat(maps, 1)))
        out: Tensor = x + 0.2 * self.fuse(torch.cat(maps, 1))
        return out
