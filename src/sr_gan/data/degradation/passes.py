"""One pass of damage: blur, and after a reduction noise and JPEG."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sr_gan.data.degradation.blur import convolve, gaussians
from sr_gan.data.degradation.draws import check_range, check_shares, chosen, uniform
from sr_gan.data.degradation.jpeg import jpeg, levels

_BLOCKS = 16  # pixels after which JPEG's blocks repeat: 8 of colour at half the resolution


class Pass:
    """Blur, noise and JPEG, each for a share of the images; without arguments none of them.

    Settings are drawn uniformly from the ranges (lowest, highest).

    Args:
        blur_sigma: standard deviation of the blur, in pixels of what is blurred; 0 is none.
        blur_share: share of images that are blurred.
        anisotropy: share of blurs with a sigma for each of two perpendicular axes, and a rotation.
        blur_beta: shape of the generalised Gaussian, drawn evenly in its logarithm; 1 is Gaussian,
            less is peaked, more is flat as a lens out of focus.
        noise_sigma: standard deviation of the noise, grey levels of 255.
        noise_share: share of images with noise.
        grey_noise: share of noises that are the same in the three channels.
        poisson_noise: share of noises that grow with the square root of the brightness, as photon
            noise does; ``noise_sigma`` is then white's.
        jpeg_quality: quality on libjpeg's (and Pillow's) scale, 1 to 100; ``None`` for no JPEG.
        jpeg_share: share of images saved as JPEG.
        chroma_subsampling: JPEG keeps colour at half the resolution, 4:2:0, as most cameras do.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: one pass of Wang et al. 2021 (Real-ESRGAN), section 3.1. Poisson's counts are large
    enough here to be drawn as Gaussian ones (Foi et al. 2008).
    """

    def __init__(
        self,
        blur_sigma: Sequence[float] = (0.0, 0.0),
        blur_share: float = 1.0,
        anisotropy: float = 0.0,
        blur_beta: Sequence[float] = (1.0, 1.0),
        noise_sigma: Sequence[float] = (0.0, 0.0),
        noise_share: float = 1.0,
        grey_noise: float = 0.0,
        poisson_noise: float = 0.0,
        jpeg_quality: Sequence[int] | None = None,
        jpeg_share: float = 1.0,
        chroma_subsampling: bool = True,
    ) -> None:
        self.blur_sigma = check_range("blur_sigma", blur_sigma, 0, 100)
        self.blur_beta = check_range("blur_beta", blur_beta, 0.1, 10)
        self.noise_sigma = check_range("noise_sigma", noise_sigma, 0, 255)
        self.jpeg_quality = (
            None if jpeg_quality is None else check_range("jpeg_quality", jpeg_quality, 1, 100)
        )
        check_shares(
            blur_share=blur_share,
            anisotropy=anisotropy,
            noise_share=noise_share,
            grey_noise=grey_noise,
            poisson_noise=poisson_noise,
            jpeg_share=jpeg_share,
        )
        self.blur_share, self.anisotropy = blur_share, anisotropy
        self.noise_share, self.jpeg_share = noise_share, jpeg_share
        self.grey_noise, self.poisson_noise = grey_noise, poisson_noise
        self.chroma_subsampling = chroma_subsampling
        self.radius = math.ceil(3 * self.blur_sigma[1])  # pixels that the blur looks beyond

    def blur(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images of any range, of which some are blurred."""
        if not self.radius:
            return images
        blurred = convolve(images, self._kernels(len(images), generator))
        return torch.where(chosen(self.blur_share, len(images), generator), blurred, images)

    def spoil(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images in whole levels, of which some get noise, and some are saved as JPEG."""
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
        """Grey levels to add, of the shape of ``images``."""
        batch = len(images)
        sigma = uniform(self.noise_sigma, batch, generator)
        grey = chosen(self.grey_noise, batch, generator)
        poisson = chosen(self.poisson_noise, batch, generator)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        brightness = torch.where(grey, images.mean(dim=1, keepdim=True), images) / 255
        strength = sigma * torch.where(poisson, brightness.sqrt(), 1.0)
        return strength * torch.where(grey, noise[:, :1], noise)

    def _saved(
        self, images: Tensor, bounds: tuple[float, float], generator: torch.Generator
    ) -> Tensor:
        """As JPEG, its blocks beginning anywhere, as they do in a crop of a larger photo."""
        lowest, highest = bounds
        quality = uniform((lowest, highest + 1), len(images), generator).flatten().floor()
        top, left = (uniform((0, _BLOCKS), len(images), generator).long() for _ in range(2))
        height, width = images.shape[-2:]
        for dim, start, size in ((2, top, height), (3, left, width)):
            wider = torch.arange(size + _BLOCKS - 1, device=images.device)
            images = _take(images, dim, wider - start, size)
        images = jpeg(images, quality.clamp(max=highest), self.chroma_subsampling)
        for dim, start, size in ((2, top, height), (3, left, width)):
            index = torch.arange(size, device=images.device) + start
            images = _take(images, dim, index, images.shape[dim])
        return images


def _take(images: Tensor, dim: int, index: Tensor, size: int) -> Tensor:
    """Each image's own rows or columns (B, 1, 1, n), those beyond the edge being the edge's."""
    index = index.clamp(0, size - 1).transpose(dim, 3)
    shape = list(images.shape)
    shape[dim] = index.shape[dim]
    return images.gather(dim, index.expand(shape))
