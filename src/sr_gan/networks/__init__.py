"""Pure ``nn.Module``s: generators, discriminators and perceptual features.

Generators take low resolution in [0, 1] to high resolution in [-1, 1]. Each is a trunk, which works
at the size of its input and sees far, and a reconstruction, which enlarges and sees a few pixels:
nearly all of the memory goes into the second, so that any-size inference runs it on smaller pieces.
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
