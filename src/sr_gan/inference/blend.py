"""Interpolates the weights of two generators, and measures BatchNorm's statistics anew."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sr_gan.errors import UserError
from sr_gan.files import printable, user_path
from sr_gan.images.bundled import bundled_pixels
from sr_gan.images.decode import BadImage, read_picture
from sr_gan.images.find import list_images
from sr_gan.images.resize import downscale
from sr_gan.runs.weights import differing

_CROP = 192  # HR pixels of the crops on which BatchNorm's statistics are measured
_CROPS, _BATCH = 128, 16


@torch.no_grad()
def blend(a: nn.Module, b: nn.Module, alpha: float, batches: Iterable[Tensor]) -> nn.Module:
    """Returns ``(1 - alpha) * a + alpha * b``, weight by weight, in eval mode.

    BatchNorm's statistics of activations do not interpolate. They are measured with the new
    weights, unless ``alpha`` is 0 or 1.

    Args:
        a: a generator, usually of small distortion.
        b: a generator of the same architecture, usually trained further from ``a``.
        alpha: the share of ``b``, in [0, 1].
        batches: LR images (B, 3, h, w) in [0, 1]; read only if there is BatchNorm.

    Raises:
        UserError: the two have different architectures.
        ValueError: ``alpha`` is outside [0, 1].

    Source: Wang et al. 2018 (ESRGAN), section 3.4.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    wrong = differing(a, b.state_dict())
    if wrong or type(a) is not type(b):
        raise UserError(
            f"a and b are different generators ({type(a).__name__} and {type(b).__name__}, "
            f"{len(wrong)} tensors differ): both must come from the same generator settings"
        )
    mixed = deepcopy(b if alpha == 1 else a).eval()
    if 0 < alpha < 1:
        for own, other in zip(mixed.parameters(), b.parameters()):
            own.lerp_(other, alpha)
        norms = [layer for layer in mixed.modules() if isinstance(layer, _BatchNorm)]
        if norms:
            _measure(mixed, norms, batches)
    return mixed


def _measure(network: nn.Module, norms: list[_BatchNorm], batches: Iterable[Tensor]) -> None:
    """Sets BatchNorm's statistics to their means over all ``batches``."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean in place of a moving average
    network.train()
    for lr in batches:
        network(lr)
    network.eval()


def calibration_batches(folder: str | None, scale: int) -> Iterator[Tensor]:
    """Yields LR images to measure BatchNorm's statistics on: (16, 3, h, w) in [0, 1].

    Args:
        folder: photographs, of which random crops are reduced; ``None`` takes the photographs
            bundled with scikit-image.
        scale: the factor of the reduction.

    Raises:
        UserError: the folder holds no colour photograph that is large enough.
    """
    photos = bundled_pixels() if folder is None else _photos(folder)
    rng = np.random.default_rng(0)
    side = _CROP // scale * scale
    for _ in range(_CROPS // _BATCH):
        crops = []
        for index in rng.integers(len(photos), size=_BATCH):
            photo = photos[index]
            top, left = (rng.integers(size - side + 1) for size in photo.shape[:2])
            crops.append(photo[top : top + side, left : left + side])
        hr = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        yield downscale(hr, scale).float() / 255


def _photos(folder: str) -> list[NDArray[np.uint8]]:
    """Reads a folder's colour photographs that are large enough: uint8 (H, W, 3)."""
    photos: list[Any] = []
    for path in list_images(user_path(folder), "photos"):
        try:
            pixels = read_picture(path).pixels
        except BadImage as error:
            raise UserError(f"{printable(path)}: {error}") from error
        if pixels.dtype == np.uint8 and pixels.shape[2] >= 3 and min(pixels.shape[:2]) >= _CROP:
            photos.append(pixels[..., :3])
    if not photos:
        raise UserError(f"photos={folder}: no colour photo of {_CROP}x{_CROP} pixels or more")
    return photos
