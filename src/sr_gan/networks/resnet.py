"""Residual generators: the SRGAN paper's, and one without BatchNorm."""

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.arguments import OddSize, Scale, checked
from sr_gan.networks.layers import (
    Generator,
    LastConv,
    conv,
    icnr_shuffles,
    pixel_shuffle_stages,
    small_he_init,
)

Skip = Literal["bilinear", "nearest"]


class SRResNet(Generator):
    """The SRGAN paper's generator, about 1.5 M parameters at x4.

    Conv + PReLU, ``blocks`` residual blocks, conv + BatchNorm and a long skip, one pixel-shuffle
    stage per factor of two, conv, tanh, which keeps the range. The first and last convolution are
    9x9 in the paper; ``end_kernel=3`` gives the student paper's variant.

    Args:
        filters: the channels of every hidden convolution.
        blocks: the number of residual blocks.
        end_kernel: the size of the first and last convolution, odd.
        icnr: whether the pixel shuffles start as nearest-neighbour enlargement, see :func:`icnr_`.

    Source: Ledig et al. 2017, section 2.1 and figure 4. Convolutions before a BatchNorm have no
    bias, because the shift of the BatchNorm takes its place.
    """

    @checked
    def __init__(
        self,
        scale: Scale = 4,
        filters: PositiveInt = 64,
        blocks: PositiveInt = 16,
        end_kernel: OddSize = 9,
        icnr: bool = False,
    ) -> None:
        super().__init__(scale)
        self.head = nn.Sequential(conv(3, filters, end_kernel), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(filters) for _ in range(blocks)),
            conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.upsample = nn.Sequential(*pixel_shuffle_stages(scale, filters, nn.PReLU))
        self.tail = nn.Sequential(LastConv(filters, end_kernel), nn.Tanh())
        if icnr:
            icnr_shuffles(self.upsample)

    def trunk(self, lr: Tensor) -> Tensor:
        features: Tensor = self.head(lr)
        deep: Tensor = self.body(features)
        return features + deep

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        sr: Tensor = self.tail(self.upsample(features))
        return sr


class ResidualBlock(nn.Module):
    """Conv, BatchNorm, PReLU, conv, BatchNorm and an identity skip, all of shape (B, C, h, w)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
            nn.PReLU(),
            conv(filters, filters, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class MSRResNet(Generator):
    """SRResNet without BatchNorm, whose output is added to an enlargement of its input.

    It surpasses bicubic within a minute of training, whereas :class:`SRResNet` first has to learn
    to copy the image. The range is nominal: nothing clips the sum, so gradients never vanish.

    Args:
        filters: the channels of every hidden convolution.
        blocks: the number of residual blocks (conv 3x3, ReLU, conv 3x3).
        skip: how the input is enlarged: ``bilinear`` or ``nearest``.
        icnr: whether the pixel shuffles start as nearest-neighbour enlargement, see :func:`icnr_`.

    Source: the SRResNet without BatchNorm of Wang et al. 2018 (ESRGAN), section 4; as there,
    weights start at a tenth of He's scale.
    """

    @checked
    def __init__(
        self,
        scale: Scale = 4,
        filters: PositiveInt = 64,
        blocks: PositiveInt = 16,
        skip: Skip = "bilinear",
        icnr: bool = False,
    ) -> None:
        super().__init__(scale)
        self.skip = skip
        self.head = nn.Sequential(conv(3, filters), nn.LeakyReLU(0.1))
        self.body = nn.Sequential(*(PlainResidualBlock(filters) for _ in range(blocks)))
        self.upsample = nn.Sequential(
            *pixel_shuffle_stages(scale, filters, lambda: nn.LeakyReLU(0.1))
        )
        self.tail = nn.Sequential(conv(filters, filters), nn.LeakyReLU(0.1), LastConv(filters))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                small_he_init(layer)
        if icnr:
            icnr_shuffles(self.upsample)

    def trunk(self, lr: Tensor) -> Tensor:
        features: Tensor = self.body(self.head(lr))
        return features

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        residual: Tensor = self.tail(self.upsample(features))
        enlarged = F.interpolate(lr, scale_factor=float(self.scale), mode=self.skip)
        return residual + enlarged * 2 - 1


class PlainResidualBlock(nn.Module):
    """Conv, ReLU, conv and an identity skip, all of shape (B, C, h, w)."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(filters, filters), nn.ReLU(), conv(filters, filters))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out
