"""Splits a generator into trunk and reconstruction and finds what each needs to run on tiles."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from sr_gan.networks import tiles

_OVERHEAD = 1.5  # memory of a convolution, relative to its input and output
_CPU_PIECE = 64  # LR pixels; at this side the reconstruction was fastest, as it fits the caches


@dataclass(frozen=True)
class Part:
    """A part of a generator, and what it needs to run on tiles.

    Args:
        run: the function that computes it.
        halo: the LR pixels around a tile that the tile's result depends on.
        floats: the largest count of numbers in memory at one time, per LR pixel.
    """

    run: Callable[..., Tensor]
    halo: int
    floats: float

    def bytes(self, dtype: torch.dtype | None = None) -> float:
        """Returns the bytes of memory per LR pixel when it computes in ``dtype``."""
        return self.floats * (dtype or torch.float32).itemsize * _OVERHEAD


def split(network: nn.Module) -> tuple[Part, Part]:
    """Returns the trunk, ``lr -> features``, and the reconstruction, ``(features, lr) -> sr``.

    If a generator has no methods ``trunk`` and ``reconstruct``, the whole generator is the
    reconstruction. If it has layers other than convolutions that look at neighbouring pixels, its
    attribute ``halo`` must give the radius of its receptive field.
    """
    lr = torch.zeros(1, 3, 8, 8)
    lr = lr.to(next(network.parameters(), lr).device)
    trunk: Any = getattr(network, "trunk", None)
    reconstruct: Any = getattr(network, "reconstruct", None)
    if trunk and reconstruct:
        return _survey(network, trunk, lr), _survey(network, reconstruct, trunk(lr), lr)
    whole = _survey(network, lambda features, lr: network(lr), lr, lr)
    halo = int(getattr(network, "halo", whole.halo))
    return Part(lambda lr: lr, 0, 3), Part(whole.run, halo, whole.floats)


def enlarge(
    trunk: Part, reconstruction: Part, lr: Tensor, scale: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Runs the trunk of :func:`split` on the whole image and the reconstruction on tiles.

    The tiles are as large as fits into half of the free memory if the generator computes in
    ``dtype``; on a CPU they are small, too.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]
    """
    features = trunk.run(lr)
    budget = tiles.memory_budget(lr.device) / 2
    side = tiles.tile_side(budget, reconstruction.bytes(dtype), reconstruction.halo)
    if lr.device.type != "cuda":
        side = min(side, _CPU_PIECE)
    return tiles.tiled(reconstruction.run, (features, lr), side, reconstruction.halo, scale)


@torch.inference_mode()
def _survey(network: nn.Module, run: Callable[..., Tensor], *inputs: Tensor) -> Part:
    """Runs a part on a few pixels and sums up its receptive field and memory."""
    # A convolution adds half its kernel to the reach, in LR pixels: divided by the enlargement
    # before it. Skips and parallel branches count as if they came one after the other, so the sum
    # over all layers is never less than the true reach.
    pixels = inputs[-1].shape[-2] * inputs[-1].shape[-1]
    reach, size, floats = 0.0, 1.0, [0.0]

    def watch(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal reach, size
        floats.append((arguments[0].numel() + output.numel()) / pixels)
        if isinstance(layer, nn.Conv2d):
            reach += layer.dilation[0] * (layer.kernel_size[0] // 2) / size
        elif isinstance(layer, nn.PixelShuffle):
            size *= layer.upscale_factor
        elif isinstance(layer, nn.Upsample):
            size *= float(layer.scale_factor)  # type: ignore[arg-type]

    leaves = [layer for layer in network.modules() if not list(layer.children())]
    with ExitStack() as hooks:
        for leaf in leaves:
            if leaf is not network:
                hooks.enter_context(leaf.register_forward_hook(watch))
        output = run(*inputs)
    held = sum(x.numel() for x in (*inputs, output)) / pixels  # skips keep both ends in memory
    return Part(run, ceil(reach), max(floats) + held)
