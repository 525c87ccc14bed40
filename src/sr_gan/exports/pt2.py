"""PyTorch's own format: a program of torch.export, which needs no code of this package."""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4.pt2``, for images of any size."""
    file = folder / f"{portable.stem}.pt2"
    buffer = io.BytesIO()
    torch.export.save(program(portable.network()), buffer, extra_files=portable.facts())
    file.write_bytes(buffer.getvalue())
    return [file]


def load(files: list[Path]) -> Run:
    """Opens the file with torch.export.load."""
    network = torch.export.load(files[0]).module()

    @torch.inference_mode()
    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        enlarged: NDArray[np.float32] = network(torch.from_numpy(image)).numpy()
        return enlarged

    return run


def program(network: nn.Module) -> torch.export.ExportedProgram:
    """Returns the program of a network, for any batch, height and width."""
    sizes = {0: "batch", 2: "height", 3: "width"}
    dynamic = {axis: torch.export.Dim(name) for axis, name in sizes.items()}
    example = torch.rand(2, 3, 24, 32)  # an axis of 1 would be taken for a constant
    return torch.export.export(network, (example,), dynamic_shapes={"image": dynamic})
