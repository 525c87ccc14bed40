"""The stages of a run as LightningModules: optimisation and logging, nothing else."""

from sr_gan.modules.gan import GAN
from sr_gan.modules.pretrain import Pretrain
from sr_gan.modules.schedules import Constant, Cosine, Steps

__all__ = ["GAN", "Constant", "Cosine", "Pretrain", "Steps"]
