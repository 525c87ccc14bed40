"""Discriminators: from an image in [-1, 1] to logits that it is a real photograph."""

from functools import partial
from itertools import pairwise
from math import ceil
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from sr_gan.arguments import checked

Norm = Literal["batch", "spectral", "none"]


class VGGDiscriminator(nn.Module):
    """The SRGAN paper's discriminator: eight 3x3 convolutions and two dense layers.

    Every other convolution is strided. The channels are ``filters * (1, 1, 2, 2, 4, 4, 8, 8)`` (64
    to 512). All convolutions but the first have BatchNorm; the activation is LeakyReLU 0.2. The
    dense layers restrict it to one crop size, unless ``pooled_size`` is given.

    Args:
        crop: the side of the square input; ignored with ``pooled_size``.
        filters: the channels of the first convolution.
        dense: the units of the hidden dense layer.
        pooled_size: ``None`` for the paper's network; a number pools the last feature map to
            that side, so that inputs of any size are accepted.
        norm: ``batch`` as in the paper, ``spectral`` to bound the gain of every layer, including
            the dense ones, instead of BatchNorm (Miyato et al. 2018), or ``none``.

    Shapes:
        (B, 3, crop, crop) in [-1, 1] -> (B, 1), unbounded logits without a sigmoid

    Raises:
        ValueError: an argument is outside its allowed values, or an input does not fit the crop.

    Source: Ledig et al. 2017, section 2.1 and figure 4.
    """

    @checked
    def __init__(
        self,
        crop: PositiveInt = 96,
        filters: PositiveInt = 64,
        dense: PositiveInt = 1024,
        pooled_size: PositiveInt | None = None,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.crop = None if pooled_size else crop
        side = pooled_size or ceil(crop / 16)
        channels = [filters * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]
        self.features = nn.Sequential(
            _bounded(nn.Conv2d(3, filters, 3, padding=1), norm),
            nn.LeakyReLU(0.2),
            *(
                ConvBlock(inputs, outputs, 1 + i % 2, norm)
                for i, (inputs, outputs) in enumerate(pairwise(channels), start=1)
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(pooled_size) if pooled_size else nn.Identity()
        self.classifier = nn.Sequential(
            nn.Flatten(),
            _bounded(nn.Linear(channels[-1] * side**2, dense), norm),
            nn.LeakyReLU(0.2),
            _bounded(nn.Linear(dense, 1), norm),
        )

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if self.crop is not None and (height, width) != (self.crop, self.crop):
            raise ValueError(
                f"this discriminator was built for crops of {self.crop}x{self.crop} pixels and got "
                f"{height}x{width}: set discriminator.crop to the crop of the data, "
                "or use discriminator=vgg_pool, which takes any size"
            )
        logits: Tensor = self.classifier(self.pool(self.features(image)))  # (B, 1)
        return logits


class PatchDiscriminator(nn.Module):
    """PatchGAN: a logit for every patch of the image instead of one for the whole image.

    It consists of ``layers`` strided 4x4 convolutions, whose channels double up to ``8 * filters``,
    one that is not strided, and one to a single channel. With three layers a logit sees 70x70
    pixels.

    Args:
        filters: the channels of the first convolution.
        layers: the number of strided convolutions, which sets the patch that a logit sees: 1 for 16
            pixels, 2 for 34, 3 for 70.
        norm: ``batch`` for BatchNorm after all but the first and last convolution, ``spectral`` for
            spectral normalisation of all, or ``none``.
        channels: the channels of the input.

    Shapes:
        (B, channels, H, W) in [-1, 1], sides of at least ``3 * 2^layers``
        -> (B, 1, H / 2^layers - 2, W / 2^layers - 2), unbounded logits

    Raises:
        ValueError: an argument is outside its allowed values, or the input is smaller than that.

    Source: Isola et al. 2017, appendix 6.1.2.
    """

    @checked
    def __init__(
        self,
        filters: PositiveInt = 64,
        layers: PositiveInt = 3,
        norm: Norm = "batch",
        channels: PositiveInt = 3,
    ) -> None:
        super().__init__()
        self.smallest = 3 * 2**layers
        widths = [filters * min(2**i, 8) for i in range(layers + 1)]
        self.layers = nn.Sequential(
            _bounded(nn.Conv2d(channels, filters, 4, stride=2, padding=1), norm),
            nn.LeakyReLU(0.2),
            *(
                ConvBlock(inputs, outputs, stride=1 if i == layers else 2, norm=norm, kernel=4)
                for i, (inputs, outputs) in enumerate(pairwise(widths), start=1)
            ),
            _bounded(nn.Conv2d(widths[-1], 1, 4, padding=1), norm),
        )

    def forward(self, image: Tensor) -> Tensor:
        if min(image.shape[-2:]) < self.smallest:
            raise ValueError(
                f"the discriminator takes sides of at least {self.smallest} pixels, got "
                f"{image.shape[-2]}x{image.shape[-1]}: change data.crop or discriminator.layers"
            )
        logits: Tensor = self.layers(image)
        return logits


class UNetDiscriminator(nn.Module):
    """A U-Net with spectral normalisation: a logit for every pixel, in view of its surroundings.

    Three strided convolutions reduce the image. Three bilinear enlargements bring it back, each
    adding the map of the same size. Three convolutions at full size follow. The gradient that the
    generator receives is local.

    Args:
        filters: the channels of the first convolution; Real-ESRGAN has 64 (4.4 M parameters).

    Shapes:
        (B, 3, H, W) in [-1, 1], sides that are multiples of 8 -> (B, 1, H, W), unbounded logits

    Raises:
        ValueError: ``filters`` is below 1, or a side of the input is not a multiple of 8.

    Source: Wang et al. 2021 (Real-ESRGAN), section 3.3.
    """

    @checked
    def __init__(self, filters: PositiveInt = 64) -> None:
        super().__init__()
        channels = [filters * factor for factor in (1, 2, 4, 8)]
        conv = partial(nn.Conv2d, padding=1, bias=False)
        self.head = nn.Conv2d(3, filters, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(conv(inputs, outputs, 4, stride=2))
            for inputs, outputs in pairwise(channels)
        )
        self.up = nn.ModuleList(
            spectral_norm(conv(inputs, outputs, 3)) for inputs, outputs in pairwise(channels[::-1])
        )
        self.tail = nn.Sequential(
            spectral_norm(conv(filters, filters, 3)),
            nn.LeakyReLU(0.2),
            spectral_norm(conv(filters, filters, 3)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(filters, 1, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-2] % 8 or image.shape[-1] % 8:
            raise ValueError(
                f"discriminator=unet takes sides that are multiples of 8, got "
                f"{image.shape[-2]}x{image.shape[-1]}: change data.crop"
            )
        x = F.leaky_relu(self.head(image), 0.2)
        maps = [x]  # (B, filters * 2^i, H / 2^i, W / 2^i)
        for layer in self.down:
            maps.append(F.leaky_relu(layer(maps[-1]), 0.2))
        x = maps.pop()
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), 0.2) + maps.pop()
        logits: Tensor = self.tail(x)
        return logits


class ConvBlock(nn.Sequential):
    """Conv, norm, LeakyReLU 0.2: (B, inputs, h, w) -> (B, outputs, h / stride, w / stride)."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, norm: Norm = "batch", kernel: int = 3
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=1, bias=norm != "batch")
        normed = [nn.BatchNorm2d(outputs)] if norm == "batch" else []
        super().__init__(_bounded(conv, norm), *normed, nn.LeakyReLU(0.2))


def _bounded(layer: nn.Module, norm: Norm) -> nn.Module:
    bounded: nn.Module = spectral_norm(layer) if norm == "spectral" else layer
    return bounded
