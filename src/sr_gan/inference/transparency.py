"""Enlarges images with transparency, so that no colour shows that alpha hides.

Colours are float (1, 1 or 3, h, w) and alpha is (1, 1, h, w), both in [0, 1].
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_gan.images.resize import upscale

_BICUBIC = 2  # LR pixels that the bicubic reaches
_REACH = 3  # LR pixels that a pixel's neighbourhood reaches
HALO = _BICUBIC + _REACH  # LR pixels that are needed around a tile, besides those of the network
_GREY = 0.5  # the colour that the network sees where nothing is visible
_FAINT = 4 / 255  # the alpha below which a ratio of two interpolations means little


def enlarge(run: Callable[[Tensor], Tensor], colour: Tensor, alpha: Tensor, scale: int) -> Tensor:
    """Returns the enlarged colours and alpha, nominally in [0, 1]: (1, 2 or 4, H, W).

    The low frequencies are those of the bicubic of premultiplied colours, in which a pixel counts
    as much as it is visible. The network adds what it adds to the bicubic of the visible colours.
    For the bicubic itself the result is the premultiplied interpolation. Alpha is enlarged by the
    network like a grey image, so that its edges are as sharp as those of the colours. A network
    rings beside such edges: where the eight neighbours of a pixel have its alpha, the bicubic
    enlarges alpha. Where alpha is 0 the bicubic enlarges the hidden colours. ``run`` is the
    network, (1, 1 or 3, h, w) -> (1, 1 or 3, scale * h, scale * w) in [0, 1].
    """
    smooth, lowest, highest = upscale(alpha, scale), alpha.amin(), alpha.amax()
    if lowest == highest:
        return torch.cat([run(colour) if lowest > 0 else upscale(colour, scale), smooth], dim=1)
    flat = -_highest(-alpha, 1) == _highest(alpha, 1)
    flat = F.interpolate(flat.float(), scale_factor=scale) > 0
    opacity = torch.where(flat, smooth, run(alpha))
    visible = _visible(colour, alpha)
    sr = run(visible) + _shift(colour, alpha, visible, smooth, scale)
    return torch.cat([torch.where(opacity > 0, sr, upscale(colour, scale)), opacity], dim=1)


def _shift(colour: Tensor, alpha: Tensor, visible: Tensor, smooth: Tensor, scale: int) -> Tensor:
    """Returns what the bicubic of premultiplied colours has more than that of the visible ones."""
    # The bicubic overshoots a little; a ratio beyond that is one of two numbers near 0.
    premultiplied = (upscale(colour * alpha, scale) / smooth).clamp(-1, 2)
    trust = (smooth / _FAINT).clamp(0, 1)
    return torch.where(trust > 0, trust * (premultiplied - upscale(visible, scale)), 0)


def _visible(colour: Tensor, alpha: Tensor) -> Tensor:
    """Blends each pixel with its neighbourhood, the more, the fainter it is in comparison.

    A network would draw the edges of colours that are hardly visible, and rings beside them. Where
    the neighbourhood ends, the blended colours have an edge, too. So it is wide enough to keep
    most of the rings away from what is visible.
    """
    weight, highest = _mean(alpha), _highest(alpha)
    share = alpha / highest
    blended = share * colour + (1 - share) * _mean(colour * alpha) / weight
    return torch.where((highest > 0) & (weight > 0), blended, _GREY)


def _mean(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2 * _REACH + 1, 1, _REACH)


def _highest(x: Tensor, reach: int = _REACH) -> Tensor:
    return F.max_pool2d(x, 2 * reach + 1, 1, reach)
