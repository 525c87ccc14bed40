"""Pure ``nn.Module``s: generators, discriminators and perceptual features."""

from sr_gan.networks.discriminator import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator
from sr_gan.networks.features import VGG19Features
from sr_gan.networks.generator import MSRResNet, RRDBNet, SRResNet
from sr_gan.networks.lpips import LPIPSNetwork

__all__ = [
    "LPIPSNetwork",
    "MSRResNet",
    "PatchDiscriminator",
    "RRDBNet",
    "SRResNet",
    "UNetDiscriminator",
    "VGG19Features",
    "VGGDiscriminator",
]
