"""The ``.pth`` files of ESRGAN and Real-ESRGAN, for every program that loads them by spandrel."""

import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sr_gan.errors import UserError
from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable
from sr_gan.networks import CompactNet, RRDBNet
from sr_gan.networks.layouts import to_layout


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4.pth``: an RRDBNet as ESRGAN, a CompactNet as SRVGGNetCompact.

    Raises:
        UserError: the network is another one.
    """
    generator = portable.model.generator
    if isinstance(generator, CompactNet):
        return write_layout(portable, folder, "compact")
    if not isinstance(generator, RRDBNet):
        kind = type(generator).__name__
        raise UserError(f"spandrel knows RRDBNet and CompactNet, not {kind}: use onnx or ncnn")
    growth = next(len(x) for name, x in generator.named_parameters() if "grow" in name)
    if growth != 32:
        raise UserError(f"spandrel knows RRDBNet with growth=32, not {growth}: use onnx or ncnn")
    # Real-ESRGAN's network for x2 is another one; the first ESRGAN's takes any scale.
    layout = "esrgan" if portable.model.scale == 4 else "esrgan_2018"
    return write_layout(portable, folder, layout)


def write_layout(portable: Portable, folder: Path, layout: str) -> list[Path]:
    """Writes ``NAME-x4.pth`` with the weights in a published layout, under ``params``.

    Raises:
        UserError: the network does not fit the layout.
    """
    try:
        state = to_layout(portable.model.generator, layout)
    except ValueError as error:
        raise UserError(str(error)) from error
    dtype = torch.float16 if portable.half else torch.float32
    buffer = io.BytesIO()
    torch.save({"params": {name: x.to(dtype) for name, x in state.items()}}, buffer)
    file = folder / f"{portable.stem}.pth"
    file.write_bytes(buffer.getvalue())
    return [file]


def load(files: list[Path]) -> Run:
    """Opens the file with spandrel on the CPU."""
    import spandrel

    model = spandrel.ModelLoader(device="cpu").load_from_file(files[0])
    assert isinstance(model, spandrel.ImageModelDescriptor)

    @torch.inference_mode()
    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        enlarged: NDArray[np.float32] = model(torch.from_numpy(image)).numpy()
        return enlarged

    return run
