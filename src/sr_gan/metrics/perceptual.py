"""LPIPS and DISTS: distances of deep features, weighted to agree with human judgement."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from math import ceil

import torch
from torch import Tensor

from sr_gan.devices import without_tf32
from sr_gan.networks.dists import DISTSNetwork
from sr_gan.networks.lpips import Backbone, LPIPSNetwork
from sr_gan.networks.tiles import spans

_BLOCK = 16  # pixels; the stride of the deepest layer
# Blocks of a tile, and around it. No feature of AlexNet and SqueezeNet sees more than 118 pixels,
# and none of VGG16 more than 105; its first layers are large.
_TILES: dict[Backbone, tuple[int, int]] = {"alex": (80, 8), "squeeze": (80, 8), "vgg": (32, 7)}
_ROWS = 16  # of features that are converted to float64 at a time
_C = 1e-6  # what keeps the similarities of DISTS finite


class _DeepDistance:
    """Runs a network on tiles of two images.

    As tiles begin at multiples of the deepest layer's stride, and their halo is as wide as a
    feature sees, every feature is the one of the whole image.
    """

    smallest = 32  # pixels per side; AlexNet's strides would leave nothing of fewer

    def __init__(
        self, network: LPIPSNetwork | DISTSNetwork, net: Backbone, device: torch.device | str
    ) -> None:
        self.network = network
        self.tile, self.halo = _TILES[net]
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Moves the network to another device."""
        self.device = torch.device(device)
        self.network.to(self.device)

    def _layers(self, sr: Tensor, hr: Tensor) -> Iterator[tuple[int, list[Tensor]]]:
        """Yields the number of every layer and its maps without the halo, for each tile.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        sides = sr.shape[-2:]
        if min(sides) < self.smallest:
            raise ValueError(f"{type(self).__name__} needs 32x32 pixels, got {tuple(sides)}")
        rows, columns = (list(spans(ceil(n / _BLOCK), self.tile, self.halo)) for n in sides)
        for row, column in product(rows, columns):
            tile = (..., _pixels(row.window), _pixels(column.window))
            a, b = (self._scaled(x[tile]) for x in (sr, hr))
            for layer, (stride, maps) in enumerate(self.network.maps(a, b)):
                per_block = _BLOCK // stride
                core = (..., row.core(per_block), column.core(per_block))
                yield layer, [one[core] for one in maps]

    def _scaled(self, image: Tensor) -> Tensor:
        """uint8 (B, 1 or 3, h, w) -> (B, 3, h, w) in [-1, 1]."""
        return image.to(self.device).expand(-1, 3, -1, -1).float().div_(127.5).sub_(1)


class LPIPS(_DeepDistance):
    """The learned perceptual image patch similarity, version 0.1; 0 means equal.

    Args:
        weights: the weights of the backbone, see :class:`sr_gan.networks.LPIPSNetwork`.
        device: the device that computes.
        net: the backbone; papers report ``alex``.

    Raises:
        UserError: the weights are missing or belong to another network.
    """

    def __init__(
        self,
        weights: str | None = None,
        device: torch.device | str = "cpu",
        net: Backbone = "alex",
    ) -> None:
        super().__init__(LPIPSNetwork(net, weights), net, device)

    @torch.no_grad()
    @without_tf32()
    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the distances (B,) of two uint8 (B, 1 or 3, H, W), borders included.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        parts: dict[int, list[Tensor]] = defaultdict(list)  # the distances of each layer
        for layer, (distances,) in self._layers(sr, hr):
            parts[layer].append(distances.flatten(1))
        return torch.stack([torch.cat(maps, 1).mean(1) for maps in parts.values()]).sum(0)


class DISTS(_DeepDistance):
    """The deep image structure and texture similarity, as a distance; 0 means equal.

    It compares the means and the covariances of features, so it tolerates texture that is
    resampled. Images keep their size, as in the published tables of super-resolution.

    Args:
        weights: the weights of VGG16, see :class:`sr_gan.networks.LPIPSNetwork`.
        device: the device that computes.

    Raises:
        UserError: the weights are missing or belong to another network.

    Source: Ding et al. 2020, equations 6 to 9.
    """

    def __init__(self, weights: str | None = None, device: torch.device | str = "cpu") -> None:
        network = DISTSNetwork(weights)
        super().__init__(network, "vgg", device)
        self.weights = network.weights

    @torch.no_grad()
    @without_tf32()
    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the distances (B,) of two uint8 (B, 1 or 3, H, W), borders included.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        sums: dict[int, list[Tensor]] = defaultdict(list)  # (6, B, C) of parts of each layer
        for layer, maps in self._layers(sr, hr):
            for rows in zip(*(torch.split(x, _ROWS, -2) for x in maps)):
                x, y = (part.double() for part in rows)
                terms = (torch.ones_like(x), x, y, x * x, y * y, x * y)
                sums[layer].append(torch.stack([term.sum((2, 3)) for term in terms]).cpu())
        similarity = torch.zeros(len(sr), dtype=torch.float64)
        for parts, weights in zip(sums.values(), self.weights):
            count, *totals = torch.stack(parts).sum(0)
            mean_x, mean_y, xx, yy, xy = (total / count for total in totals)
            alpha, beta = weights
            means = (2 * mean_x * mean_y + _C) / (mean_x**2 + mean_y**2 + _C)
            variances = xx - mean_x**2 + yy - mean_y**2
            structures = (2 * (xy - mean_x * mean_y) + _C) / (variances + _C)
            similarity += (alpha * means + beta * structures).sum(1)
        return 1 - similarity


def _pixels(blocks: slice) -> slice:
    return slice(blocks.start * _BLOCK, blocks.stop * _BLOCK)
