"""Adversarial losses: one method for each player, on logits, in fp32 under any precision.

D is the discriminator and G the generator. ``real`` are D's logits of photographs, ``fake`` those
of generated images: one per image, patch or pixel. Losses are means over all of them.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.arguments import checked

Probabilities = tuple[Tensor, Tensor]


class AdversarialLoss(nn.Module):
    """The base class of adversarial losses."""

    relative = False  # whether G's loss also depends on D's logits of photographs

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Returns the loss of D, a scalar."""
        raise NotImplementedError

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Returns the loss of G, a scalar.

        Only a ``relative`` loss needs ``real``, which carries no gradients.
        """
        raise NotImplementedError

    def probabilities(self, real: Tensor, fake: Tensor) -> Probabilities:
        """Returns D's mean answers to ``real`` and to ``fake`` in [0, 1]; 1 means photograph."""
        return real.float().sigmoid().mean(), fake.float().sigmoid().mean()


class BCEAdversarialLoss(AdversarialLoss):
    """The non-saturating GAN loss: binary cross-entropy on logits.

    Here ``D`` is the sigmoid of a logit:

    - discriminator: ``-mean log D(hr) - mean log(1 - D(sr))``
    - generator: ``-mean log D(sr)``

    Args:
        real_label: D's target for photographs, in (0.5, 1]; 0.9 is one-sided label smoothing.
        fake_label: D's target for generated images, in [0, 0.5); 0.1 makes it two-sided.

    Raises:
        ValueError: a label is outside its range.

    Source: Goodfellow et al. 2014; Ledig et al. 2017, equations 2 and 6; Salimans et al. 2016,
    section 3.4, for the labels.
    """

    @checked
    def __init__(
        self,
        real_label: Annotated[float, Field(gt=0.5, le=1)] = 1.0,
        fake_label: Annotated[float, Field(ge=0, lt=0.5)] = 0.0,
    ) -> None:
        super().__init__()
        self.real_label, self.fake_label = real_label, fake_label

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return _bce(real, self.real_label) + _bce(fake, self.fake_label)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return _bce(fake, 1.0)


class LeastSquaresAdversarialLoss(AdversarialLoss):
    """LSGAN: the squared distance of a logit from 1 (a photograph) or 0 (a generated image).

    - discriminator: ``mean (D(hr) - 1)^2 / 2 + mean D(sr)^2 / 2``
    - generator: ``mean (D(sr) - 1)^2 / 2``

    Source: Mao et al. 2017, equation 9.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return (fake.float() - 1).square().mean() / 2

    def probabilities(self, real: Tensor, fake: Tensor) -> Probabilities:
        return real.float().clamp(0, 1).mean(), fake.float().clamp(0, 1).mean()


class HingeAdversarialLoss(AdversarialLoss):
    """The hinge loss: correct logits beyond 1 and -1 have no gradient for D.

    - discriminator: ``mean max(0, 1 - D(hr)) + mean max(0, 1 + D(sr))``
    - generator: ``-mean D(sr)``

    Source: Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.float().mean()

    def probabilities(self, real: Tensor, fake: Tensor) -> Probabilities:
        return _squeezed(real), _squeezed(fake)


class WassersteinAdversarialLoss(AdversarialLoss):
    """The Wasserstein loss: D's logits are scores; ``penalty=gradient`` must keep D smooth.

    - discriminator: ``mean D(sr) - mean D(hr)``
    - generator: ``-mean D(sr)``

    Source: Arjovsky et al. 2017; Gulrajani et al. 2017.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.float().mean() - real.float().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return -fake.float().mean()

    def probabilities(self, real: Tensor, fake: Tensor) -> Probabilities:
        ahead, behind = _against_mean(real.float(), fake.float())
        return ahead.sigmoid().mean(), behind.sigmoid().mean()


class RelativisticAdversarialLoss(AdversarialLoss):
    """The relativistic loss: D judges whether a photograph is more real than generated images.

    With ``R(a, b) = sigmoid(a - mean b)``, or ``R(a, b) = sigmoid(a - b)`` for ``pairs``:

    - discriminator: ``(-mean log R(hr, sr) - mean log(1 - R(sr, hr))) / 2``
    - generator: ``(-mean log(1 - R(hr, sr)) - mean log R(sr, hr)) / 2``

    Args:
        pairs: whether a photograph's logit is compared with the logit of its own generated image
            at the same place, instead of with the mean over the batch's generated images.

    Source: Jolicoeur-Martineau 2018; the mean as in Wang et al. 2018 (ESRGAN), equations 1 and 2,
    halved as in BasicSR; pairs as in Huang et al. 2024 (R3GAN), section 2.
    """

    relative = True

    def __init__(self, pairs: bool = False) -> None:
        super().__init__()
        self.pairs = pairs

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        ahead, behind = self._compared(real, fake)
        return (_bce(ahead, 1.0) + _bce(behind, 0.0)) / 2

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise ValueError("a relativistic loss needs the logits of photographs too")
        ahead, behind = self._compared(real, fake)
        return (_bce(ahead, 0.0) + _bce(behind, 1.0)) / 2

    def probabilities(self, real: Tensor, fake: Tensor) -> Probabilities:
        ahead, behind = self._compared(real, fake)
        return ahead.sigmoid().mean(), behind.sigmoid().mean()

    def _compared(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Returns how far photographs are ahead of generated images, and the reverse."""
        real, fake = real.float(), fake.float()
        return (real - fake, fake - real) if self.pairs else _against_mean(real, fake)


def _bce(logits: Tensor, target: float) -> Tensor:
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _squeezed(logits: Tensor) -> Tensor:
    """Maps the hinge loss's logits, which matter from -1 to 1, to probabilities."""
    return (logits.float().clamp(-1, 1).mean() + 1) / 2


def _against_mean(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return real - fake.mean(), fake - real.mean()
