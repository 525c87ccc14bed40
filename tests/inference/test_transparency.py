from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sr_gan.images.resize import upscale
from sr_gan.inference.pretrained import Interpolation, Pretrained
from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Options
from tests.conftest import random_photo
from tests.inference.test_upscaler import NETWORKS, WHOLE, upscaler

Array = NDArray[Any]


def with_alpha(height: int, width: int, channels: int = 4) -> Array:
    """Returns a random photo whose soft alpha is 0, 1 and anything between: float32."""
    noise = np.random.default_rng(1).normal(size=(height, width))
    alpha = (gaussian_filter(noise, 4) * 9 + 0.3).clip(0, 1)
    colours = random_photo(height, width)[..., : channels - 1] / 255
    return np.dstack([colours, alpha]).astype(np.float32)


def over(image: Array, background: float) -> Array:
    """Lays an image in [0, 1] over a grey background."""
    composite: Array = image[..., :-1] * image[..., -1:] + background * (1 - image[..., -1:])
    return composite


def bicubic(image: Array) -> Array:
    x: Tensor = upscale(torch.from_numpy(image).permute(2, 0, 1)[None].double(), 4)
    enlarged: Array = x[0].permute(1, 2, 0).numpy()
    return enlarged


@pytest.mark.parametrize("channels", [2, 4])
def test_the_bicubic_interpolates_premultiplied_colours(channels: int) -> None:
    image = with_alpha(40, 44, channels)
    model = Upscaler(Pretrained("bicubic", Interpolation("bicubic")), Options(device="cpu"))
    large = model(image)
    assert large.shape == (160, 176, channels)
    alpha = bicubic(image[..., -1:])
    colours = (bicubic(over(image, 0)) / np.maximum(alpha, 1e-9)).clip(0, 1)
    expected = np.dstack([colours, alpha.clip(0, 1)])
    np.testing.assert_allclose(large[..., -1], expected[..., -1], atol=1e-6)
    for background in (0, 1):
        assert np.abs(over(large, background) - over(expected, background)).max() < 1 / 255


@pytest.mark.parametrize("name", ["bicubic", "psnr", "gan"])
def test_a_colour_that_is_hardly_visible_does_not_bleed_into_an_edge(name: str) -> None:
    image = np.full((16, 16, 4), (255, 255, 255, 1), np.uint8)
    image[:, :8] = (200, 0, 0, 255)
    large = Upscaler.from_pretrained(name, device="cpu", precision="fp32")(image) / 255
    assert 255 * over(large, 0)[..., 1].max() < 2.5
    assert 255 * over(large, 1)[..., 0].min() > 196


def test_hidden_colours_change_nothing_that_is_visible_and_are_kept() -> None:
    black = np.dstack([random_photo(20, 40), np.full((20, 40), 255, np.uint8)])
    black[:, 12:, 3] = 0
    green = black.copy()
    black[:, 12:, :3], green[:, 12:, :3] = 0, (0, 255, 0)
    first, second = upscaler()(black), upscaler()(green)
    seen = first[..., 3] > 0
    np.testing.assert_array_equal(first[..., 3], second[..., 3])
    np.testing.assert_array_equal(first[seen], second[seen])
    assert (second[:, 60:] == (0, 255, 0, 0)).all()
    assert not upscaler()(np.zeros((9, 8, 4), np.uint8)).any()


@pytest.mark.parametrize("alpha", [255, 128, 1])
def test_an_alpha_that_is_the_same_everywhere_stays_and_colours_do_not_see_it(alpha: int) -> None:
    rgb = random_photo(20, 22)
    large = upscaler()(np.dstack([rgb, np.full((20, 22), alpha, np.uint8)]))
    assert (large[..., 3] == alpha).all()
    np.testing.assert_array_equal(large[..., :3], upscaler()(rgb))


@pytest.mark.parametrize("name", ["bicubic", "psnr", "gan", "photo"])
@pytest.mark.parametrize("right", [1, 128])
def test_alpha_rings_beside_its_edges_no_more_than_the_bicubic(name: str, right: int) -> None:
    image = np.full((16, 16, 4), 255, np.uint8)
    image[:, 8:, 3] = right
    alpha = Upscaler.from_pretrained(name, device="cpu", precision="fp32")(image)[..., 3]
    expected = 255 * bicubic(image[..., 3:] / 255).clip(0, 1)[..., 0]
    outside = np.r_[:28, 36:64]  # further than one LR pixel from the edge
    np.testing.assert_allclose(alpha[:, outside], expected[:, outside], atol=0.51)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [{}, {"smooth_sigma": 1.3, "smooth": "guided", "consistency": True}],
    ids=["plain", "guided-consistent"],
)
def test_tiles_of_transparent_images_show_no_seams(name: str, options: dict[str, Any]) -> None:
    image = with_alpha(91, 74)
    whole = upscaler(name, tile=WHOLE, **options)(image)
    for tile in (16, 23):
        np.testing.assert_allclose(upscaler(name, tile=tile, **options)(image), whole, atol=1e-5)


def test_edges_of_alpha_are_as_sharp_as_the_network_draws_them() -> None:
    rows, columns = np.mgrid[:192, :192] - 95.5
    disc = np.dstack([np.full((192, 192, 3), (0.9, 0.3, 0.1)), np.hypot(rows, columns) < 70])
    premultiplied = np.dstack([over(disc, 0), disc[..., 3]])
    small = premultiplied.reshape(48, 4, 48, 4, 4).mean((1, 3))
    small[..., :3] /= np.maximum(small[..., 3:], 1e-9)
    image = Image.fromarray((255 * small).round().astype(np.uint8))

    def error(name: str) -> float:
        model = Upscaler.from_pretrained(name, device="cpu", precision="fp32")
        large = np.asarray(model(image)) / 255
        return sum(float(np.square(over(large, b) - over(disc, b)).mean()) for b in (0, 1))

    assert error("psnr") < error("bicubic") / 2
