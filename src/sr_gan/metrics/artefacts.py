"""What goes wrong in generated images, as numbers: grain, shifted colours, another LR image."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from torch.nn import functional as F

from sr_gan.images.resize import downscale
from sr_gan.metrics.fidelity import luma, psnr

FLAT = 3.0  # grey levels: below this standard deviation a photograph counts as flat
_WINDOW = 3.0  # sigma of the window in which it is taken, in pixels
_HIGH = 2.0  # sigma of the blur that the high-pass takes away
_FEWEST = 0.01  # share of the pixels that must be flat
_BLOCK = 16  # pixels over which colours are averaged


def lr_consistency(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """PSNR in dB between the exact bicubic reduction of SR and the LR image: (B,).

    Args:
        sr: uint8 (B, C, scale * h, scale * w).
        lr: uint8 (B, C, h, w).
        scale: factor between them.

    Source: the LR-PSNR of Lugmayr et al. 2021, NTIRE challenge on learning the super-resolution
    space; above 45 dB counted as consistent there.
    """
    return psnr(downscale(sr, scale), lr, border=0)


def colour_shift(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean CIEDE2000 difference of the colours, averaged over blocks of 16 pixels: (B,).

    Detail averages out, a cast stays. 1 is about what an eye just notices. Images are uint8
    (B, 1 or 3, H, W), sRGB.

    Source: Sharma, Wu and Dalal 2005, as in scikit-image.
    """
    pairs = zip(_lab(sr), _lab(hr))
    return torch.tensor([float(np.mean(deltaE_ciede2000(a, b))) for a, b in pairs])  # type: ignore[no-untyped-call]


def grain(sr: Tensor, hr: Tensor, border: int) -> Tensor:
    """High-frequency energy that SR has beyond HR where HR is flat, in grey levels of luma: (B,).

    With ``h`` the luma less its Gaussian blur (sigma 2) and E the mean of ``h_sr^2 - h_hr^2`` over
    the pixels around which (Gaussian window, sigma 3) HR's standard deviation is below 3 grey
    levels: ``sign(E) * sqrt(|E| / k)``, k being what the high-pass leaves of unit white noise. So
    white noise of standard deviation s, added to the photograph, reads s. Negative is smoother
    than the photograph; NaN where fewer than a hundredth of the pixels are flat.

    Args:
        sr, hr: uint8 (B, 1 or 3, H, W).
        border: pixels cut from each side.

    Source: this project's definition, of the artefact that its first run complains of.
    """
    values = []
    for x, y in zip(luma(sr).numpy(force=True)[:, 0], luma(hr).numpy(force=True)[:, 0]):
        inside = (slice(border, x.shape[0] - border), slice(border, x.shape[1] - border))
        flat = _is_flat(y)[inside]
        excess = (_high(x) ** 2 - _high(y) ** 2)[inside][flat]
        energy = excess.mean() if flat.mean() >= _FEWEST else np.nan
        values.append(np.sign(energy) * np.sqrt(abs(energy) / _white_noise()))
    return torch.tensor(values)


def _is_flat(y: np.ndarray) -> np.ndarray:
    mean = gaussian_filter(y, _WINDOW)
    variance: np.ndarray = gaussian_filter((y - mean) ** 2, _WINDOW)
    return variance < FLAT**2


def _high(y: np.ndarray) -> np.ndarray:
    return np.asarray(y - gaussian_filter(y, _HIGH))


def _white_noise() -> float:
    """The energy that the high-pass leaves of white noise: of its impulse response."""
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1
    return float((_high(impulse) ** 2).sum())


def _lab(image: Tensor) -> list[np.ndarray]:
    """uint8 (B, 1 or 3, H, W) -> for each image CIELAB (H / 16, W / 16, 3) of block means."""
    rgb = image.double().expand(-1, 3, -1, -1) / 255
    means = F.avg_pool2d(rgb, _BLOCK, ceil_mode=True, count_include_pad=False)
    return [np.asarray(rgb2lab(one)) for one in means.permute(0, 2, 3, 1).numpy(force=True)]
