"""Means over an epoch and over a few updates, summed on the device where the numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Snapshot:
    """Means on their way to the host, which waits only if it reads them before they arrive.

    Args:
        names: the names, in which one may occur several times.
        numbers: (2, n) sums and counts, which stay as they are.
    """

    def __init__(self, names: Sequence[str], numbers: Tensor) -> None:
        self.names, self.numbers = names, numbers
        self.arrived: torch.cuda.Event | None = None
        if self.numbers.is_cuda:
            self.numbers = self.numbers.to("cpu", non_blocking=True)
            self.arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.arrived.record()

    def read(self) -> dict[str, float]:
        """Returns the means by name. Names that were not given are left out."""
        if self.arrived:
            self.arrived.synchronize()
        totals: dict[str, tuple[float, float]] = {}
        for name, total, count in zip(self.names, *self.numbers.tolist()):
            before = totals.get(name, (0.0, 0.0))
            totals[name] = before[0] + total, before[1] + count
        return {name: total / count for name, (total, count) in totals.items() if count}


class Means:
    """Means of named numbers over an epoch, which are read at its end, and over parts of it.

    Lightning's ``log`` walks and copies everything that was logged, which takes half a millisecond
    for each call, and an update of a GAN would call it ten times. This class adds a small tensor to
    another one on the same device, so that the host never waits for a GPU. The sums stay at their
    place in memory, so that a recorded update can add to them.
    """

    def __init__(self) -> None:
        # (2, 2, n) of each group: sums and counts since the last snapshot, and those before it
        self.sums: dict[tuple[str, ...], Tensor] = {}
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
            self.sums[names] = counted.new_zeros(2, *counted.shape)
        self.sums[names][0].add_(counted)
        self.counted.add(names)

    def take(self) -> dict[str, Tensor]:
        """Returns the means by name, and begins anew. Names that were never given are left out."""
        means = self.peek()
        for sums in self.sums.values():
            sums.zero_()
        self.counted = set()
        return means

    def snapshot(self) -> Snapshot | None:
        """Returns the means since the last snapshot, or ``None`` if nothing has been given."""
        if not self.counted:
            return None
        names = [name for group in self.sums for name in group]
        snapshot = Snapshot(names, torch.cat([new for new, _ in self.sums.values()], 1))
        for new, earlier in self.sums.values():
            earlier += new
            new.zero_()
        return snapshot

    def peek(self) -> dict[str, Tensor]:
        """Returns the means so far."""
        totals: dict[str, Tensor] = {}
        for names in sorted(self.counted):  # any order would round differently
            for name, total in zip(names, self.sums[names].sum(0).T):  # a sum and a count each
                totals[name] = totals[name] + total if name in totals else total
        return {name: total / count for name, (total, count) in totals.items()}

    def state_dict(self) -> list[tuple[list[str], Tensor]]:
        """Returns the sums so far, (2, 2, n) of each group, from which a resumed epoch goes on."""
        return [(list(names), self.sums[names].clone()) for names in sorted(self.counted)]

    def load_state_dict(self, state: Sequence[tuple[list[str], Tensor]], device: Any) -> None:
        """Goes on from sums of :meth:`state_dict`, which are (2, n) in earlier versions."""
        both = {tuple(names): sums.to(device).reshape(-1, 2, len(names)) for names, sums in state}
        self.sums = {names: torch.stack([sums[0], sums[1:].sum(0)]) for names, sums in both.items()}
        self.counted = set(self.sums)
