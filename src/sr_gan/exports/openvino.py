"""OpenVINO's intermediate representation, for Intel's processors."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable
from sr_gan.inference.openvino import converted
from sr_gan.inference.openvino import load as load_package


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4-openvino.xml`` and ``.bin``; in fp16 only the weights are fp16.

    The names differ from those of ncnn, which writes a ``.bin``, too.
    """
    file = folder / f"{portable.stem}-openvino.xml"
    model = converted(portable.network(), torch.rand(1, 3, 24, 32), batch=-1)
    model.inputs[0].get_tensor().set_names({"image"})
    model.outputs[0].get_tensor().set_names({"enlarged"})
    for key, value in portable.facts().items():
        model.set_rt_info(value, ["sr_gan", key])
    load_package().save_model(model, file, compress_to_fp16=portable.half)
    return [file, file.with_suffix(".bin")]


def load(files: list[Path]) -> Run:
    """Opens the files with OpenVINO on the CPU, in fp32."""
    compiled = (
        load_package().Core().compile_model(files[0], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array(compiled({"image": image})["enlarged"])

    return run
