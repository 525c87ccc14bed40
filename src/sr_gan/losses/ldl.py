"""Locally discriminative learning: a loss that suppresses artefacts and keeps details."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WINDOW = 7  # pixels
_SMALLEST = 1e-12  # variance; below it the slope of the fifth root would grow without bound


class LDLLoss(nn.Module):
    """``mean |M * (sr - hr)|``, where the map M is large where ``sr`` looks like an artefact.

    The map is :func:`artefact_map`. Gradients flow through it, too, as in the authors' code.
    Images are halved, to a range of 1 as in the paper, for which the published weight is 1.

    Shapes:
        three (B, 3, H, W) in [-1, 1], sides of at least 4 -> a scalar

    Source: Liang et al. 2022, *Details or artifacts: a locally discriminative learning approach to
    realistic image super-resolution*, section 3, and the authors' code.
    """

    averaged = True  # takes the averaged generator's image, too

    def forward(self, sr: Tensor, hr: Tensor, averaged: Tensor) -> Tensor:
        with torch.autocast(sr.device.type, enabled=False):
            sr, hr, averaged = (image.float() / 2 for image in (sr, hr, averaged))
            return (artefact_map(sr, hr, averaged) * (sr - hr)).abs().mean()


def artefact_map(sr: Tensor, hr: Tensor, averaged: Tensor) -> Tensor:
    """Returns how much each pixel of ``sr`` looks like an artefact: (B, 1, H, W), at least 0.

    Let the residual R be ``|sr - hr|``, summed over the colours. The map is the unbiased variance
    of R in the 7x7 window around the pixel (mirrored at the borders), times the fifth root of R's
    variance over the whole image. It is 0 where R is smaller than the averaged generator's
    residual, because there the generator is already better than its average.

    All images are (B, C, H, W), in a range of width 1 from black to white.
    """
    residual, average = ((image - hr).abs().sum(1, keepdim=True) for image in (sr, averaged))
    whole = residual.var((1, 2, 3), keepdim=True).clamp_min(_SMALLEST) ** (1 / 5)
    return torch.where(residual < average, 0.0, whole * _local_variance(residual))


def _local_variance(image: Tensor) -> Tensor:
    """Returns the unbiased variance of the window around each pixel."""
    # Mean square minus squared mean: on a CPU six times as fast as the variance of each window.
    padded = F.pad(image, (_WINDOW // 2,) * 4, mode="reflect")
    square, mean = (F.avg_pool2d(x, _WINDOW, stride=1) for x in (padded.square(), padded))
    pixels = _WINDOW**2
    return (square - mean.square()).clamp_min(0) * pixels / (pixels - 1)
