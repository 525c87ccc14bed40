"""Means over an epoch, summed where the numbers are."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Means:
    """Means of named numbers over an epoch, which are read once, at its end.

    Lightning's ``log`` walks and copies all that was logged at each call, half a millisecond, and
    an update of a GAN would call it ten times. This adds a small tensor to another one on the same
    device and never makes the host wait for a GPU. The sums stay where they are in memory, so that
    a recording of an update can add to them.
    """

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], Tensor] = {}  # of each group a sum and a count (2, n)
        self.counted: set[tuple[str, ...]] = set()  # groups that were given since the last reading

    def add(self, values: Mapping[str, Tensor], finite: bool = False) -> None:
        """Counts each of ``values``, scalars on one device, once.

        Args:
            values: numbers that are always given together, by name.
            finite: leave out those that are infinite or no number.
        """
        if not values:
            return
        names = tuple(values)
        numbers = torch.stack([value.detach().float() for value in values.values()])
        counted = torch.stack([numbers, torch.ones_like(numbers)])
        if finite:
            counted = torch.where(numbers.isfinite(), counted, 0.0)
        if names not in self.sums:
            self.sums[names] = torch.zeros_like(counted)
        self.sums[names] += counted
        self.counted.add(names)

    def take(self) -> dict[str, Tensor]:
        """The means, by name, and begins anew; none of what was never counted."""
        means = {
            name: total / count
            for names, (totals, counts) in self.sums.items()
            if names in self.counted
            for name, total, count in zip(names, totals, counts)
        }
        for sums in self.sums.values():
            sums.zero_()
        self.counted = set()
        return means
