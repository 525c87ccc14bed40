"""The plain convolutional generator of Real-ESRGAN's small models."""

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.arguments import Scale, checked
from sr_gan.networks.layers import Generator, LastConv, conv, small_he_init


class CompactNet(Generator):
    """A stack of convolutions at the input's size, whose output is added to an enlargement.

    Conv + PReLU, ``blocks`` times conv + PReLU, conv to 3 * scale^2 channels, pixel shuffle, plus
    the nearest-neighbour enlargement of the input; the untrained network is close to that
    enlargement. At x4 it has 0.62 M parameters with 16 blocks and 1.2 M with 32. The range is
    nominal: nothing clips the sum.

    Its state dict is compatible with Real-ESRGAN's SRVGGNetCompact, whose output is the same image
    in [0, 1].

    Args:
        filters: the channels of every hidden convolution.
        blocks: the number of convolutions between the first and the last.

    Source: SRVGGNetCompact of Wang et al. 2021 (Real-ESRGAN), in the authors' code.
    """

    @checked
    def __init__(
        self, scale: Scale = 4, filters: PositiveInt = 64, blocks: PositiveInt = 16
    ) -> None:
        super().__init__(scale)
        layers: list[nn.Module] = []
        for inputs in [3, *[filters] * blocks]:
            hidden = conv(inputs, filters)
            nn.init.kaiming_normal_(hidden.weight, a=0.25)  # the initial slope of a PReLU
            layers += [hidden, nn.PReLU(filters)]
        last = LastConv(filters, outputs=3 * scale**2)
        small_he_init(last)  # only this one: without skips, small weights make the signal vanish
        self.body = nn.Sequential(*layers, last)
        self.shuffle = nn.PixelShuffle(scale)

    def trunk(self, lr: Tensor) -> Tensor:
        features: Tensor = self.body[:-1](lr)
        return features

    def reconstruct(self, features: Tensor, lr: Tensor) -> Tensor:
        residual: Tensor = self.shuffle(self.body[-1](features))
        return (residual + F.interpolate(lr, scale_factor=float(self.scale))) * 2 - 1
