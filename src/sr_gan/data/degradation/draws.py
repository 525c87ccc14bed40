"""Draws a value for each image of a batch, and checks the ranges to draw from."""

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


def check_range(
    name: str, bounds: Sequence[float], least: float, most: float
) -> tuple[float, float]:
    """Returns the bounds; raises a ValueError unless they ascend within [least, most]."""
    pair = isinstance(bounds, Sequence) and len(bounds) == 2
    if not (pair and least <= bounds[0] <= bounds[1] <= most):
        raise ValueError(f"{name} must be [lowest, highest] from {least} to {most}, got {bounds}")
    return bounds[0], bounds[1]


def check_shares(**shares: float) -> None:
    """Raises a ValueError if a share is not in [0, 1]."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {share}")
