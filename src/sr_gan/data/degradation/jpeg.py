"""The effect of saving images as JPEG, computed on batches on the device."""

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# The steps to which JPEG rounds coefficients at quality 50: ITU-T T.81, tables K.1 and K.2.
_LUMA = """
16 11 10 16  24  40  51  61
12 12 14 19  26  58  60  55
14 13 16 24  40  57  69  56
14 17 22 29  51  87  80  62
18 22 37 56  68 109 103  77
24 35 55 64  81 104 113  92
49 64 78 87 103 121 120 101
72 92 95 98 112 100 103  99
"""
_CHROMA = (
    """
17 18 24 47 99 99 99 99
18 21 26 66 99 99 99 99
24 26 56 99 99 99 99 99
47 66 99 99 99 99 99 99
"""
    + 32 * "99 "
)


def jpeg(image: Tensor, quality: Tensor, chroma_subsampling: bool = True) -> Tensor:
    """Saves images (B, 3, H, W) as JPEG and reads them again.

    Levels are whole numbers from 0 to 255, in and out. ``quality`` (B,) is libjpeg's, 1 to 100.
    Values are rounded where libjpeg rounds, in float64: in a GPU's reduced precision, coefficients
    would fall on other steps.

    Source: JFIF 1.02 (colours), ITU-T T.81 (coefficients), libjpeg (tables, chroma).
    """
    height, width = image.shape[-2:]
    luma, chroma = _ycbcr(image.double())
    steps = _steps(quality)
    luma = _quantise(luma, steps[:, :1])
    chroma = _quantise(_halve(chroma) if chroma_subsampling else chroma, steps[:, 1:])
    if chroma_subsampling:
        half = chroma[..., : (height + 1) // 2, : (width + 1) // 2]
        chroma = F.interpolate(half, scale_factor=2, mode="bilinear")[..., :height, :width]
    return _rgb(luma, chroma).to(image.dtype)


def _halve(chroma: Tensor) -> Tensor:
    """Returns the means of 2x2 pixels: (B, 2, ceil(H / 2), 8 * ceil(W / 16))."""
    padded = F.pad(chroma, [0, -chroma.shape[-1] % 16, 0, chroma.shape[-2] % 2], mode="replicate")
    means = F.avg_pool2d(padded, 2)
    # Like libjpeg, round halves up in odd columns only, so that they do not brighten the image.
    odd = torch.arange(means.shape[-1], device=means.device) % 2
    return (means + 0.25 + 0.25 * odd).floor()


def _quantise(planes: Tensor, steps: Tensor) -> Tensor:
    """Rounds the DCT coefficients of 8x8 blocks of (B, C, H, W) to steps (B, 1, 8, 8)."""
    height, width = planes.shape[-2:]
    padded = F.pad(planes - 128, [0, -width % 8, 0, -height % 8], mode="replicate")
    batch, channels, rows, columns = padded.shape
    blocks = padded.view(batch, channels, rows // 8, 8, columns // 8, 8).transpose(3, 4)
    cosines, steps = _cosines(planes.device), steps[:, :, None, None]
    eighths = (8 * cosines @ blocks @ cosines.T).round()  # as in libjpeg: (B, C, h, w, 8, 8)
    whole = eighths.sign() * (eighths.abs() / (8 * steps) + 0.5).floor()
    blocks = cosines.T @ (whole * steps) @ cosines
    pixels = blocks.transpose(3, 4).reshape(padded.shape) + 128
    return levels(pixels + 1e-9)[..., :height, :width]  # halves are inexact here, but must round up


def _steps(quality: Tensor) -> Tensor:
    """Returns the steps (B, 2, 8, 8) of luma and chroma at qualities (B,), scaled as in libjpeg."""
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    tables = _tables(quality.device) * percent.double()[:, None, None, None]
    return ((tables + 50) / 100).floor().clamp(1, 255)


@lru_cache
@torch.inference_mode(False)  # what is kept may serve a training later
def _tables(device: torch.device) -> Tensor:
    """Returns both tables (2, 8, 8), kept on the device because a copy would wait for it."""
    tables = [[float(step) for step in table.split()] for table in (_LUMA, _CHROMA)]
    return torch.tensor(tables, dtype=torch.float64, device=device).view(2, 8, 8)


def _cosines(device: torch.device) -> Tensor:
    """Returns the orthonormal DCT-II (8, 8), one frequency per row."""
    k = torch.arange(8, dtype=torch.float64, device=device)[:, None]
    return torch.cos(math.pi / 8 * k * (k.T + 0.5)) * ((1 + k.clamp(max=1)) / 8).sqrt()


def _ycbcr(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Returns luma (B, 1, H, W) and chroma (B, 2, H, W) in whole levels."""
    red, green, blue = rgb.chunk(3, dim=1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.cat([(blue - luma) / 1.772, (red - luma) / 1.402], dim=1)
    return levels(luma), levels(chroma + 128 - 1e-5)  # libjpeg rounds halves of chroma down


def _rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    blue, red = (levels(chroma) - 128).chunk(2, dim=1)
    green = -0.344136 * blue - 0.714136 * red
    return levels(luma + torch.cat([1.402 * red, green, 1.772 * blue], dim=1))


def levels(grey: Tensor) -> Tensor:
    """Rounds to the nearest of 256 levels; halves round up, as in MATLAB and libjpeg."""
    return (grey + 0.5).floor().clamp(0, 255)
