"""Refines enlarged images by self-ensemble, smoothing, and consistency with the input.

Images are float (B, C, H, W) in [0, 1]. The reach of each step in pixels is given, so that it can
run on tiles.
"""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_gan.images.resize import downscale, mirror, upscale

BACK_PROJECTIONS = 5  # rounds, after which 8-bit images no longer change
BACK_PROJECTION_HALO = 4  # LR pixels per round: the bicubic reaches two down and two up
_TRUNCATE = 3.0  # standard deviations at which a Gaussian is cut off
_LUMA = (0.299, 0.587, 0.114)


def self_ensemble(run: Callable[[Tensor], Tensor], lr: Tensor) -> Tensor:
    """Returns the mean of ``run`` over the eight flips and rotations of ``lr``, turned back.

    Source: Timofte et al. 2016, *Seven ways to improve example-based single image
    super-resolution*, section 3.6; Lim et al. 2017 (EDSR), section 3.5.
    """
    total: Tensor | None = None
    for turns in range(4):
        for flip in (False, True):
            turned = torch.rot90(lr.flip(-1) if flip else lr, turns, (-2, -1))
            back = torch.rot90(run(turned), -turns, (-2, -1))
            back = back.flip(-1) if flip else back
            total = back.float() if total is None else total.add_(back)
    assert total is not None
    return total / 8


def gaussian_radius(sigma: float) -> int:
    """Returns the reach of a Gaussian filter to each side in pixels."""
    return ceil(_TRUNCATE * sigma)


def gaussian(image: Tensor, sigma: float) -> Tensor:
    """Filters by a Gaussian of standard deviation ``sigma`` pixels; borders are mirrored."""
    radius = gaussian_radius(sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    taps = torch.exp(-(offsets**2) / (2 * sigma**2))
    taps = taps / taps.sum()
    channels = image.shape[1]
    x = _pad(image, radius)
    x = F.conv2d(x, taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(x, taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def guided(image: Tensor, sigma: float, edge: float = 0.03) -> Tensor:
    """Smooths but keeps edges: a guided filter with a Gaussian window, guided by the image's luma.

    Args:
        image: (B, 1 or 3, H, W) in [0, 1].
        sigma: the standard deviation of the Gaussian window in pixels.
        edge: the contrast of which half is kept, as a standard deviation of luma in the window;
            weaker contrast is smoothed away, stronger contrast is kept.

    Source: He, Sun and Tang 2013, *Guided image filtering*, equations 5 to 8, with a Gaussian
    window in place of the box. Its reach is twice :func:`gaussian_radius`.
    """
    luma = image
    if image.shape[1] == 3:
        weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device)
        luma = (image * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)
    moments = gaussian(torch.cat([luma, luma * luma, image, image * luma], dim=1), sigma)
    mean_i, mean_ii = moments[:, :1], moments[:, 1:2]
    mean_p, mean_ip = moments[:, 2:].chunk(2, dim=1)
    slope = (mean_ip - mean_i * mean_p) / (mean_ii - mean_i * mean_i + edge**2)
    offset = mean_p - slope * mean_i
    slope, offset = gaussian(torch.cat([slope, offset], dim=1), sigma).chunk(2, dim=1)
    return slope * luma + offset


def back_project(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Changes ``sr`` (B, C, scale * h, scale * w) so that its exact bicubic reduction is ``lr``.

    Source: Irani and Peleg 1991, *Improving resolution by image registration*, section 3, with
    the bicubic as the blur and as the back-projection kernel.
    """
    for _ in range(BACK_PROJECTIONS):
        sr = sr + upscale(lr - downscale(sr, scale), scale)
    return sr


def _pad(image: Tensor, radius: int) -> Tensor:
    """Mirrors the borders with the edge pixel repeated, however small the image is."""
    for dim in (-2, -1):
        length = image.shape[dim]
        index = torch.arange(-radius, length + radius, device=image.device)
        image = image.index_select(dim, mirror(index, length))
    return image
