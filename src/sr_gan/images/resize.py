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
    return _resized(image, scale, 1, "bicubic")


def upscale(image: Tensor, scale: int, kernel: Kernel = "bicubic") -> Tensor:
    """Enlarges by an integer factor: (B, C, H, W) -> (B, C, scale * H, scale * W).

    The kernel is bicubic with a = -0.5, the baseline of papers, or Lanczos with three lobes.
    Borders, types and rounding are those of :func:`downscale`.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    return _resized(image, 1, scale, kernel)


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Enlarges uint8 as the model ``bicubic`` does: rounded once, and not after each pass."""
    return _round(upscale(lr.float(), scale), torch.uint8)


@lru_cache
@torch.inference_mode(False)  # what is kept may serve a training later
def _weights(
    down: int, up: int, kernel: Kernel, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Returns the weights of a block's outputs: (8 * up, (8 + 2 * radius) * down).

    They are the kernel at the distance of each input from each output, normalised to sum 1.
    """
    function, radius = _KERNELS[kernel]
    centres = (torch.arange(_BLOCK * up, dtype=torch.float64) + 0.5) * down / up - 0.5
    window = torch.arange(-radius * down, (_BLOCK + radius) * down, dtype=torch.float64)
    weights = function(((window - centres[:, None]) * (1 / down)).abs())
    return (weights / weights.sum(dim=1, keepdim=True)).to(device, dtype)


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


def _resized(image: Tensor, down: int, up: int, kernel: Kernel) -> Tensor:
    """Resizes the rows, then the columns, in MATLAB's order for two equal factors."""
    if min(down, up) < 1:
        raise ValueError(f"scale must be at least 1, got {min(down, up)}")
    # On a GPU's tensor cores, and on a CPU if the user allowed it, a matrix product rounds float32
    # to fewer bits; float64 is never rounded so.
    whole = torch.get_float32_matmul_precision() == "highest" and image.device.type == "cpu"
    fits = image.dtype == torch.uint8 and kernel == "bicubic" and down * up in _DYADIC
    dtype = torch.float32 if whole and fits else torch.float64
    weights = _weights(down, up, kernel, dtype, image.device)
    margin, step = _KERNELS[kernel][1] * down, _BLOCK * down
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
