import numpy as np
import pytest
import torch
from torch import nn

from sr_gan.networks import BandDiscriminator

HAAR = {
    "horizontal": [[1, -1], [1, -1]],
    "vertical": [[1, 1], [-1, -1]],
    "diagonal": [[1, -1], [-1, 1]],
}


def explicit_bands(image: np.ndarray, levels: int) -> np.ndarray:
    """Computes the Haar bands of an image (C, H, W) by their definition, as sums over blocks.

    At level l a detail is the inner product of a block of 2^l x 2^l pixels with a pattern of signs,
    divided by 2^l, the norm of the pattern.
    """
    channels, height, width = image.shape
    bands = []
    for level in range(1, levels + 1):
        side = 2**level
        for channel in range(channels):
            for signs in HAAR.values():
                pattern = np.kron(np.array(signs), np.ones((side // 2, side // 2)))
                band = np.zeros((height // 2, width // 2))
                for y, x in np.ndindex(*band.shape):
                    top, left = 2 * y // side * side, 2 * x // side * side
                    block = image[channel, top : top + side, left : left + side]
                    band[y, x] = (block * pattern).sum() / side
                bands.append(band * 8 / side)  # makes all levels about equally strong
    return np.stack(bands)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_sees_the_bands_of_an_explicit_haar_transform(levels: int) -> None:
    images = torch.rand(2, 3, 16, 24) * 2 - 1
    bands = BandDiscriminator(levels, filters=2).bands(images)
    assert bands.shape == (2, 9 * levels, 8, 12)
    for ours, image in zip(bands, images):
        expected = explicit_bands(image.double().numpy(), levels)
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_is_blind_to_a_cast_and_not_to_grain() -> None:
    discriminator = BandDiscriminator(filters=4)
    image = torch.rand(1, 3, 64, 64)
    cast = torch.tensor([0.3, -0.2, 0.1]).view(1, 3, 1, 1)
    logits = discriminator(image)
    torch.testing.assert_close(discriminator(image + cast), logits, rtol=1e-4, atol=1e-5)
    grain = 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, 32)
    assert (discriminator(image + grain) - logits).abs().max() > 1e-3


@pytest.mark.parametrize(("layers", "patch"), [(1, 36), (2, 72)])
def test_a_logit_sees_its_patch_only(layers: int, patch: int) -> None:
    discriminator = BandDiscriminator(filters=4, layers=layers)
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    logits = discriminator(image)
    assert logits.shape == (1, 1, 160 // 2 ** (layers + 1) - 2, 160 // 2 ** (layers + 1) - 2)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == patch


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"2 levels takes .* multiples of 4, got 24x38: change"):
        BandDiscriminator(filters=4)(torch.rand(1, 3, 24, 38))
    with pytest.raises(ValueError, match=r"at least 24 pixels, got 24x20: change data\.crop or"):
        BandDiscriminator(filters=4)(torch.rand(1, 3, 24, 20))
    assert BandDiscriminator(filters=4)(torch.rand(1, 3, 24, 24)).shape == (1, 1, 1, 1)


def test_has_no_batch_norm_unless_asked() -> None:
    def norms(discriminator: nn.Module) -> int:
        return sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules())

    assert norms(BandDiscriminator(filters=4)) == 0
    assert norms(BandDiscriminator(filters=4, norm="batch")) == 2
