"""The crop is where the results differ most, found here by trying every place."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_gan.evaluation.crops import cut

SIDE = 16


def image(seed: int, channels: int = 3) -> Tensor:
    pixels = np.random.default_rng(seed).integers(100, 120, (1, channels, 40, 56), np.uint8)
    return torch.from_numpy(pixels)


def shown(file: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(file))))


def changed(like: Tensor, top: int, left: int, by: int = 60) -> Tensor:
    other = like.clone()
    other[..., top : top + SIDE, left : left + SIDE] += by
    return other


@pytest.mark.parametrize("channels", [1, 3])
def test_the_crop_is_where_two_results_differ_most(channels: int) -> None:
    a, b, hr = (image(seed, channels) for seed in range(3))
    b = changed(b, 11, 23)
    crop = cut({"a": a, "b": b}, hr, SIDE)
    distance = (a.double() - b.double()).abs().mean(1)[0]
    means = {
        (top, left): float(distance[top : top + SIDE, left : left + SIDE].mean())
        for top in range(40 - SIDE + 1)
        for left in range(56 - SIDE + 1)
    }
    assert (crop.top, crop.left) == max(means, key=lambda place: means[place])
    assert crop.difference == pytest.approx(max(means.values()), rel=1e-5)
    inside = np.s_[crop.top : crop.top + SIDE, crop.left : crop.left + SIDE]
    for file, whole in [(crop.hr, hr), (crop.results["a"], a), (crop.results["b"], b)]:
        pixels = whole[0].expand(3, -1, -1).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(shown(file), pixels[inside])


def test_any_two_of_three_may_differ() -> None:
    a = image(0)
    crop = cut({"a": a, "b": changed(a, 0, 3, 30), "c": changed(a, 20, 40, 40)}, a, SIDE)
    assert (crop.top, crop.left) == (20, 40)


def test_bicubic_counts_only_beside_a_single_model() -> None:
    a = image(0)
    results = {"a": a, "b": changed(a, 5, 6, 20), "bicubic": changed(a, 20, 30)}
    crop = cut(results, a, SIDE)
    assert (crop.top, crop.left) == (5, 6)
    assert list(crop.results) == ["a", "b", "bicubic"]
    del results["b"]
    crop = cut(results, a, SIDE)
    assert (crop.top, crop.left) == (20, 30)
    crop = cut({"bicubic": a}, changed(a, 1, 2), SIDE)
    assert (crop.top, crop.left) == (1, 2)


def test_a_smaller_photograph_is_shown_whole() -> None:
    crop = cut({"a": image(0), "b": image(1)}, image(2), 50)
    assert (crop.top, crop.height, crop.width) == (0, 40, 50)
    assert shown(crop.hr).shape == (40, 50, 3)
