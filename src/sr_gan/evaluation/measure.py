"""Scores an upscaler on the photographs of a folder."""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sr_gan import metrics
from sr_gan.data.degradation.kinds import spoiled
from sr_gan.data.sources import Source, folder_photos
from sr_gan.errors import UserError
from sr_gan.evaluation import scores
from sr_gan.files import bar_interval, printable, real, user_path
from sr_gan.images.decode import BadImage, read_picture
from sr_gan.images.pixels import fit
from sr_gan.images.resize import downscale
from sr_gan.images.resize import upscale as bicubic
from sr_gan.inference.upscaler import Upscaler
from sr_gan.runs.published import recognise

log = logging.getLogger(__name__)

Perceptual = dict[str, metrics.LPIPS]  # by the name of the score


def measure_kinds(
    upscaler: Upscaler, benchmark: str, kinds: list[str], lpips: Perceptual
) -> scores.Evaluation:
    """Returns the mean scores for every kind of degradation, each from :func:`measure`.

    Raises:
        UserError: the folder has no images, or one that cannot be used.
    """
    each = {kind: measure(upscaler, benchmark, None, lpips, kind) for kind in kinds}
    ours = {kind: scores.mean(one.images) for kind, one in each.items()}
    bicubics = {kind: scores.mean(one.bicubic) for kind, one in each.items()}
    label = f"{each[kinds[0]].benchmark}-degraded"
    name, scale = upscaler.model.name, upscaler.scale
    return scores.Evaluation(name, label, scale, ours, bicubics, known=False, beside=True)


def measure(
    upscaler: Upscaler,
    benchmark: str,
    lr_folder: str | None,
    lpips: Perceptual,
    kind: str | None = None,
) -> scores.Evaluation:
    """Scores every photo below the folder ``benchmark``.

    LR images are read from ``lr_folder``; if that is None, they are reduced from the photos. If a
    ``kind`` of degradation is named, they are degraded.

    Raises:
        UserError: the folder has no images, or one that cannot be used.
    """
    scale, folder = upscaler.scale, user_path(benchmark)
    given = user_path(lr_folder) if lr_folder else None
    photos = folder_photos(folder, given, scale, key="benchmark")
    known = recognise(real(folder).parts, len(photos.sources)) if scale == 4 else None
    ours: dict[str, scores.Scores] = {}
    bicubics: dict[str, scores.Scores] = {}
    for source in tqdm(photos.sources, kind or known or folder.name, mininterval=bar_interval()):
        name = str(source.hr.relative_to(folder))
        hr, lr = _pair(source, scale)
        lr = spoiled(lr, kind, name) if kind else lr
        sr = upscaler(lr[0])[None].cpu()
        ours[name] = score(sr, hr, lr, scale, lpips)
        bicubics[name] = score(bicubic(lr, scale), hr, lr, scale, lpips)
    same = known is not None and given is None and kind is None
    label = known or real(folder).name
    return scores.Evaluation(upscaler.model.name, label, scale, ours, bicubics, same)


def score(sr: Tensor, hr: Tensor, lr: Tensor, scale: int, lpips: Perceptual) -> scores.Scores:
    """Returns every metric of one image; NaN becomes None. Images are uint8 (1, C, H, W)."""
    values = {
        "psnr_y": metrics.psnr_y(sr, hr, scale),
        "ssim_y": metrics.ssim_y(sr, hr, scale),
        "psnr_rgb": metrics.psnr(sr, hr, scale),
        "ssim_rgb": metrics.ssim(sr, hr, scale),
        "lr_consistency": metrics.lr_consistency(sr, lr, scale),
        "colour_shift": metrics.colour_shift(sr, hr),
        "grain": metrics.grain(sr, hr, scale),
    }
    if min(hr.shape[-2:]) >= metrics.LPIPS.smallest:
        values |= {name: distance(sr, hr) for name, distance in lpips.items()}
    numbers = {key: float(value) for key, value in values.items()}
    return {key: None if np.isnan(value) else value for key, value in numbers.items()}


def _pair(source: Source, scale: int) -> tuple[Tensor, Tensor]:
    """Reads HR, cropped to a multiple of the scale factor, and LR: uint8 (1, 1 or 3, H, W)."""
    hr = _read(source.hr)
    height, width = (side // scale * scale for side in hr.shape[-2:])
    if min(height, width) < 11 + 2 * scale:  # SSIM's window and the border that is left out
        raise UserError(f"{source.hr}: {hr.shape[-1]}x{hr.shape[-2]} pixels are too few to measure")
    hr = hr[..., :height, :width].contiguous()
    if source.lr is None:
        return hr, downscale(hr, scale)
    lr = _read(source.lr).expand(-1, hr.shape[1], -1, -1)
    if lr.shape[-2] * scale != height or lr.shape[-1] * scale != width:
        raise UserError(
            f"{source.lr}: {lr.shape[-1]}x{lr.shape[-2]} pixels are not {source.hr} reduced by "
            f"{scale}, {width // scale}x{height // scale}"
        )
    return hr, lr


def _read(path: Path) -> Tensor:
    """Reads uint8 (1, 1 or 3, H, W): grey stays grey, and transparency is laid over white."""
    try:
        pixels = read_picture(path).pixels
    except BadImage as error:
        raise UserError(f"{printable(path)}: {error}") from error
    plain = fit(pixels, alpha=False, bits=8)
    return torch.from_numpy(np.ascontiguousarray(plain.transpose(2, 0, 1)))[None]


def perceptual(alexnet: str | None, squeezenet: str | None, device: torch.device) -> Perceptual:
    """Loads LPIPS with AlexNet and, if its file is named, with SqueezeNet.

    If AlexNet's file is not named and its weights are missing, a warning is logged, because the
    other metrics are still worth having.

    Raises:
        UserError: a file that is named does not hold the weights.
    """
    found: Perceptual = {}
    try:
        found["lpips"] = metrics.LPIPS(alexnet, device)
    except UserError as error:
        if alexnet is not None:
            raise UserError(f"lpips: {error}") from error
        log.warning("LPIPS is not measured: %s", error)
    if squeezenet is not None:
        try:
            found["lpips_squeeze"] = metrics.LPIPS(squeezenet, device, "squeeze")
        except UserError as error:
            raise UserError(f"lpips_squeeze: {error}") from error
    return found
