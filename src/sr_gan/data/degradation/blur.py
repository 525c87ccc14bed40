"""Blur kernels, and images convolved with one each."""

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussians(radius: int, sigma_u: Tensor, sigma_v: Tensor, angle: Tensor, beta: Tensor) -> Tensor:
    """Generalised Gaussians (B, 1, 2 * radius + 1, 2 * radius + 1) of sum 1.

    Args:
        radius: pixels that they reach.
        sigma_u: standard deviations along one axis of the ellipse, (B, 1, 1, 1) as the others.
        sigma_v: those along the other axis.
        angle: by which the axes are turned, radians.
        beta: 1 is a Gaussian; below it the kernel is peaked, above it flat.

    Source: Zhang et al. 2021 (BSRGAN), section 3.1; Wang et al. 2021 (Real-ESRGAN), section 3.1.
    """
    x = torch.arange(-radius, radius + 1, device=angle.device)
    y = x[:, None]
    u = x * angle.cos() + y * angle.sin()
    v = y * angle.cos() - x * angle.sin()
    least = 1e-3  # so narrow that a sigma of 0 leaves the image as it is
    squares = (u / sigma_u.clamp(least)) ** 2 + (v / sigma_v.clamp(least)) ** 2
    kernels = torch.exp(-(squares**beta) / 2)
    return kernels / kernels.sum(dim=(-2, -1), keepdim=True)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Each image with its kernel, by FFT; the border pixels are repeated beyond it."""
    radius = kernels.shape[-1] // 2
    padded = F.pad(images, [radius] * 4, mode="replicate")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size)
    blurred: Tensor = torch.fft.irfft2(spectrum, s=size)
    return blurred[..., 2 * radius :, 2 * radius :]
