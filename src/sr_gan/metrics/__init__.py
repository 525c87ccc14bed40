"""Measures of image quality: fidelity to the photograph, perceptual distance, artefacts.

Every function takes uint8 images and returns one number per image, so that a mean over a data set
is a mean over images, not over the pooled error.
"""

from sr_gan.metrics.artefacts import colour_shift, grain, grid, lr_consistency
from sr_gan.metrics.fidelity import psnr, psnr_y, rgb_to_y, ssim, ssim_y, to_uint8
from sr_gan.metrics.niqe import NIQE
from sr_gan.metrics.perceptual import DISTS, LPIPS

__all__ = [
    "DISTS",
    "LPIPS",
    "NIQE",
    "colour_shift",
    "grain",
    "grid",
    "lr_consistency",
    "psnr",
    "psnr_y",
    "rgb_to_y",
    "ssim",
    "ssim_y",
    "to_uint8",
]
