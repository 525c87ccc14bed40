"""Measures of artefacts: grain, grids, shifted colours, and inconsistency with the LR image."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, uniform_filter
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from torch.nn import functional as F

from sr_gan.images.resize import downscale
from sr_gan.metrics.fidelity import luma, psnr
from sr_gan.networks.tiles import spans

FLAT = 3.0  # grey levels; where its standard deviation is lower, a photograph counts as flat
_WINDOW = 3.0  # sigma, in pixels, of the window of that standard deviation
_HIGH = 2.0  # sigma, in pixels, of the blur that the high-pass subtracts
_FEWEST = 0.01  # smallest share of flat pixels for a result
_REACH = 24  # pixels; SciPy cuts a Gaussian off at 4 sigma, and two windows follow each other
_PERIODS = 8  # in each direction of a window in which a grid is looked for
_UNSEEN = 0.05  # grey levels; of a grid as faint as that the result is less than 1
_BLOCK = 16  # pixels over which colours are averaged
_ROWS = 16 * _BLOCK  # of a strip, so that its float64 maps are small


def lr_consistency(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    """Returns the PSNR in dB between the exact bicubic reduction of SR and the LR image: (B,).

    Args:
        sr: uint8 (B, C, scale * h, scale * w).
        lr: uint8 (B, C, h, w).

    Source: the LR-PSNR of Lugmayr et al. 2021, NTIRE challenge on learning the super-resolution
    space, which counts more than 45 dB as consistent.
    """
    return psnr(downscale(sr, scale), lr, border=0)


def colour_shift(sr: Tensor, hr: Tensor) -> Tensor:
    """Returns the mean CIEDE2000 difference of colours averaged over 16x16 blocks: (B,).

    The average removes detail but not a colour cast. A difference of about 1 is just noticeable.
    Images are uint8 (B, 1 or 3, H, W), sRGB.

    Source: Sharma, Wu and Dalal 2005, as in scikit-image.
    """
    pairs = zip(_lab(sr), _lab(hr))
    return torch.tensor([float(np.mean(deltaE_ciede2000(a, b))) for a, b in pairs])  # type: ignore[no-untyped-call]


def grain(sr: Tensor, hr: Tensor, border: int) -> Tensor:
    """Returns SR's extra high-frequency energy where HR is flat, in grey levels of luma: (B,).

    HR is flat at a pixel if its standard deviation around it (Gaussian window, sigma 3) is below 3
    grey levels. Let ``h`` be the luma minus its Gaussian blur (sigma 2), and E the mean of
    ``h_sr^2 - h_hr^2`` over the flat pixels. The grain is ``sign(E) * sqrt(|E| / k)``, where k is
    the energy that the high-pass leaves of unit white noise. So white noise of standard deviation
    s, added to the photograph, gives s. A negative value means that SR is smoother than the
    photograph. The value is NaN if less than 1 % of the pixels are flat, or none is left inside
    the border.

    Args:
        sr, hr: uint8 (B, 1 or 3, H, W).
        border: the pixels cut from each side.

    Source: this project's own definition, for an artefact seen in its first run.
    """
    values = [_grain(x[None], y[None], border) for x, y in zip(sr, hr)]
    return torch.tensor(values, dtype=torch.float64)


def _grain(sr: Tensor, hr: Tensor, border: int) -> float:
    height, width = hr.shape[-2:]
    energy = flat = 0.0
    for strip in spans(height - 2 * border, _ROWS, 0):
        # A strip inside the border is read with as many rows around it as its filters reach.
        start, stop = strip.start + border, strip.stop + border
        first = max(0, start - _REACH)
        x, y = (
            luma(image[..., first : stop + _REACH, :])[0, 0].numpy(force=True) for image in (sr, hr)
        )
        inside = (slice(start - first, stop - first), slice(border, width - border))
        level = _is_flat(y)[inside]
        energy += (_high(x) ** 2 - _high(y) ** 2)[inside][level].sum()
        flat += level.sum()
    if not flat or flat <= _FEWEST * (height - 2 * border) * (width - 2 * border):
        return np.nan
    energy /= flat
    return float(np.sign(energy) * np.sqrt(abs(energy) / _white_noise()))


def grid(sr: Tensor, scale: int, border: int) -> Tensor:
    """Returns how far luma repeats with the period of LR's pixels, compared with chance: (B,).

    The luma minus its mean over ``scale`` pixels is averaged over the 64 periods of each window,
    separately for each of the ``scale^2`` places in a period. The standard deviation of these means
    is divided by the one that 64 independent values would have. The result is the mean over the
    windows. It is about 1 or less for photographs, and larger where a grid is left by pixel
    shuffles. Even slopes of 1/4 or 1/2 grey level a pixel, which rounding turns into steps, count
    as a grid, too. The value is NaN if no window of ``8 * scale`` pixels lies inside the border.

    Args:
        sr: uint8 (B, 1 or 3, H, W).
        scale: the period in pixels.
        border: the pixels cut from each side.

    Source: this project's own definition, for an artefact seen in its runs.
    """
    return torch.tensor([_grid(x[None], scale, border) for x in sr], dtype=torch.float64)


def _grid(sr: Tensor, scale: int, border: int) -> float:
    side = _PERIODS * scale
    rows, columns = ((size - 2 * border) // side for size in sr.shape[-2:])
    if rows < 1 or columns < 1:
        return np.nan
    values = []
    for start in range(border, border + rows * side, side):
        first = max(0, start - scale)
        y = luma(sr[..., first : start + side + scale, :])[0, 0].numpy(force=True)
        high = y - uniform_filter(y, scale)
        high = high[start - first :, border:][:side, : columns * side]
        windows = high.reshape(_PERIODS, scale, columns, _PERIODS, scale)
        repeated = windows.mean((0, 3)).std((0, 2))
        chance = windows.std((0, 1, 3, 4)) / _PERIODS  # the root of 64
        values.append(repeated / (chance + _UNSEEN))
    return float(np.mean(values))


def _is_flat(y: np.ndarray) -> np.ndarray:
    mean = gaussian_filter(y, _WINDOW)
    variance: np.ndarray = gaussian_filter((y - mean) ** 2, _WINDOW)
    return variance < FLAT**2


def _high(y: np.ndarray) -> np.ndarray:
    return np.asarray(y - gaussian_filter(y, _HIGH))


def _white_noise() -> float:
    """Returns the energy that the high-pass leaves of unit white noise."""
    # A linear filter leaves the energy of its impulse response.
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1
    return float((_high(impulse) ** 2).sum())


def _lab(image: Tensor) -> list[np.ndarray]:
    """Returns each image's block means in CIELAB: uint8 (B, 1 or 3, H, W) -> (H/16, W/16, 3)."""
    means = torch.cat([_block_means(rows) for rows in torch.split(image, _ROWS, -2)], dim=-2)
    return [np.asarray(rgb2lab(one)) for one in means.permute(0, 2, 3, 1).numpy(force=True)]


def _block_means(image: Tensor) -> Tensor:
    rgb = image.double().expand(-1, 3, -1, -1) / 255
    return F.avg_pool2d(rgb, _BLOCK, ceil_mode=True, count_include_pad=False)
