"""The stages of a run as LightningModules: optimisation and logging, nothing else.

This room may import ``images``, ``networks``, ``losses``, ``metrics`` and the ground floor.
"""

from sr_gan.modules.gan import GAN
from sr_gan.modules.pretrain import Pretrain
from sr_gan.modules.schedules import Constant, Cosine, Steps

__all__ = ["GAN", "Constant", "Cosine", "Pretrain", "Steps"]
