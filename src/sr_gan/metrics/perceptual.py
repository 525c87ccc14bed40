"""LPIPS: a distance of deep features, weighted to agree with human judgement."""

from collections import defaultdict
from itertools import product
from math import ceil

import torch
from torch import Tensor

from sr_gan.networks.lpips import Backbone, LPIPSNetwork
from sr_gan.networks.tiles import spans

_BLOCK = 16  # pixels; the stride of the deepest layer
_SIDE, _HALO = 80, 8  # blocks of a tile, and around it; no feature sees more than 118 pixels


class LPIPS:
    """The learned perceptual image patch similarity, version 0.1; 0 means equal.

    Large images are measured in tiles, with the same result. As tiles begin at multiples of the
    deepest layer's stride, and their halo is as wide as a feature sees, every feature is the one
    of the whole image.

    Args:
        weights: the weights of the backbone, see :class:`sr_gan.networks.LPIPSNetwork`.
        device: the device that computes.
        net: the backbone; papers report ``alex``.

    Raises:
        UserError: the weights are missing or belong to another network.
    """

    smallest = 32  # pixels per side; AlexNet's strides would leave nothing of fewer

    def __init__(
        self,
        weights: str | None = None,
        device: torch.device | str = "cpu",
        net: Backbone = "alex",
    ) -> None:
        self.network = LPIPSNetwork(net, weights)
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Moves the network to another device."""
        self.device = torch.device(device)
        self.network.to(self.device)

    @torch.no_grad()
    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the distances (B,) of two uint8 (B, 1 or 3, H, W), borders included.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        if min(sr.shape[-2:]) < self.smallest:
            raise ValueError(f"LPIPS needs 32x32 pixels, got {tuple(sr.shape[-2:])}")
        rows, columns = (list(spans(ceil(side / _BLOCK), _SIDE, _HALO)) for side in sr.shape[-2:])
        parts: dict[int, list[Tensor]] = defaultdict(list)  # the distances of each layer
        for row, column in product(rows, columns):
            tile = (..., _pixels(row.window), _pixels(column.window))
            a, b = (self._scaled(x[tile]) for x in (sr, hr))
            for layer, (stride, distances) in enumerate(self.network.maps(a, b)):
                per_block = _BLOCK // stride
                core = distances[..., row.core(per_block), column.core(per_block)]
                parts[layer].append(core.flatten(1))
        return torch.stack([torch.cat(maps, 1).mean(1) for maps in parts.values()]).sum(0)

    def _scaled(self, image: Tensor) -> Tensor:
        """uint8 (B, 1 or 3, h, w) -> (B, 3, h, w) in [-1, 1]."""
        return image.to(self.device).expand(-1, 3, -1, -1).float().div_(127.5).sub_(1)


def _pixels(blocks: slice) -> slice:
    return slice(blocks.start * _BLOCK, blocks.stop * _BLOCK)
