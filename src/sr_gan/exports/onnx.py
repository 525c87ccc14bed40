"""ONNX, for ONNX Runtime, chaiNNer, browsers and phones."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable
from sr_gan.exports.pt2 import program

_INPUT, _OUTPUT = "image", "enlarged"


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4.onnx``, which holds the weights and has metadata.

    With fp16 the network computes in fp16. Its input and output are float32, as JavaScript and
    most programs have no other floats.
    """
    file = folder / f"{portable.stem}.onnx"
    made = torch.onnx.export(
        program(portable.network(portable.half)),
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        dynamo=True,
        optimize=True,
        verbose=False,
    )
    assert made is not None
    model = made.model_proto
    model.producer_name = "sr_gan"
    _name_sizes(model.graph, portable.model.scale)
    for key, value in portable.facts().items():
        model.metadata_props.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())
    return [file]


def _name_sizes(graph: Any, scale: int) -> None:
    """Gives all sizes names, as PyTorch 2.6 writes those of the example for some."""
    del graph.value_info[:]  # of layers between
    sizes = {0: "batch", 2: "height", 3: "width"}
    for axis, name in sizes.items():
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
        large = f"{scale}*{name}" if axis else name
        graph.output[0].type.tensor_type.shape.dim[axis].dim_param = large


def load(files: list[Path]) -> Run:
    """Checks the file, and opens it with ONNX Runtime on the CPU."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(files[0]), full_check=True)
    session = onnxruntime.InferenceSession(str(files[0]), providers=["CPUExecutionProvider"])

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        enlarged: NDArray[np.float32] = session.run([_OUTPUT], {_INPUT: image})[0]
        return enlarged

    return run
