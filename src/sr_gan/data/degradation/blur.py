"""Blur kernels, and the convolution of each image with its own."""

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussians(radius: int, sigma_u: Tensor, sigma_v: Tensor, angle: Tensor, beta: Tensor) -> Tensor:
    """Returns generalised Gaussians (B, 1, 2 * radius + 1, 2 * radius + 1) that sum to 1.

    Args:
        radius: the reach of the kernels in pixels.
        sigma_u: the standard deviations along one axis of the ellipse, (B, 1, 1, 1) like the rest.
        sigma_v: the standard deviations along the other axis.
        angle: the rotation of the axes in radians.
        beta: the shape; 1 is Gaussian, lower values are peaked, higher values are flat.

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
    """Convolves each image with its kernel by FFT; border pixels are repeated outwards."""
    radius = kernels.shape[-1] // 2
    padded = F.pad(images, [radius] * 4, mode="replicate")
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=size)
    blurred: Tensor = torch.fft.irfft2(spectrum, s=size)
    # The kernel's corner, not its centre, is at the origin, so the image starts at 2 * radius, the
    # padding included. The FFT's wrap-around only reaches the rows and columns before that.
    return blurred[..., 2 * radius :, 2 * radius :]
