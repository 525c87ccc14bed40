from itertools import pairwise

import pytest
import torch
from torch import nn

from sr_gan.networks import VGGDiscriminator


def test_has_the_papers_layers_and_parameters() -> None:
    discriminator = VGGDiscriminator()
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.stride[0] for c in convolutions] == [1, 2] * 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 7
    # by hand: the first convolution alone has biases, BN has two numbers a channel, 96 / 16 = 6
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    weights = sum(9 * a * b for a, b in pairwise(widths)) + 64
    expected = weights + 2 * sum(widths[2:]) + 512 * 36 * 1024 + 1024 + 1025
    assert sum(p.numel() for p in discriminator.parameters()) == expected == 23_563_649


def test_gives_one_logit_an_image() -> None:
    logits = VGGDiscriminator(crop=32, filters=4, dense=8)(torch.rand(3, 3, 32, 32) * 2 - 1)
    assert logits.shape == (3, 1)


def test_says_which_crop_it_was_built_for() -> None:
    discriminator = VGGDiscriminator(crop=32, filters=4, dense=8)
    with pytest.raises(ValueError, match=r"crops of 32x32 pixels and got 48x48.*vgg_pool"):
        discriminator(torch.rand(1, 3, 48, 48))


def test_pooled_variant_takes_any_size() -> None:
    discriminator = VGGDiscriminator(crop=100, filters=4, dense=8, pooled_size=6)
    for side in (16, 50, 96, 100, 128):
        assert discriminator(torch.rand(2, 3, side, side)).shape == (2, 1)


@pytest.mark.parametrize("crop", [0, 15, 100])
def test_refuses_crops_that_do_not_halve_four_times(crop: int) -> None:
    with pytest.raises(ValueError, match=f"crop must be a positive multiple of 16, got {crop}"):
        VGGDiscriminator(crop)
