"""The exact bicubic of the super-resolution literature: MATLAB's ``imresize``."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

RESIZE_VERSION = 1  # raise it when results change: caches of reduced photos are then made anew
_BLOCK = 8  # pixels of the coarser grid that one product makes
_CHUNK = 1 << 19  # numbers at a time: they stay in the processor's cache
_DYADIC = (1, 2, 4)  # bicubic weights and all sums of them with uint8 are exact in float32

Kernel = Literal["bicubic", "lanczos"]


def downscale(image: Tensor, scale: int) -> Tensor:
    """Reduces by an integer factor: (B, C, H, W) -> (B, C, ceil(H / scale), ceil(W / scale)).

    Bicubic with a = -0.5, the kernel widened by ``scale`` (antialiased), borders mirrored with the
    edge repeated. A uint8 image gives a uint8 image, rounded after each pass as MATLAB does; a
    float image is neither rounded nor clamped. Sums are in float64, but where float32 is exact.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    _check(scale)
    weights = _reduction(scale, _exact(image, scale), image.device)
    return _passes(image, weights, 2 * scale, _BLOCK * scale, scale, 1)


def upscale(image: Tensor, scale: int, kernel: Kernel = "bicubic") -> Tensor:
    """Enlarges by an integer factor: (B, C, H, W) -> (B, C, scale * H, scale * W).

    The bicubic that papers compare with, a = -0.5, or Lanczos with three lobes; borders mirrored.
    Types as :func:`downscale`.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    _check(scale)
    dtype = _exact(image, scale) if kernel == "bicubic" else torch.float64
    weights = _enlargement(scale, kernel, dtype, image.device)
    return _passes(image, weights, _KERNELS[kernel][1], _BLOCK, 1, scale)


def _check(scale: int) -> None:
    if scale < 1:
        raise ValueError(f"scale must be at least 1, got {scale}")


def _exact(image: Tensor, scale: int) -> torch.dtype:
    """The type in which sums carry no error that shows. Products of float32 may be taken in fewer
    bits: always so on a GPU's tensor cores, on a CPU where the user allowed it."""
    whole = torch.get_float32_matmul_precision() == "highest" and image.device.type == "cpu"
    fits = image.dtype == torch.uint8 and scale in _DYADIC
    return torch.float32 if whole and fits else torch.float64


@lru_cache
def _reduction(scale: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights (8, 12 * scale) of the inputs around a block of 8 outputs, kept on the device."""
    centres = (torch.arange(_BLOCK, dtype=torch.float64) + 0.5) * scale - 0.5
    return _weights(cubic, centres, 2 * scale, _BLOCK * scale, 1 / scale).to(device, dtype)


@lru_cache
def _enlargement(scale: int, kernel: Kernel, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights (8 * scale, 8 + 2 * radius) of the inputs around 8 inputs, kept on the device."""
    centres = (torch.arange(_BLOCK * scale, dtype=torch.float64) + 0.5) / scale - 0.5
    function, radius = _KERNELS[kernel]
    return _weights(function, centres, radius, _BLOCK, 1.0).to(device, dtype)


def _weights(
    kernel: Callable[[Tensor], Tensor], centres: Tensor, margin: int, inputs: int, stretch: float
) -> Tensor:
    """The kernel at each input's distance from each output's centre, summing to 1."""
    window = torch.arange(-margin, inputs + margin, dtype=torch.float64)
    weights = kernel(((window - centres[:, None]) * stretch).abs())
    return weights / weights.sum(dim=1, keepdim=True)


def cubic(x: Tensor) -> Tensor:
    """Keys (1981), a = -0.5, at distances from 0."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    """The sinc under its own main lobe, stretched to three (Duchon 1979)."""
    return torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


_KERNELS: dict[Kernel, tuple[Callable[[Tensor], Tensor], int]] = {
    "bicubic": (cubic, 2),
    "lanczos": (_lanczos, 3),
}


def _passes(image: Tensor, weights: Tensor, margin: int, step: int, down: int, up: int) -> Tensor:
    """First the rows, then the columns, as MATLAB does where both factors are equal."""
    with torch.autocast(image.device.type, enabled=False):  # its 16 bits would change pixels
        x = _pass(image, weights, margin, step, -(-image.shape[-2] // down) * up)
        x = _pass(x.transpose(-1, -2), weights, margin, step, -(-x.shape[-1] // down) * up)
    return x.transpose(-1, -2).contiguous()


def _pass(x: Tensor, weights: Tensor, margin: int, step: int, size: int) -> Tensor:
    """Resizes the rows (B, C, H, W) -> (B, C, size, W): a product a block, blocks in chunks."""
    blocks = -(-size // len(weights))
    rows = torch.arange(-margin, blocks * step + margin, device=x.device)
    mirrored = x.index_select(-2, mirror(rows, x.shape[-2]))
    windows = mirrored.unfold(-2, weights.shape[1], step).transpose(-1, -2)  # (B, C, n, window, W)
    parts = [
        _round(weights @ part.to(weights.dtype), x.dtype)
        for part in torch.chunk(windows, -(-windows.numel() // _CHUNK), dim=2)
    ]
    return torch.cat(parts, dim=2).flatten(2, 3)[..., :size, :]


def _round(x: Tensor, dtype: torch.dtype) -> Tensor:
    return (x.add_(0.5).floor_().clamp_(0, 255) if dtype == torch.uint8 else x).to(dtype)


def mirror(index: Tensor, length: int) -> Tensor:
    """Folds indices beyond an edge back inside, the edge pixel repeated: -1 -> 0, -2 -> 1."""
    index = index % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)
