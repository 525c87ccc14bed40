from itertools import pairwise

import pytest
import torch
from torch import nn

from sr_gan.networks import PatchDiscriminator, UNetDiscriminator, VGGDiscriminator


def test_has_the_papers_layers_and_parameters() -> None:
    discriminator = VGGDiscriminator()
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.stride[0] for c in convolutions] == [1, 2] * 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 7
    # By hand: only the first convolution has biases, BatchNorm has two numbers per channel, and the
    # last map has 6x6 pixels (96 / 16).
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


@pytest.mark.parametrize("crop", [15, 16, 100])
def test_takes_crops_of_any_size(crop: int) -> None:
    discriminator = VGGDiscriminator(crop, filters=4, dense=8)
    assert discriminator(torch.rand(2, 3, crop, crop)).shape == (2, 1)


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_patch_logit_sees_its_patch_only(layers: int, patch: int) -> None:
    discriminator = PatchDiscriminator(filters=4, layers=layers, norm="none")
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = discriminator(image)
    assert logits.shape == (1, 1, 160 // 2**layers - 2, 160 // 2**layers - 2)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == patch


@pytest.mark.parametrize(("layers", "smallest"), [(1, 6), (2, 12), (3, 24)])
def test_a_patch_discriminator_says_what_is_too_small(layers: int, smallest: int) -> None:
    network = PatchDiscriminator(4, layers, norm="none")
    assert network(torch.rand(1, 3, smallest, smallest)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match=rf"at least {smallest} pixels, got .*: change data\.crop"):
        network(torch.rand(1, 3, smallest, smallest - 1))


def test_unet_has_real_esrgans_parameters_and_a_logit_a_pixel() -> None:
    assert sum(p.numel() for p in UNetDiscriminator().parameters()) == 4_376_897
    assert UNetDiscriminator(4)(torch.rand(2, 3, 24, 40)).shape == (2, 1, 24, 40)
    with pytest.raises(ValueError, match=r"multiples of 8, got 24x36: change data\.crop"):
        UNetDiscriminator(4)(torch.rand(1, 3, 24, 36))


@pytest.mark.parametrize(
    "discriminator",
    [
        VGGDiscriminator(32, filters=4, dense=8, norm="spectral"),
        PatchDiscriminator(4, norm="spectral"),
    ],
)
def test_spectral_norm_bounds_every_layer(discriminator: nn.Module) -> None:
    torch.manual_seed(0)
    for _ in range(30):  # power iterations
        discriminator(torch.rand(1, 3, 32, 32))
    discriminator.eval()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())
    layers = [m for m in discriminator.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert float(norm) == pytest.approx(1, abs=0.05)
