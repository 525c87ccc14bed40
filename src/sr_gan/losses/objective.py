"""The objective of a stage: named terms and their weights."""

from collections.abc import Mapping

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from sr_gan.arguments import checked
from sr_gan.losses.adversarial import AdversarialLoss


class Objective(nn.Module):
    """The generator's loss as a named, weighted sum: ``L_G = sum_k weights[k] * term_k``.

    Args:
        weights: the weight of every term by its name, at least 0.
        content: the terms that compare ``sr`` with ``hr``, by name. A term whose attribute
            ``averaged`` is true also gets the image of the averaged generator.
        adversarial: the GAN loss, whose weight is named ``adversarial``; ``None`` for a pretrain.

    Raises:
        ValueError: weights and terms have different names, or a weight is below 0.
    """

    @checked
    def __init__(
        self,
        weights: Mapping[str, NonNegativeFloat],
        content: Mapping[str, nn.Module],
        adversarial: AdversarialLoss | None = None,
    ) -> None:
        super().__init__()
        terms = [*content, *(["adversarial"] if adversarial else [])]
        if set(weights) != set(terms):
            raise ValueError(
                f"weights must name the terms {', '.join(terms)}, got {', '.join(weights)}"
            )
        self.weights = dict(weights)
        self.terms = nn.ModuleDict(content)
        self.adversarial = adversarial

    @property
    def averaged(self) -> list[str]:
        """Returns the names of the content terms that need the averaged generator's image."""
        return [name for name, term in self.terms.items() if getattr(term, "averaged", False)]

    def content(self, sr: Tensor, hr: Tensor, averaged: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the content terms before weighting: scalars by name.

        ``averaged`` is the averaged generator's image, for the terms in :attr:`averaged`.
        """
        return {
            name: term(sr, hr, averaged) if name in self.averaged else term(sr, hr)
            for name, term in self.terms.items()
        }

    def total(self, terms: Mapping[str, Tensor], adversarial: float | Tensor = 1.0) -> Tensor:
        """Returns the weighted sum of ``terms``, a scalar with gradients.

        The adversarial weight is multiplied by ``adversarial``.
        """
        factors = {**self.weights, "adversarial": self.weights.get("adversarial", 0) * adversarial}
        return torch.stack([factors[name] * value for name, value in terms.items()]).sum()
