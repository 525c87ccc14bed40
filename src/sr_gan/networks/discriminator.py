"""Discriminators: an image in [-1, 1] to the logit of its being a real photograph."""

from itertools import pairwise

from torch import Tensor, nn


class VGGDiscriminator(nn.Module):
    """The SRGAN paper's discriminator: eight 3x3 convolutions, every other one strided, two dense.

    Channels go ``filters * (1, 1, 2, 2, 4, 4, 8, 8)`` (64 to 512); BN on all but the first;
    LeakyReLU 0.2. The dense layers tie it to one crop size, unless ``pooled_size`` is given.

    Args:
        crop: side of the square input, a multiple of 16; of no account with ``pooled_size``.
        filters: channels of the first convolution.
        dense: units of the hidden dense layer.
        pooled_size: ``None`` for the paper's network; a number pools the last feature map to
            that side and so accepts any input of at least 16 pixels.

    Shapes:
        (B, 3, crop, crop) in [-1, 1] -> (B, 1), unbounded logits: no sigmoid

    Raises:
        ValueError: an argument is outside its allowed values, or an input does not fit the crop.

    Source: Ledig et al. 2017, section 2.1 and figure 4.
    """

    def __init__(
        self,
        crop: int = 96,
        filters: int = 64,
        dense: int = 1024,
        pooled_size: int | None = None,
    ) -> None:
        super().__init__()
        if pooled_size is None and (crop < 16 or crop % 16):
            raise ValueError(
                f"crop must be a positive multiple of 16, got {crop}: change data.crop, "
                "or use discriminator=vgg_pool, which takes any size"
            )
        for name, value in {"filters": filters, "dense": dense, "pooled_size": pooled_size}.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.crop = None if pooled_size else crop
        side = pooled_size or crop // 16
        channels = [filters * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]
        self.features = nn.Sequential(
            nn.Conv2d(3, filters, 3, padding=1),
            nn.LeakyReLU(0.2),
            *(
                ConvBlock(inputs, outputs, stride=1 + i % 2)
                for i, (inputs, outputs) in enumerate(pairwise(channels), start=1)
            ),
        )
        self.pool = nn.AdaptiveAvgPool2d(pooled_size) if pooled_size else nn.Identity()
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels[-1] * side**2, dense),
            nn.LeakyReLU(0.2),
            nn.Linear(dense, 1),
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


class ConvBlock(nn.Sequential):
    """Conv 3x3, BN, LeakyReLU 0.2: (B, inputs, h, w) -> (B, outputs, h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.2),
        )
