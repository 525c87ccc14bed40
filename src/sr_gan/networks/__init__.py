"""Pure ``nn.Module``s: generators, discriminators and perceptual features."""

from sr_gan.networks.discriminator import VGGDiscriminator
from sr_gan.networks.features import VGG19Features
from sr_gan.networks.generator import MSRResNet, SRResNet

__all__ = ["MSRResNet", "SRResNet", "VGG19Features", "VGGDiscriminator"]
