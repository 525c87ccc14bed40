"""Networks, as plain ``nn.Module`` classes: generators, discriminators and perceptual features.

Generators map low resolution in [0, 1] to high resolution in [-1, 1]. Each consists of a trunk,
which works at the size of its input and has a large receptive field, and a reconstruction, which
enlarges and has a small one. The reconstruction needs nearly all of the memory, so inference runs
it on smaller pieces.
"""

from sr_gan.networks.bands import BandDiscriminator
from sr_gan.networks.compact import CompactNet
from sr_gan.networks.discriminator import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator
from sr_gan.networks.features import VGG19Features
from sr_gan.networks.lpips import LPIPSNetwork
from sr_gan.networks.resnet import MSRResNet, SRResNet
from sr_gan.networks.rrdb import RRDBNet

__all__ = [
    "BandDiscriminator",
    "CompactNet",
    "LPIPSNetwork",
    "MSRResNet",
    "PatchDiscriminator",
    "RRDBNet",
    "SRResNet",
    "UNetDiscriminator",
    "VGG19Features",
    "VGGDiscriminator",
]
