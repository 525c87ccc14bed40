"""What a generator and a discriminator are trained on: small modules and their weighted sum."""

from sr_gan.losses.adversarial import BCEAdversarialLoss
from sr_gan.losses.content import TotalVariationLoss, VGGLoss
from sr_gan.losses.objective import Objective

__all__ = ["BCEAdversarialLoss", "Objective", "TotalVariationLoss", "VGGLoss"]
