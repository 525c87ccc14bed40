"""ncnn, for Upscayl, Real-ESRGAN-ncnn-vulkan and phones; converted by pnnx."""

import io
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sr_gan.errors import UserError
from sr_gan.exports.check import Run
from sr_gan.exports.portable import Portable

_INPUT, _OUTPUT = "data", "output"
_NAMES = {"in0": _INPUT, "out0": _OUTPUT}  # pnnx's, and those of Upscayl's models


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``NAME-x4.param`` and ``NAME-x4.bin``, with the blobs ``data`` and ``output``."""
    work = folder / "pnnx"  # it writes eight files
    work.mkdir()
    (work / "net.pt").write_bytes(_traced(portable.network()))
    _convert(work, portable.half)
    files = [folder / f"{portable.stem}.param", folder / f"{portable.stem}.bin"]
    files[0].write_text(_renamed((work / "net.ncnn.param").read_text()))
    (work / "net.ncnn.bin").replace(files[1])
    return files


def load(files: list[Path]) -> Run:
    """Opens the two files with ncnn on the CPU, in fp32."""
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(files[0])) or net.load_model(str(files[1])):
        raise UserError("ncnn cannot read what pnnx wrote")
    if (net.input_names(), net.output_names()) != ([_INPUT], [_OUTPUT]):
        raise UserError(f"its blobs are {net.input_names()} and {net.output_names()}")

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([one(each) for each in image])

    def one(image: NDArray[np.float32]) -> NDArray[np.float32]:
        pixels = np.ascontiguousarray(image)  # a Mat of it does not keep it alive
        extractor = net.create_extractor()
        extractor.input(_INPUT, ncnn.Mat(pixels).clone())
        return np.array(extractor.extract(_OUTPUT)[1])

    return run


def _traced(network: nn.Module) -> bytes:
    # pnnx writes a sum of sums as one expression, which doubles with every block whose skip spans
    # other skips: 23 blocks of an RRDBNet took 20 GB. It looks no further than a clone, which is
    # not in the file.
    for layer in network.modules():
        if list(layer.children()):
            layer.register_forward_hook(lambda layer, inputs, output: output.clone())
    jit: Any = torch.jit
    buffer = io.BytesIO()  # writing into a file, PyTorch aborts if the disk is full
    jit.save(jit.trace(network, torch.rand(1, 3, 24, 32)), buffer)
    return buffer.getvalue()


def _convert(work: Path, half: bool) -> None:
    import pnnx

    # Two sizes tell it that height and width vary.
    sizes = ["inputshape=[1,3,24,32]f32", "inputshape2=[1,3,17,23]f32", f"fp16={int(half)}"]
    done = subprocess.run(
        [pnnx.EXEC_PATH, "net.pt", *sizes], cwd=work, capture_output=True, text=True
    )
    made = [work / "net.ncnn.param", work / "net.ncnn.bin"]
    if done.returncode or not all(file.exists() and file.stat().st_size for file in made):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"pnnx cannot convert the network (exit code {done.returncode}): {last}")


def _renamed(param: str) -> str:
    """Returns the text with our names of the blobs, after a check of its layers."""
    layers = [line.split()[0] for line in param.splitlines()[2:]]
    foreign = sorted({layer for layer in layers if "." in layer or layer.startswith("pnnx")})
    if foreign:
        raise UserError(f"ncnn has no layers {', '.join(foreign)}")
    return re.sub(r"(?<=\s)(in0|out0)(?=\s)", lambda found: _NAMES[found[0]], param)
