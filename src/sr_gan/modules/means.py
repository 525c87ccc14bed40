"""Means over an epoch, summed on the device where the numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Means:
    """Means of named numbers over an epoch, which are read once, at its end.

    Lightning's ``log`` walks and copies everything that was logged, which takes half a millisecond
    for each call, and an update of a GAN would call it ten times. This class adds a small tensor to
    another one on the same device, so that the host never waits for a GPU. The sums stay at their
    place in memory, so that a recorded update can add to them.
    """

    def __init__(self) -> None:
        self.sums: dict[tuple[str, ...], Tensor] = {}  # (2, n): sums and counts of a group
        self.counted: set[tuple[str, ...]] = set()  # groups given since the last take()

    def add(self, values: Mapping[str, Tensor], finite: bool = False) -> None:
        """Adds one value to each of the means.

        Args:
            values: scalars on one device, by name.
            finite: whether to leave out those that are infinite or NaN.
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
        """Returns the means by name, and begins anew. Names that were never given are left out."""
        means = self.peek()
        for sums in self.sums.values():
            sums.zero_()
        self.counted = set()
        return means

    def peek(self) -> dict[str, Tensor]:
        """Returns the means so far."""
        totals: dict[str, Tensor] = {}
        for names in sorted(self.counted):  # any order would round differently
            for name, total in zip(names, self.sums[names].T.clone()):  # a sum and a count each
                totals[name] = totals[name] + total if name in totals else total
        return {name: total / count for name, (total, count) in totals.items()}

    def state_dict(self) -> list[tuple[list[str], Tensor]]:
        """Returns the sums so far, from which a resumed epoch goes on."""
        return [(list(names), self.sums[names].clone()) for names in sorted(self.counted)]

    def load_state_dict(self, state: Sequence[tuple[list[str], Tensor]], device: Any) -> None:
        """Goes on from sums of :meth:`state_dict`."""
        self.sums = {tuple(names): sums.to(device) for names, sums in state}
        self.counted = set(self.sums)
