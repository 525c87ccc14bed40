"""Which programs a model's file is for, and what one types or does there."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from sr_gan.files import relative

_SHAPE = "# (1, 3, height, width) in [0, 1], float32"
_UNCLIPPED = "# (1, 3, height, width), float32; clip it to [0, 1]"


@dataclass(frozen=True)
class Use:
    """How a file is used.

    Args:
        programs: the programs that read it.
        language: the language of the example.
        example: what one types or does, with ``FILE`` for the name of the file.
    """

    programs: str
    language: str
    example: str


_SPANDREL = Use(
    "programs that read models by spandrel, such as ComfyUI and chaiNNer",
    "text",
    "ComfyUI: put FILE into models/upscale_models.\nchaiNNer: open FILE with Load Model (PyTorch).",
)
_BASICSR = Use("BasicSR", "yaml", "path: {pretrain_network_g: FILE}")
_USES = {
    ".safetensors": Use("sr_gan", "sh", "sr-gan upscale model=FILE input=PHOTO"),
    ".onnx": Use(
        "ONNX Runtime, chaiNNer, browsers and phones",
        "python",
        'session = onnxruntime.InferenceSession("FILE")\n'
        f'(enlarged,) = session.run(None, {{"image": image}})  {_SHAPE}',
    ),
    ".param": Use(
        "Upscayl and other programs with ncnn, together with the .bin file",
        "text",
        "Upscayl: put both files into a folder named models, and choose it under Settings, Custom "
        "Models.\nncnn: the blobs are named data and output.",
    ),
    ".pt2": Use(
        "PyTorch without sr_gan",
        "python",
        f'enlarged = torch.export.load("FILE").module()(image)  {_SHAPE}',
    ),
    ".xml": Use(
        "OpenVINO, together with the .bin file",
        "python",
        'settings = {"INFERENCE_PRECISION_HINT": "f32"}  # without it some CPUs take bf16\n'
        f'enlarged = openvino.Core().compile_model("FILE", "CPU", settings)(image)[0]  {_SHAPE}',
    ),
}


def use_of(path: Path, network: str) -> Use | None:
    """Returns how a file is used; None for a file that only accompanies another one.

    Args:
        path: the file.
        network: the class of the generator, which decides who reads a ``.pth`` file.
    """
    if path.suffix == ".pth":
        return _BASICSR if network == "MSRResNet" else _SPANDREL
    if path.name == "index.html":
        serve = f"sr-gan serve {shlex.quote(str(relative(path.parent)))}"
        programs = f"browsers: {serve} shows it, and every static host can hold the folder"
        return Use(programs, "sh", serve)
    use = _USES.get(path.suffix)
    if use and path.stem.endswith("-web"):
        return replace(use, example=use.example.replace(_SHAPE, _UNCLIPPED))
    return use
