"""The exact bicubic resizing of the super-resolution literature: MATLAB's ``imresize``."""

from collections.abc import Callable
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor

from sr_gan.arguments import Kernel

RESIZE_VERSION = 1  # increase it if results change, so that caches of reduced photos are rebuilt
_BLOCK = 8  # pixels of the coarser grid in one window
_CHUNK = 1 << 19  # numbers per matrix product, so that they fit into the processor's cache
# At these scales bicubic weights are multiples of 2^-12. Products with uint8 and their sums are
# then multiples of 2^-12 below 2^9, which need 21 bits: float32 has 24 and is exact.
_DYADIC = (1, 2, 4)


def downscale(image: Tensor, scale: int) -> Tensor:
    """Reduces by an integer factor: (B, C, H, W) -> (B, C, ceil(H / scale), ceil(W / scale)).

    The kernel is bicubic with a = -0.5, widened by ``scale`` (antialiased). Borders are mirrored,
    and the edge pixel is repeated. A uint8 image gives a uint8 image, rounded after each pass as in
    MATLAB; a float image is neither rounded nor clamped. Sums are in float64, or in float32 where
    that is exact.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    _check(scale)
    weights = _reduction(scale, _exact(image, scale), image.device)
    return _passes(image, weights, 2 * scale, _BLOCK * scale, scale, 1)


def upscale(image: Tensor, scale: int, kernel: Kernel = "bicubic") -> Tensor:
    """Enlarges by an integer factor: (B, C, H, W) -> (B, C, scale * H, scale * W).

    The kernel is bicubic with a = -0.5, the baseline of papers, or Lanczos with three lobes.
    Borders, types and rounding are those of :func:`downscale`.

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
    """Returns float32 where it is exact, else float64.

    On a GPU's tensor cores, and on a CPU if the user allowed it, a matrix product rounds float32
    to fewer bits; float64 is never rounded so.
    """
    whole = torch.get_float32_matmul_precision() == "highest" and image.device.type == "cpu"
    fits = image.dtype == torch.uint8 and scale in _DYADIC
    return torch.float32 if whole and fits else torch.float64


@lru_cache
@torch.inference_mode(False)  # what is kept may serve a training later
def _reduction(scale: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the weights (8, 12 * scale) for a window around a block of 8 outputs."""
    centres = (torch.arange(_BLOCK, dtype=torch.float64) + 0.5) * scale - 0.5
    return _weights(cubic, centres, 2 * scale, _BLOCK * scale, 1 / scale).to(device, dtype)


@lru_cache
@torch.inference_mode(False)  # what is kept may serve a training later
def _enlargement(scale: int, kernel: Kernel, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns the weights (8 * scale, 8 + 2 * radius) for a window around a block of 8 inputs."""
    centres = (torch.arange(_BLOCK * scale, dtype=torch.float64) + 0.5) / scale - 0.5
    function, radius = _KERNELS[kernel]
    return _weights(function, centres, radius, _BLOCK, 1.0).to(device, dtype)


def _weights(
    kernel: Callable[[Tensor], Tensor], centres: Tensor, margin: int, inputs: int, stretch: float
) -> Tensor:
    """Returns the kernel at the distance of each input from each output, normalised to sum 1."""
    window = torch.arange(-margin, inputs + margin, dtype=torch.float64)
    weights = kernel(((window - centres[:, None]) * stretch).abs())
    return weights / weights.sum(dim=1, keepdim=True)


def cubic(x: Tensor) -> Tensor:
    """Evaluates the cubic of Keys (1981) with a = -0.5 at distances ``x`` of at least 0."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    """Evaluates the sinc, windowed by its own main lobe stretched to three (Duchon 1979)."""
    return torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


_KERNELS: dict[Kernel, tuple[Callable[[Tensor], Tensor], int]] = {
    "bicubic": (cubic, 2),
    "lanczos": (_lanczos, 3),
}


def _passes(image: Tensor, weights: Tensor, margin: int, step: int, down: int, up: int) -> Tensor:
    """Resizes the rows, then the columns, in MATLAB's order for two equal factors."""
    with torch.autocast(image.device.type, enabled=False):  # 16 bits would change pixels
        x = _pass(image, weights, margin, step, ceil(image.shape[-2] / down) * up)
        x = _pass(x.transpose(-1, -2), weights, margin, step, ceil(x.shape[-1] / down) * up)
    return x.transpose(-1, -2).contiguous()


def _pass(x: Tensor, weights: Tensor, margin: int, step: int, size: int) -> Tensor:
    """Resizes along the height: (B, C, H, W) -> (B, C, size, W)."""
    # With an integer factor the weights repeat: a block of outputs is one matrix product of fixed
    # weights with a window of input rows. Smaller blocks copy more rows, as windows overlap; larger
    # ones multiply more zeros, as a kernel covers a smaller part of the window.
    blocks = ceil(size / len(weights))
    rows = torch.arange(-margin, blocks * step + margin, device=x.device)
    mirrored = x.index_select(-2, mirror(rows, x.shape[-2]))
    windows = mirrored.unfold(-2, weights.shape[1], step).transpose(-1, -2)  # (B, C, n, window, W)
    parts = [
        _round(weights @ part.to(weights.dtype), x.dtype)
        for part in torch.chunk(windows, ceil(windows.numel() / _CHUNK), dim=2)
    ]
    return torch.cat(parts, dim=2).flatten(2, 3)[..., :size, :]


def _round(x: Tensor, dtype: torch.dtype) -> Tensor:
    return (x.add_(0.5).floor_().clamp_(0, 255) if dtype == torch.uint8 else x).to(dtype)


def mirror(index: Tensor, length: int) -> Tensor:
    """Mirrors indices beyond an edge back inside and repeats the edge pixel: -1 -> 0, -2 -> 1."""
    index = index % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)
