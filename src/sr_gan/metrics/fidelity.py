"""PSNR and SSIM as the super-resolution literature measures them, on rounded 8-bit images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import exp

import torch
from torch import Tensor

from sr_gan.networks.tiles import spans


@dataclass(frozen=True)
class Convention:
    """How the literature takes the luma of an image, in which papers differ.

    Args:
        rounded: whether Y is rounded to whole numbers, as MATLAB's ``rgb2ycbcr`` does with 8-bit
            images. PSNR is 0.01 to 0.02 dB lower than without.
        grey_as_rgb: whether a grey image counts as RGB, whose luma has only 219 levels, so that its
            PSNR is 1.3 dB higher. One of the images of Set14 is grey.
        description: the convention in words.
    """

    rounded: bool
    grey_as_rgb: bool
    description: str


CONVENTIONS = {
    "srgan": Convention(False, False, "Y is not rounded, and grey images keep their values"),
    "matlab": Convention(True, False, "Y is rounded, and grey images keep their values"),
    "pytorch": Convention(False, True, "Y is not rounded, and grey images count as RGB"),
}
SRGAN = CONVENTIONS["srgan"]

_ROWS = 32  # of a strip, so that its float64 maps are small
_BELL = [exp(-(at**2) / (2 * 1.5**2)) for at in range(-5, 6)]
_TAPS = [tap / sum(_BELL) for tap in _BELL]  # of SSIM's window, along one side


def to_uint8(image: Tensor) -> Tensor:
    """Clamps and rounds a float image in [-1, 1] to uint8, as it would be saved to a file."""
    return image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def rgb_to_y(image: Tensor) -> Tensor:
    """Returns the luma of a uint8 RGB image: (B, 3, H, W) -> (B, 1, H, W), float64 in [16, 235].

    Source: ITU-R BT.601, with the coefficients of MATLAB's ``rgb2ycbcr``.
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=image.device)
    luma: Tensor = (image.double() / 255 * weights.view(3, 1, 1)).sum(dim=-3, keepdim=True)
    return luma + 16


def psnr(sr: Tensor, hr: Tensor, border: int) -> Tensor:
    """Returns the PSNR over all channels, in dB: two uint8 (B, C, H, W) -> (B,).

    ``border`` pixels are cut from each side, by convention as many as the scale factor.

    Raises:
        ValueError: the images differ in size or type, or nothing is left inside the border.
    """
    return _psnr(*_inside(sr, hr, border), Tensor.double)


def psnr_y(sr: Tensor, hr: Tensor, border: int, convention: Convention = SRGAN) -> Tensor:
    """Returns :func:`psnr` of the luma."""
    return _psnr(*_inside(sr, hr, border), partial(luma, convention=convention))


def ssim(sr: Tensor, hr: Tensor, border: int) -> Tensor:
    """Returns the mean SSIM over channels, in [-1, 1]: two uint8 (B, C, H, W) -> (B,).

    The structural similarity uses a Gaussian window of 11x11 with sigma 1.5, the valid region only,
    K1 = 0.01 and K2 = 0.03, on values from 0 to 255.

    Raises:
        ValueError: as :func:`psnr`, or fewer than 11 pixels are left inside the border.

    Source: Wang et al. 2004, equation 13.
    """
    return _ssim(*_inside(sr, hr, border), Tensor.double)


def ssim_y(sr: Tensor, hr: Tensor, border: int, convention: Convention = SRGAN) -> Tensor:
    """Returns :func:`ssim` of the luma."""
    return _ssim(*_inside(sr, hr, border), partial(luma, convention=convention))


def luma(image: Tensor, convention: Convention = SRGAN) -> Tensor:
    """Returns the luma or the grey values: uint8 (B, 1 or 3, H, W) -> float64 (B, 1, H, W)."""
    if image.shape[1] == 1 and not convention.grey_as_rgb:
        return image.double()
    y = rgb_to_y(image.expand(-1, 3, -1, -1))
    return y.add_(0.5).floor_() if convention.rounded else y


def _psnr(x: Tensor, y: Tensor, floats: Callable[[Tensor], Tensor]) -> Tensor:
    height, sums = x.shape[-2], []
    for strip in spans(height, _ROWS, 0):
        error = floats(x[..., strip.window, :]) - floats(y[..., strip.window, :])
        sums.append(error.square_().mean(dim=(1, 3)).sum(dim=1))
    return 10 * torch.log10(255.0**2 * height / torch.stack(sums).sum(dim=0))


def _ssim(x: Tensor, y: Tensor, floats: Callable[[Tensor], Tensor]) -> Tensor:
    if min(x.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs 11x11 pixels inside the border, got {tuple(x.shape[-2:])}")
    height, sums = x.shape[-2] - 10, []
    for strip in spans(height, _ROWS, 0):
        rows = (..., slice(strip.start, strip.stop + 10), slice(None))
        sums.append(_similarity(floats(x[rows]), floats(y[rows])).mean(dim=(1, 3)).sum(dim=1))
    return torch.stack(sums).sum(dim=0) / height


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """Returns the SSIM at each pixel: float64 (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    variance_x, variance_y = xx - mean_x**2, yy - mean_y**2
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return torch.mul(luminance, structure)


def _inside(sr: Tensor, hr: Tensor, border: int) -> tuple[Tensor, Tensor]:
    if sr.shape != hr.shape:
        raise ValueError(f"images differ in size: {tuple(sr.shape)} and {tuple(hr.shape)}")
    if sr.dtype != torch.uint8 or hr.dtype != torch.uint8:
        raise ValueError(f"images must be uint8, got {sr.dtype} and {hr.dtype}")
    if min(sr.shape[-2:]) <= 2 * border:
        raise ValueError(f"nothing is left of {tuple(sr.shape[-2:])} inside a border of {border}")
    inside = (..., slice(border, sr.shape[-2] - border), slice(border, sr.shape[-1] - border))
    return sr[inside], hr[inside]


def _blur(image: Tensor) -> Tensor:
    """Applies an 11-tap Gaussian, sigma 1.5: (..., H, W) -> (..., H - 10, W - 10)."""
    # PyTorch's convolution would copy float64 images eleven times.
    for dim in (-2, -1):
        size = image.shape[dim] - 10
        total = torch.zeros_like(image.narrow(dim, 0, size))
        for at, tap in enumerate(_TAPS):
            total.add_(image.narrow(dim, at, size), alpha=tap)
        image = total
    return image
