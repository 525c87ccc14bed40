"""What cameras and JPEG do to a photo beyond the bicubic reduction, batched on the device."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_gan.data.jpeg import jpeg, levels
from sr_gan.data.resize import downscale

_BLOCKS = 16  # pixels after which JPEG's blocks repeat: 8 of colour at half the resolution


class Exact:
    """No degradation: the data keeps the exact bicubic LR that it made beforehand."""

    exact = True

    def margin(self, scale: int) -> int:
        """A crop of that LR loses nothing at its borders."""
        return 0


class Degradation:
    """Makes LR from HR: Gaussian blur, the exact bicubic reduction, Gaussian noise, JPEG.

    Each image of a batch draws its own settings, uniformly from the ranges (lowest, highest).

    Args:
        blur_sigma: standard deviation of the blur before the reduction, HR pixels; 0 is none.
        anisotropy: draw one for each of two perpendicular axes, and their rotation.
        noise_sigma: standard deviation of the noise on the LR image, grey levels of 255.
        grey_noise: share of images whose noise is the same in the three channels.
        jpeg_quality: quality on libjpeg's (and Pillow's) scale, 1 to 100; ``None`` for no JPEG.
        chroma_subsampling: JPEG keeps colour at half the resolution, 4:2:0, as most cameras do.
        probability: share of images that are degraded; the others are only reduced.

    Raises:
        ValueError: an argument is outside its allowed values.

    Source: one pass of Wang et al. 2021 (Real-ESRGAN), section 3.1; the anisotropic kernels also
    of Zhang et al. 2021 (BSRGAN), section 3.1.
    """

    exact = False

    def __init__(
        self,
        blur_sigma: Sequence[float] = (0.0, 0.0),
        anisotropy: bool = False,
        noise_sigma: Sequence[float] = (0.0, 0.0),
        grey_noise: float = 0.0,
        jpeg_quality: Sequence[int] | None = None,
        chroma_subsampling: bool = True,
        probability: float = 1.0,
    ) -> None:
        self.blur_sigma = _range("blur_sigma", blur_sigma, 0, 100)
        self.noise_sigma = _range("noise_sigma", noise_sigma, 0, 255)
        self.jpeg_quality = (
            None if jpeg_quality is None else _range("jpeg_quality", jpeg_quality, 1, 100)
        )
        for name, share in {"grey_noise": grey_noise, "probability": probability}.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {share}")
        self.anisotropy, self.chroma_subsampling = anisotropy, chroma_subsampling
        self.grey_noise, self.probability = grey_noise, probability
        self.radius = math.ceil(3 * self.blur_sigma[1])  # HR pixels that the blur looks beyond

    def margin(self, scale: int) -> int:
        """LR pixels at a crop's borders that depend on what lies beyond it, to be cut off.

        They are the blur's radius and the reduction's two pixels.
        """
        return math.ceil(self.radius / scale) + 2

    def __call__(self, hr: Tensor, scale: int, generator: torch.Generator) -> Tensor:
        """LR (B, 3, H / scale, W / scale) in [0, 1] at 256 levels from HR (B, 3, H, W) in [0, 1].

        All that is drawn comes from ``generator``, which lives on the device of ``hr``.
        """
        chosen = _uniform((0, 1), len(hr), generator) < self.probability
        if self.radius:
            hr = torch.where(chosen, _blur(hr, self._kernels(len(hr), generator)), hr)
        clean = lr = levels(255 * downscale(hr, scale))
        if self.noise_sigma[1]:
            lr = levels(lr + self._noise(lr, generator))
        if self.jpeg_quality:
            lr = self._saved(lr, self.jpeg_quality, generator)
        return torch.where(chosen, lr, clean) / 255

    def _kernels(self, batch: int, generator: torch.Generator) -> Tensor:
        """Gaussians (B, 1, k, k) of sum 1; u and v are the axes of the ellipse, turned."""
        sigma_u = sigma_v = _uniform(self.blur_sigma, batch, generator)
        if self.anisotropy:
            sigma_v = _uniform(self.blur_sigma, batch, generator)
        angle = _uniform((0, math.pi), batch, generator)
        x = torch.arange(-self.radius, self.radius + 1, device=angle.device)
        y = x[:, None]
        u = x * angle.cos() + y * angle.sin()
        v = y * angle.cos() - x * angle.sin()
        least = 1e-3  # so narrow that a sigma of 0 leaves the image as it is
        kernels = torch.exp(
            -((u / sigma_u.clamp(least)) ** 2 + (v / sigma_v.clamp(least)) ** 2) / 2
        )
        return kernels / kernels.sum(dim=(-2, -1), keepdim=True)

    def _noise(self, lr: Tensor, generator: torch.Generator) -> Tensor:
        """Grey levels to add, of the shape of ``lr``."""
        sigma = _uniform(self.noise_sigma, len(lr), generator)
        grey = _uniform((0, 1), len(lr), generator) < self.grey_noise
        noise = torch.randn(lr.shape, generator=generator, device=lr.device)
        return sigma * torch.where(grey, noise[:, :1], noise)

    def _saved(self, lr: Tensor, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
        """As JPEG, its blocks beginning anywhere, as they do in a crop of a larger photo."""
        lowest, highest = bounds
        quality = _uniform((lowest, highest + 1), len(lr), generator).flatten().floor()
        top, left = (_uniform((0, _BLOCKS), len(lr), generator).long() for _ in range(2))
        height, width = lr.shape[-2:]
        for dim, start, size in ((2, top, height), (3, left, width)):
            lr = _take(lr, dim, torch.arange(size + _BLOCKS - 1, device=lr.device) - start, size)
        lr = jpeg(lr, quality.clamp(max=highest), self.chroma_subsampling)
        for dim, start, size in ((2, top, height), (3, left, width)):
            lr = _take(lr, dim, torch.arange(size, device=lr.device) + start, lr.shape[dim])
        return lr


def _take(images: Tensor, dim: int, index: Tensor, size: int) -> Tensor:
    """Each image's own rows or columns (B, 1, 1, n), those beyond the edge being the edge's."""
    index = index.clamp(0, size - 1).transpose(dim, 3)
    shape = list(images.shape)
    shape[dim] = index.shape[dim]
    return images.gather(dim, index.expand(shape))


def _blur(image: Tensor, kernels: Tensor) -> Tensor:
    """Convolves each image with its kernel, by FFT; the border pixels are repeated beyond it."""
    radius = kernels.shape[-1] // 2
    padded = F.pad(image, [radius] * 4, mode="replicate")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size)
    blurred: Tensor = torch.fft.irfft2(spectrum, s=size)
    return blurred[..., 2 * radius :, 2 * radius :]


def _uniform(bounds: Sequence[float], batch: int, generator: torch.Generator) -> Tensor:
    """A number (B, 1, 1, 1) for each image."""
    draws = torch.rand(batch, 1, 1, 1, generator=generator, device=generator.device)
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def _range(name: str, bounds: Sequence[float], least: int, most: int) -> tuple[float, float]:
    pair = isinstance(bounds, Sequence) and len(bounds) == 2
    if not (pair and least <= bounds[0] <= bounds[1] <= most):
        raise ValueError(f"{name} must be [lowest, highest] from {least} to {most}, got {bounds}")
    return bounds[0], bounds[1]
