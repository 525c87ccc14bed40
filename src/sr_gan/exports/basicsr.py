"""The ``.pth`` files of BasicSR's MSRResNet."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sr_gan.errors import UserError
from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable
from sr_gan.exports.spandrel import write_layout
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.networks import MSRResNet


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4.pth``, with the names and the output range of BasicSR.

    Raises:
        UserError: the network is no MSRResNet, or one that BasicSR's cannot be.
    """
    kind = type(portable.model.generator)
    if kind is not MSRResNet:
        raise UserError(f"BasicSR knows MSRResNet, not {kind.__name__}: use onnx or ncnn")
    return write_layout(portable, folder, "msrresnet")


def load(files: list[Path]) -> Run:
    """Reads the file back; BasicSR itself, which is no package of this one, is not run."""
    network = load_pretrained(str(files[0])).generator

    @torch.inference_mode()
    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        enlarged: NDArray[np.float32] = ((network(torch.from_numpy(image)) + 1) / 2).numpy()
        return enlarged

    return run
