"""No metric makes copies of an image that are many times as large as the image."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sr_gan import metrics

MOST = 4  # bytes per number of an image of uint8


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that is made, in bytes."""

    bytes: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for x in made if isinstance(made, (list, tuple)) else [made]:
            if isinstance(x, Tensor):
                self.bytes = max(self.bytes, x.untyped_storage().nbytes())
        return made


def largest(metric: Callable[..., Tensor], image: Tensor) -> float:
    """Returns the bytes of the largest tensor, in bytes of the image."""
    with Largest() as seen:
        metric(image, image.flip(-1))
    return float(seen.bytes / image.numel())


@pytest.mark.parametrize("name", ["psnr", "psnr_y", "ssim", "ssim_y", "grain"])
def test_fidelity_and_artefacts(name: str) -> None:
    image = torch.randint(0, 256, (1, 3, 3000, 80), dtype=torch.uint8)
    assert largest(partial(getattr(metrics, name), border=4), image) < MOST


def test_grid() -> None:
    image = torch.randint(0, 256, (1, 3, 3000, 80), dtype=torch.uint8)
    assert largest(lambda sr, hr: metrics.grid(sr, 4, border=4), image) < MOST


def test_colour_shift() -> None:
    image = torch.randint(0, 256, (1, 3, 3000, 80), dtype=torch.uint8)
    assert largest(metrics.colour_shift, image) < MOST


def test_niqe() -> None:
    image = torch.randint(0, 256, (1, 3, 3000, 104), dtype=torch.uint8)
    assert largest(lambda sr, hr: metrics.NIQE()(sr, border=4), image) < MOST


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips(net: Any, alexnet_file: Path, squeezenet_file: Path) -> None:
    lpips = metrics.LPIPS(str(alexnet_file if net == "alex" else squeezenet_file), net=net)
    lpips.tile = 16  # so that small images have many tiles
    assert largest(lpips, torch.randint(0, 256, (1, 3, 3000, 80), dtype=torch.uint8)) < MOST
