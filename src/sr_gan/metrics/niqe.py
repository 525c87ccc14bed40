"""NIQE: how far the statistics of an image are from those of natural photographs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import gamma
from torch import Tensor

from sr_gan.errors import UserError
from sr_gan.files import user_path
from sr_gan.images.resize import downscale
from sr_gan.metrics.fidelity import luma

Maps = NDArray[np.float64]

FITTED = Path(__file__).with_name("niqe.npz")  # by experiments/measure, on our photos
_BLOCK = 96  # pixels
_SIGMA, _REACH = 7 / 6, 3  # of the Gaussian window, in pixels
_ZERO = 1e-9  # in flat areas the sign of rounding errors would count
_NEIGHBOURS = (0, 1), (1, 0), (1, 1), (1, -1)
_SHAPES = np.arange(0.2, 10.001, 0.001)  # of the generalised Gaussian, among which it is searched
_RATIOS = gamma(2 / _SHAPES) ** 2 / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))


class NIQE:
    """The natural image quality evaluator; it needs no photograph, and lower is better.

    It is the distance between two Gaussians of 36 features: one fitted to the 96x96 blocks of the
    image, the other to blocks of photographs. Values of different parameters are not comparable.

    Args:
        parameters: an ``.npz`` file with ``mu_pris_param`` and ``cov_pris_param``, such as the
            ``niqe_pris_params.npz`` of BasicSR, whose values papers report; None for those that
            were fitted to this project's photographs.

    Raises:
        UserError: the file does not hold these parameters.

    Source: Mittal, Soundararajan and Bovik 2013, *Making a "completely blind" image quality
    analyzer*, with the details of the authors' MATLAB code: luma is rounded, and the second scale
    is reduced by the exact bicubic.
    """

    def __init__(self, parameters: str | None = None) -> None:
        path = user_path(parameters) if parameters else FITTED
        try:
            with np.load(path) as file:
                self.mean = file["mu_pris_param"].reshape(36)
                self.covariance = file["cov_pris_param"].reshape(36, 36)
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file") from error
        except Exception as error:  # NumPy raises errors of many types
            raise UserError(
                f"{path} does not hold NIQE's parameters: expected an .npz file with "
                f"mu_pris_param (36) and cov_pris_param (36, 36)"
            ) from error

    def __call__(self, image: Tensor, border: int) -> Tensor:
        """Returns the distances (B,) of uint8 (B, 1 or 3, H, W); NaN for fewer than two blocks.

        Args:
            image: the images.
            border: the pixels cut from each side.
        """
        inside = image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]
        return torch.tensor([self._distance(one[None]) for one in inside], dtype=torch.float64)

    def _distance(self, image: Tensor) -> float:
        found = np.concatenate([rows for rows, _ in features(image)] or [np.empty((0, 36))])
        usable = found[~np.isnan(found).any(axis=1)]
        if len(usable) < 2:
            return np.nan
        apart = self.mean - np.nanmean(found, axis=0)
        spread = (self.covariance + np.cov(usable, rowvar=False)) / 2
        return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def features(image: Tensor) -> Iterator[tuple[Maps, Maps]]:
    """Yields the features (n, 36) and the sharpness (n,) of each row of blocks.

    The sharpness is the mean of the local standard deviation over a block.

    Args:
        image: uint8 (1, 1 or 3, H, W); what is left beside whole blocks is not used.
    """
    rows, columns = (side // _BLOCK for side in image.shape[-2:])
    if not rows or not columns:
        return
    whole = image[..., : rows * _BLOCK, : columns * _BLOCK]
    y = torch.cat([luma(part).round().float() for part in torch.split(whole, _BLOCK, -2)], -2)
    scales = ((y, _BLOCK), (downscale(y, 2), _BLOCK // 2))
    for row in range(rows):
        (fine, sharpness), (coarse, _) = (
            _blocks(picture[0, 0].numpy(force=True), row, side) for picture, side in scales
        )
        yield np.concatenate([fine, coarse], axis=1), sharpness


def _blocks(y: NDArray[np.float32], row: int, side: int) -> tuple[Maps, Maps]:
    """Returns 18 features and the sharpness of each block in a row of blocks."""
    top, first = row * side, max(0, row * side - _REACH)
    window = y[first : top + side + _REACH].astype(np.float64)
    core = slice(top - first, top - first + side)
    mean = gaussian_filter(window, _SIGMA, radius=_REACH, mode="nearest")
    variance = gaussian_filter(window**2, _SIGMA, radius=_REACH, mode="nearest") - mean**2
    deviation = np.sqrt(np.abs(variance))[core]
    normalised = (window - mean)[core] / (deviation + 1)
    normalised[np.abs(normalised) < _ZERO] = 0
    blocks = normalised.reshape(side, -1, side).swapaxes(0, 1)  # (n, side, side)
    shape, left, right = _fit(blocks)
    columns = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _fit(blocks * np.roll(blocks, shift, axis=(1, 2)))
        columns += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(columns, axis=1), deviation.reshape(side, -1, side).mean(axis=(0, 2))


def _fit(blocks: Maps) -> tuple[Maps, Maps, Maps]:
    """Fits asymmetric generalised Gaussians to blocks (n, h, w): shape, left and right scale.

    Source: Lasmar, Stitou and Berthoumieu 2009, by matching moments.
    """
    values = blocks.reshape(len(blocks), -1)
    squares = values**2
    left, right = (
        np.sqrt(_ratio((squares * side).sum(1), side.sum(1))) for side in (values < 0, values > 0)
    )
    ratio = _ratio(left, right)
    moment = _ratio(np.abs(values).mean(1) ** 2, squares.mean(1))
    moment = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _SHAPES[np.abs(_RATIOS - moment[:, None]).argmin(1)]
    stretch = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return np.where(np.isnan(moment), np.nan, shape), left * stretch, right * stretch


def _ratio(a: Maps, b: Maps) -> Maps:
    """Returns ``a / b``, and NaN where both are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Maps = a / b
    return ratio
