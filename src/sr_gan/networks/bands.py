"""The Haar transform, and a discriminator that sees only its detail bands."""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.arguments import checked
from sr_gan.networks.discriminator import Norm, PatchDiscriminator


def haar(image: Tensor) -> tuple[Tensor, Tensor]:
    """Computes one level of the orthonormal Haar transform.

    (B, C, H, W) -> the low band (B, C, H / 2, W / 2), and the horizontal, vertical and diagonal
    details (B, C, 3, H / 2, W / 2).
    """
    a, b = image[..., 0::2, 0::2], image[..., 0::2, 1::2]
    c, d = image[..., 1::2, 0::2], image[..., 1::2, 1::2]
    details = torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], dim=-3)
    return (a + b + c + d) / 2, details / 2


class BandDiscriminator(nn.Module):
    """A PatchGAN on the Haar detail bands of an image: a logit for every patch.

    It cannot see colours and brightness, which the content terms control, but only the details that
    the generator has to invent. In photographs these are about twice as strong at each further
    level (0.12, 0.25 and 0.5 in ours), so level ``l`` is multiplied by ``8 / 2^l``, which gives all
    bands about the contrast of an image. The bands of further levels are repeated to the size of
    the first level's.

    Args:
        levels: the levels of the decomposition; two contain the details of 2 and of 4 pixels, which
            a reduction by 4 loses.
        filters: the channels of the first convolution.
        layers: the number of strided convolutions; as the bands have half the image's size, a logit
            sees 36 pixels of the image with one of them and 72 with two.
        norm: as in :class:`PatchDiscriminator`; use ``none`` with a penalty.

    Shapes:
        (B, 3, H, W) in [-1, 1], sides that are multiples of ``2^levels`` and at least
        ``16 * 2^(layers - 1)`` -> (B, 1, H / 2^(layers + 1) - 2, W / 2^(layers + 1) - 2), unbounded
        logits

    Raises:
        ValueError: an argument is outside its allowed values, or an input's side does not fit.

    Source: Korkmaz et al. 2024 (WGSR) use detail bands as a discriminator's input, too: one level
    of a longer, undecimated wavelet of the luma.
    """

    @checked
    def __init__(
        self,
        levels: PositiveInt = 2,
        filters: PositiveInt = 64,
        layers: PositiveInt = 2,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.levels = levels
        self.patches = PatchDiscriminator(filters, layers, norm, channels=9 * levels)

    def forward(self, image: Tensor) -> Tensor:
        smallest = 2 * self.patches.smallest
        if min(image.shape[-2:]) < smallest:
            raise ValueError(
                f"discriminator=bands takes sides of at least {smallest} pixels, got "
                f"{image.shape[-2]}x{image.shape[-1]}: change data.crop or discriminator.layers"
            )
        logits: Tensor = self.patches(self.bands(image))
        return logits

    def bands(self, image: Tensor) -> Tensor:
        """Computes the network's input: (B, 3, H, W) -> (B, 9 * levels, H / 2, W / 2).

        Channels are ordered by level, the finest first, then by colour, then by direction:
        horizontal, vertical, diagonal.
        """
        side = 2**self.levels
        if image.shape[-2] % side or image.shape[-1] % side:
            raise ValueError(
                f"discriminator=bands with {self.levels} levels takes sides that are multiples of "
                f"{side}, got {image.shape[-2]}x{image.shape[-1]}: change data.crop"
            )
        low, bands = image.float(), []
        for level in range(1, self.levels + 1):
            low, details = haar(low)
            details = details.flatten(1, 2) * (8 / 2**level)
            bands.append(F.interpolate(details, scale_factor=2 ** (level - 1), mode="nearest"))
        return torch.cat(bands, 1).contiguous(memory_format=torch.channels_last)
