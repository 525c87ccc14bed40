"""LR from HR: exactly, or as a photo with a history."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sr_gan.data.degradation.draws import check_shares, chosen
from sr_gan.data.degradation.jpeg import levels
from sr_gan.data.degradation.passes import Pass
from sr_gan.data.degradation.resize import RandomResize
from sr_gan.images.resize import downscale


class Exact:
    """No degradation: the data keeps the exact bicubic LR that it made beforehand."""

    exact = True

    def margin(self, scale: int) -> int:
        """A crop of that LR loses nothing at its borders."""
        return 0


class Degradation(Pass):
    """Makes LR from HR: blur, the exact bicubic reduction, noise and JPEG, for some twice.

    The first pass is described by the arguments of :class:`Pass`; it blurs HR.

    Args:
        probability: share of images that are degraded; the others are only reduced.
        resize: takes images to LR by way of another size; ``None``: none.
        second: blurs at that size, and adds noise and JPEG to LR; ``None``: none.
        settings: those of :class:`Pass`.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Wang et al. 2021 (Real-ESRGAN), section 3.2, without its sinc filters.
    """

    exact = False

    def __init__(
        self,
        probability: float = 1.0,
        resize: RandomResize | None = None,
        second: Pass | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_shares(probability=probability)
        self.probability, self.resize, self.second = probability, resize, second or Pass()

    def margin(self, scale: int) -> int:
        """LR pixels at a crop's borders that depend on what lies beyond it, to be cut off.

        They are the first blur's radius, the filters' pixels, and the second blur's radius.
        """
        filters, smallest = 2, 1.0
        if self.resize:
            filters, smallest = self.resize.margin, min(1.0, self.resize.factor[0])
        return math.ceil(self.radius / scale) + filters + math.ceil(self.second.radius / smallest)

    def __call__(self, hr: Tensor, scale: int, generator: torch.Generator) -> Tensor:
        """LR (B, 3, H / scale, W / scale) in [0, 1] at 256 levels from HR (B, 3, H, W) in [0, 1].

        All that is drawn comes from ``generator``, which lives on the device of ``hr``.
        """
        degraded = chosen(self.probability, len(hr), generator)
        clean = levels(255 * downscale(hr, scale))
        height, width = clean.shape[-2:]
        there, back = (
            self.resize.ways((height, width), scale, len(hr), generator)
            if self.resize
            else (partial(downscale, scale=scale), levels)
        )
        image = self.spoil(levels(255 * there(self.blur(hr, generator))), generator)
        lr = self.second.spoil(levels(back(self.second.blur(image, generator))), generator)
        return torch.where(degraded, lr, clean) / 255
