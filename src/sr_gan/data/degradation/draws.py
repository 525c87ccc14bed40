"""Draws a value for each image of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


def uniform(bounds: Sequence[float], batch: int, generator: torch.Generator) -> Tensor:
    """Draws a number between ``bounds`` for each image: (B, 1, 1, 1)."""
    draws = torch.rand(batch, 1, 1, 1, generator=generator, device=generator.device)
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def chosen(share: float, batch: int, generator: torch.Generator) -> Tensor:
    """Draws True with probability ``share`` for each image: (B, 1, 1, 1)."""
    return uniform((0, 1), batch, generator) < share
