"""What a stage minimises: named terms and their weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sr_gan.losses.adversarial import AdversarialLoss


class Objective(nn.Module):
    """The generator's loss as a named, weighted sum: ``L_G = sum_k weights[k] * term_k``.

    Args:
        weights: the weight of every term, at least 0, under the term's name.
        content: terms that compare ``sr`` with ``hr``; one with a true attribute ``averaged`` is
            also given the image of the averaged generator.
        adversarial: the GAN loss, weighted as ``adversarial``; ``None`` for a pretrain.

    Raises:
        ValueError: weights and terms do not name the same things, or a weight is negative.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        content: Mapping[str, nn.Module],
        adversarial: AdversarialLoss | None = None,
    ) -> None:
        super().__init__()
        terms = [*content, *(["adversarial"] if adversarial else [])]
        if set(weights) != set(terms):
            raise ValueError(
                f"weights must name the terms {', '.join(terms)}, got {', '.join(weights)}"
            )
        negative = {name: weight for name, weight in weights.items() if weight < 0}
        if negative:
            raise ValueError(f"weights must be at least 0, got {negative}")
        self.weights = dict(weights)
        self.terms = nn.ModuleDict(content)
        self.adversarial = adversarial

    @property
    def averaged(self) -> list[str]:
        """The content terms that look at the image of the averaged generator."""
        return [name for name, term in self.terms.items() if getattr(term, "averaged", False)]

    def content(self, sr: Tensor, hr: Tensor, averaged: Tensor | None = None) -> dict[str, Tensor]:
        """The content terms, not weighted: scalars under their names. ``averaged`` is the image of
        the averaged generator, for the terms of that name."""
        return {
            name: term(sr, hr, averaged) if name in self.averaged else term(sr, hr)
            for name, term in self.terms.items()
        }

    def total(self, terms: Mapping[str, Tensor], adversarial: float | Tensor = 1.0) -> Tensor:
        """The weighted sum of ``terms``, a scalar with gradients; the adversarial weight counts
        times ``adversarial``."""
        factors = {**self.weights, "adversarial": self.weights.get("adversarial", 0) * adversarial}
        return torch.stack([factors[name] * value for name, value in terms.items()]).sum()
