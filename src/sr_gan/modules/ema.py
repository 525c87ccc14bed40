"""The exponential moving average of a generator."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """The moving average of a generator's weights and of its BatchNorm averages.

    After update n, counted from 0, ``average = d * average + (1 - d) * generator`` with
    ``d = min(decay, (1 + n) / (10 + n))``, so that the first weights are soon forgotten.

    :class:`torch.optim.swa_utils.AveragedModel` is not used because it reads its counter back from
    the device in every update, which makes the host wait for a GPU.

    Args:
        generator: the network to average; it is copied.
        decay: the decay in (0, 1); 0.999 averages over about a thousand updates.

    Source: Polyak and Juditsky 1992; for GANs Yazici et al. 2019.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        super().__init__()
        self.generator = deepcopy(generator).requires_grad_(False).eval()
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """Moves the average towards ``generator`` by one update."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        pairs = list(zip(_tensors(self.generator), _tensors(generator)))
        averaged, current = zip(*[pair for pair in pairs if pair[0].is_floating_point()])
        # The _foreach functions take all tensors at once, in few kernels.
        torch._foreach_lerp_(averaged, current, 1 - decay)
        counted = [pair for pair in pairs if not pair[0].is_floating_point()]
        if counted:  # BatchNorm's numbers of batches, which are copied
            counters, now = zip(*counted)
            torch._foreach_copy_(counters, now)

    def train(self, mode: bool = True) -> "EMA":
        """Keeps the eval mode, whatever ``mode`` is."""
        return super().train(False)

    def get_extra_state(self) -> Any:
        return {"updates": self.updates}

    def set_extra_state(self, state: Any) -> None:
        self.updates = state["updates"]


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*(parameter.data for parameter in network.parameters()), *network.buffers()]
