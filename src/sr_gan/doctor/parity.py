"""Compares metrics and the bicubic with values that other programs computed, on built-in images.

The expected values were computed once, on :func:`images`:

- PSNR-Y and SSIM-Y by scikit-image 0.26: ``peak_signal_noise_ratio`` and ``structural_similarity``
  (``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``), with ``data_range=255``, of
  the first channels of ``rgb2ycbcr`` without a border of four pixels;
- the bicubic from the definition of MATLAB's ``imresize``, in float64 and rounded after each pass,
  as MATLAB does with uint8 (``matlab_axis`` in ``tests/images/test_resize.py``);
- LPIPS by its authors' package ``lpips`` 0.1.4, with torchvision's AlexNet.

``tests/doctor/test_parity.py`` computes the first three anew.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sr_gan.doctor.page import Line
from sr_gan.images.resize import downscale, upscale
from sr_gan.metrics import LPIPS, psnr_y, ssim_y
from sr_gan.networks.lpips import cached_backbone

PSNR_Y, SSIM_Y, LPIPS_ALEX = 35.901209150496136, 0.968581594478316, 0.0012759598903357983
REDUCED = (  # the red of the photograph's first 32x32 pixels, by 4
    (60, 64, 72, 83, 98, 117, 140, 166),
    (65, 73, 84, 98, 116, 140, 165, 115),
    (75, 86, 100, 118, 142, 166, 116, 92),
    (89, 103, 121, 145, 158, 109, 94, 138),
    (108, 125, 150, 161, 98, 95, 141, 146),
    (132, 158, 149, 93, 103, 147, 129, 96),
    (164, 133, 89, 110, 149, 129, 100, 143),
    (106, 90, 122, 157, 116, 103, 145, 118),
)
ENLARGED = (  # the red of its 2x2 pixels from (30, 30), by 4
    (81, 81, 83, 86, 90, 93, 95, 95),
    (82, 82, 84, 87, 91, 94, 96, 96),
    (84, 84, 86, 89, 93, 96, 98, 98),
    (88, 88, 90, 93, 97, 100, 102, 102),
    (93, 93, 95, 98, 102, 105, 107, 107),
    (97, 97, 99, 102, 106, 109, 111, 111),
    (99, 99, 101, 104, 108, 111, 113, 113),
    (100, 100, 102, 105, 109, 112, 114, 114),
)
_ADVICE = "do not trust numbers from this machine; report it with this page"


def images() -> tuple[Tensor, Tensor]:
    """A photograph's stand-in and a distorted copy, computed from whole numbers alone.

    Returns:
        SR and HR, uint8 (1, 3, 64, 64)
    """
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(64), torch.arange(64), indexing="ij")
    hr = 60 + (x * x // 9 + y * y // 7 + x * y // 5 + 40 * c) % 128
    sr = (hr + (7 * x + 11 * y + 5 * c) % 25 - 12).clamp(0, 255)
    return sr[None].to(torch.uint8), hr[None].to(torch.uint8)


def check_metrics(device: str, lpips: str | None) -> Iterator[Line]:
    """PSNR-Y, SSIM-Y, the bicubic, and LPIPS if AlexNet's weights are there.

    ``lpips`` is a file of these weights; None for torch's cache.
    """
    sr, hr = (image.to(device) for image in images())
    yield _compared("PSNR-Y", device, psnr_y(sr, hr, 4).item(), PSNR_Y, 1e-6)
    yield _compared("SSIM-Y", device, ssim_y(sr, hr, 4).item(), SSIM_Y, 1e-8)
    pairs = (
        (downscale(hr[..., :32, :32], 4), REDUCED),
        (upscale(hr[..., 30:32, 30:32], 4), ENLARGED),
    )
    wrong = sum(int((found[0, 0].cpu() != torch.tensor(by)).sum()) for found, by in pairs)
    if wrong:
        text = f"{wrong} of 128 pixels differ from MATLAB's on {device}"
        yield Line("bicubic", text, _ADVICE, "FAIL")
    else:
        yield Line("bicubic", f"every pixel equals MATLAB's on {device}")
    if lpips is not None or cached_backbone("alex").is_file():
        found = LPIPS(lpips, device)(sr, hr).item()
        yield _compared("LPIPS", device, found, LPIPS_ALEX, 3e-6)


def _compared(subject: str, device: str, found: float, expected: float, most: float) -> Line:
    text = f"{found:.6f} on {device}, the reference is {expected:.6f}"
    good = abs(found - expected) <= most  # false for NaN, too
    return Line(subject, text, _ADVICE, "ok" if good else "FAIL")
