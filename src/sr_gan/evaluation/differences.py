"""Tells whether one model is better than another on the same images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sr_gan.evaluation.suite import Scores

_TIMES, _AT_ONCE = 10_000, 100
_COVERED = (2.5, 97.5)  # percent


@dataclass(frozen=True)
class Difference:
    """The mean difference of two models' scores, with an interval that holds it in 95 of 100.

    Args:
        mean: the mean over the images.
        low, high: the ends of the interval.
        images: how many images have both scores, as finite numbers.
    """

    mean: float
    low: float
    high: float
    images: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval does not hold 0."""
        return not self.low <= 0 <= self.high


def difference(
    ours: Mapping[str, Scores], theirs: Mapping[str, Scores], key: str
) -> Difference | None:
    """Returns how much higher the scores of ``ours`` are; None for fewer than two images.

    The interval is found by drawing the images again with replacement, the same in every call, and
    taking the middle 95 % of the means (the percentile bootstrap of Efron 1979). Pairing removes
    how hard each image is. With few images the interval is too narrow.
    """
    every = np.array([_apart(ours[name], theirs[name], key) for name in ours if name in theirs])
    apart = every[np.isfinite(every)]
    if len(apart) < 2:
        return None
    rng, images = np.random.default_rng(0), len(apart)
    means = [
        apart[rng.integers(images, size=(_AT_ONCE, images))].mean(axis=1)
        for _ in range(_TIMES // _AT_ONCE)
    ]
    low, high = np.percentile(means, _COVERED)
    return Difference(float(apart.mean()), float(low), float(high), images)


def _apart(ours: Scores, theirs: Scores, key: str) -> float:
    """Returns the difference, which is NaN if a score lacks or the PSNR of both is infinite."""
    a, b = ours.get(key), theirs.get(key)
    return np.nan if a is None or b is None else a - b
