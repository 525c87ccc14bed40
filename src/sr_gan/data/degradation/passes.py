"""A pass of damage: blur before a reduction, noise and JPEG after it."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sr_gan.arguments import Range, Share, checked
from sr_gan.data.degradation.blur import convolve, gaussians
from sr_gan.data.degradation.draws import chosen, uniform
from sr_gan.data.degradation.jpeg import jpeg, levels

_BLOCKS = 16  # pixels after which JPEG's blocks repeat: 8 pixels of chroma at half the resolution


class Pass:
    """Blur, noise and JPEG, each for a share of the images; by default none of them.

    Settings are drawn uniformly from ranges (lowest, highest).

    Args:
        blur_sigma: the standard deviation of the blur in pixels of the blurred image; 0 is off.
        blur_share: the share of images that are blurred.
        anisotropy: the share of blurs with a sigma for each of two perpendicular, rotated axes.
        blur_beta: the shape of the generalised Gaussian, drawn uniformly in its logarithm; 1 is
            Gaussian, lower values are peaked, higher values are flat like a lens out of focus.
        noise_sigma: the standard deviation of the noise, in grey levels of 255.
        noise_share: the share of images with noise.
        grey_noise: the share of noisy images whose noise is the same in all three channels.
        poisson_noise: the share of noisy images whose noise grows with the square root of the
            brightness, like photon noise; ``noise_sigma`` is then its strength in white.
        jpeg_quality: the quality on libjpeg's (and Pillow's) scale, 1 to 100; ``None`` is no JPEG.
        jpeg_share: the share of images saved as JPEG.
        chroma_subsampling: JPEG stores colour at half the resolution, 4:2:0, as most cameras do.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: one pass of Wang et al. 2021 (Real-ESRGAN), section 3.1. Its Poisson noise is
    drawn as Gaussian noise, because counts are large enough here (Foi et al. 2008).
    """

    @checked
    def __init__(
        self,
        blur_sigma: Range[Annotated[float, Field(ge=0, le=100)]] = (0.0, 0.0),
        blur_share: Share = 1.0,
        anisotropy: Share = 0.0,
        blur_beta: Range[Annotated[float, Field(ge=0.1, le=10)]] = (1.0, 1.0),
        noise_sigma: Range[Annotated[float, Field(ge=0, le=255)]] = (0.0, 0.0),
        noise_share: Share = 1.0,
        grey_noise: Share = 0.0,
        poisson_noise: Share = 0.0,
        jpeg_quality: Range[Annotated[int, Field(ge=1, le=100)]] | None = None,
        jpeg_share: Share = 1.0,
        chroma_subsampling: bool = True,
    ) -> None:
        self.blur_sigma, self.blur_beta = blur_sigma, blur_beta
        self.noise_sigma, self.jpeg_quality = noise_sigma, jpeg_quality
        self.blur_share, self.anisotropy = blur_share, anisotropy
        self.noise_share, self.jpeg_share = noise_share, jpeg_share
        self.grey_noise, self.poisson_noise = grey_noise, poisson_noise
        self.chroma_subsampling = chroma_subsampling
        self.radius = math.ceil(3 * self.blur_sigma[1])  # the blur's reach in pixels

    def blur(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Blurs a share of the images, which may have any range."""
        if not self.radius:
            return images
        blurred = convolve(images, self._kernels(len(images), generator))
        return torch.where(chosen(self.blur_share, len(images), generator), blurred, images)

    def spoil(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Adds noise to a share of the images and saves a share as JPEG, all in whole levels."""
        if self.noise_sigma[1]:
            noisy = levels(images + self._noise(images, generator))
            images = torch.where(chosen(self.noise_share, len(images), generator), noisy, images)
        if self.jpeg_quality:
            saved = self._saved(images, self.jpeg_quality, generator)
            images = torch.where(chosen(self.jpeg_share, len(images), generator), saved, images)
        return images

    def _kernels(self, batch: int, generator: torch.Generator) -> Tensor:
        sigma, other = (uniform(self.blur_sigma, batch, generator) for _ in range(2))
        other = torch.where(chosen(self.anisotropy, batch, generator), other, sigma)
        angle = uniform((0, math.pi), batch, generator)
        beta = uniform([math.log(bound) for bound in self.blur_beta], batch, generator).exp()
        return gaussians(self.radius, sigma, other, angle, beta)

    def _noise(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns the grey levels to add, in the shape of ``images``."""
        batch = len(images)
        sigma = uniform(self.noise_sigma, batch, generator)
        grey = chosen(self.grey_noise, batch, generator)
        poisson = chosen(self.poisson_noise, batch, generator)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        brightness = torch.where(grey, images.mean(dim=1, keepdim=True), images) / 255
        strength = sigma * torch.where(poisson, brightness.sqrt(), 1.0)
        return strength * torch.where(grey, noise[:, :1], noise)

    def _saved(self, images: Tensor, bounds: Sequence[int], generator: torch.Generator) -> Tensor:
        """Saves images as JPEG with blocks that begin anywhere, as in a crop of a larger photo."""
        lowest, highest = bounds
        quality = uniform((lowest, highest + 1), len(images), generator).flatten().floor()
        top, left = (uniform((0, _BLOCKS), len(images), generator).long() for _ in range(2))
        height, width = images.shape[-2:]
        # Each image is shifted by its own offset, its edges repeated, saved, and shifted back.
        for dim, start, size in ((2, top, height), (3, left, width)):
            wider = torch.arange(size + _BLOCKS - 1, device=images.device)
            images = _take(images, dim, wider - start, size)
        images = jpeg(images, quality.clamp(max=highest), self.chroma_subsampling)
        for dim, start, size in ((2, top, height), (3, left, width)):
            index = torch.arange(size, device=images.device) + start
            images = _take(images, dim, index, images.shape[dim])
        return images


def _take(images: Tensor, dim: int, index: Tensor, size: int) -> Tensor:
    """Takes each image's rows or columns ``index`` (B, 1, 1, n), with the edges repeated."""
    index = index.clamp(0, size - 1).transpose(dim, 3)
    shape = list(images.shape)
    shape[dim] = index.shape[dim]
    return images.gather(dim, index.expand(shape))
