"""Makes LR from HR, either exactly or with the damage of real photos."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sr_gan.arguments import Share, checked
from sr_gan.data.degradation.draws import chosen
from sr_gan.data.degradation.jpeg import levels
from sr_gan.data.degradation.passes import Pass
from sr_gan.data.degradation.resize import RandomResize
from sr_gan.images.resize import downscale


class Exact:
    """No degradation: training uses the exact bicubic LR from the cache."""


class Degradation(Pass):
    """Makes LR from HR by blur, exact bicubic reduction, noise and JPEG, optionally in two passes.

    The arguments of :class:`Pass` describe the first pass, which blurs HR.

    Args:
        probability: the share of images that are degraded; the others are only reduced.
        resize: resizes images to LR by way of an intermediate size; ``None`` reduces directly.
        second: a pass that blurs at that size and adds noise and JPEG to LR; ``None`` is no pass.
        settings: the arguments of :class:`Pass`.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: Wang et al. 2021 (Real-ESRGAN), section 3.2, without its sinc filters.
    """

    @checked
    def __init__(
        self,
        probability: Share = 1.0,
        resize: RandomResize | None = None,
        second: Pass | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.probability, self.resize, self.second = probability, resize, second or Pass()

    def margin(self, scale: int) -> int:
        """Returns how many LR pixels at a crop's borders depend on what lies beyond the crop.

        This is the sum of the first blur's radius, the filters' reach and the second blur's radius.
        These pixels must be cut off.
        """
        filters, smallest = 2, 1.0
        if self.resize:
            filters, smallest = self.resize.margin, min(1.0, self.resize.factor[0])
        return math.ceil(self.radius / scale) + filters + math.ceil(self.second.radius / smallest)

    def __call__(self, hr: Tensor, scale: int, generator: torch.Generator) -> Tensor:
        """Makes LR (B, 3, H / scale, W / scale) from HR (B, 3, H, W), both in [0, 1].

        LR has 256 levels. Random numbers come from ``generator``, which is on the device of ``hr``.
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
