"""Adversarial losses: two methods, one for each player, on logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BCEAdversarialLoss(nn.Module):
    """The non-saturating GAN loss: binary cross-entropy on logits, in fp32 under any precision.

    With D the sigmoid of a logit:

    - discriminator: ``-mean log D(hr) - mean log(1 - D(sr))``
    - generator: ``-mean log D(sr)``

    Source: Goodfellow et al. 2014; Ledig et al. 2017, equations 2 and 6.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Loss of D from its logits of photographs and of generated images, each (B, 1)."""
        return _bce(real, 1.0) + _bce(fake, 0.0)

    def generator(self, fake: Tensor) -> Tensor:
        """Loss of G from D's logits of its images, (B, 1)."""
        return _bce(fake, 1.0)


def _bce(logits: Tensor, target: float) -> Tensor:
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
