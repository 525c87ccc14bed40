"""Resizes photos to a random size and on to LR, by filters drawn for each image."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sr_gan.arguments import Range, Share, checked
from sr_gan.data.degradation.draws import chosen, uniform
from sr_gan.images.resize import cubic

_FILTERS = 3  # box, triangle and cubic, all widened when they reduce


class RandomResize:
    """Resizes HR to LR by way of another size, at which the first pass adds noise and JPEG.

    Args:
        factor: the sides of that size over LR's, drawn uniformly in the logarithm; below 1 the
            image is enlarged to LR.
        share: the share of images that are resized so; the cubic reduces the others to LR directly.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Wang et al. 2021 (Real-ESRGAN), section 3.1: area, bilinear and bicubic, up and down.
    """

    @checked
    def __init__(
        self,
        factor: Range[Annotated[float, Field(ge=0.1, le=4)]] = (0.7, 1.5),
        share: Share = 1.0,
    ) -> None:
        self.factor, self.share = factor, share

    @property
    def margin(self) -> int:
        """The number of LR pixels that both filters together reach beyond a crop."""
        return 2 * math.ceil(2 / min(1, self.factor[0]))

    def ways(
        self, size: tuple[int, int], scale: int, batch: int, generator: torch.Generator
    ) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """Returns functions from HR to the intermediate size, and from there to LR of ``size``.

        The intermediate images of a batch lie in the top left corners of equal canvases, which are
        large enough for the largest factor.
        """
        logarithm = uniform([math.log(bound) for bound in self.factor], batch, generator)
        taken = chosen(self.share, batch, generator)
        factor = torch.where(taken, logarithm.exp(), 1.0)
        there, back = (
            torch.where(taken, uniform((0, _FILTERS), batch, generator).floor(), 2.0)
            for _ in range(2)
        )
        height, width = (math.ceil(side * max(1, self.factor[1])) for side in size)
        return (
            lambda hr: resample(hr, (height, width), scale / factor, there),
            lambda between: resample(between, size, factor, back),
        )


def resample(images: Tensor, size: tuple[int, int], step: Tensor, filters: Tensor) -> Tensor:
    """Resizes (B, C, H, W) to (B, C, *size) with a step and a filter for each image.

    ``step`` (B, 1, 1, 1) is the number of input pixels per output pixel. ``filters`` (B, 1, 1, 1)
    are 0 for box, 1 for triangle and 2 for Keys' cubic. Outputs beyond an edge repeat the edge.
    """
    rows = _weights(images.shape[-2], size[0], step, filters)
    columns = _weights(images.shape[-1], size[1], step, filters)
    return rows @ images @ columns.transpose(-1, -2)


def _weights(inputs: int, outputs: int, step: Tensor, filters: Tensor) -> Tensor:
    """Returns the weight of each input in each output: (B, 1, outputs, inputs)."""
    centres = (torch.arange(outputs, device=step.device)[:, None] + 0.5) * step - 0.5
    pixels = torch.arange(inputs, device=step.device)
    distance = (pixels - centres.clamp(0, inputs - 1)).abs() / step.clamp(min=1)
    box, triangle = (distance <= 0.5).float(), (1 - distance).clamp(min=0)
    weights = torch.where(filters < 1, box, torch.where(filters < 2, triangle, cubic(distance)))
    return weights / weights.sum(dim=-1, keepdim=True)
