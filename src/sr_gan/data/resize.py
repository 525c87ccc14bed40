"""The exact bicubic of the super-resolution literature: MATLAB's ``imresize``."""

import torch
from torch import Tensor
from torch.nn import functional as F


def downscale(image: Tensor, scale: int) -> Tensor:
    """Reduces by an integer factor: (B, C, H, W) -> (B, C, ceil(H / scale), ceil(W / scale)).

    Bicubic with a = -0.5, the kernel widened by ``scale`` (antialiased), borders mirrored with the
    edge repeated. A uint8 image gives a uint8 image, rounded after each pass as MATLAB does; a
    float image is neither rounded nor clamped.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    _check(scale)
    height, width = image.shape[-2:]
    return _resize(image, -(-height // scale), -(-width // scale), 1 / scale)


def upscale(image: Tensor, scale: int) -> Tensor:
    """Enlarges by an integer factor: (B, C, H, W) -> (B, C, scale * H, scale * W).

    The bicubic that papers compare with: a = -0.5, borders mirrored. Types as :func:`downscale`.

    Raises:
        ValueError: ``scale`` is below 1.
    """
    _check(scale)
    height, width = image.shape[-2:]
    return _resize(image, height * scale, width * scale, float(scale))


def _check(scale: int) -> None:
    if scale < 1:
        raise ValueError(f"scale must be at least 1, got {scale}")


def _resize(image: Tensor, height: int, width: int, factor: float) -> Tensor:
    exact = image.dtype == torch.uint8
    x = image.double()  # in fp32 the positions of a x3 grid are off by a thousandth of a grey level
    for dim, size in ((-2, height), (-1, width)):
        x = _resize_axis(x, dim, size, factor)
        if exact:
            x = x.add(0.5).floor().clamp(0, 255)
    return x.to(image.dtype)


def _resize_axis(x: Tensor, dim: int, size: int, factor: float) -> Tensor:
    """One pass. torch's antialiased bicubic has the right kernel but renormalises it at the
    border: mirrored margins, cut off again afterwards, give MATLAB's border instead."""
    step = round(1 / factor) if factor < 1 else 1  # input pixels an output pixel
    grow = round(factor) if factor > 1 else 1  # output pixels an input pixel
    margin = 2 * step + 1  # kernel support: 2 pixels of the coarser grid on either side
    margin += -margin % step
    length = x.shape[dim]
    index = torch.arange(-margin, size * step // grow + margin, device=x.device)
    mirrored = x.index_select(dim, _mirror(index, length))
    out = margin // step * grow
    shape = list(x.shape[-2:])
    shape[dim] = size + 2 * out
    resized = F.interpolate(mirrored, shape, mode="bicubic", antialias=True)
    return resized.narrow(dim, out, size)


def _mirror(index: Tensor, length: int) -> Tensor:
    """Folds indices beyond an edge back inside, the edge pixel repeated: -1 -> 0, -2 -> 1."""
    index = index % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)
