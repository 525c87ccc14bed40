"""A page for browsers, which enlarges photographs on the visitor's own machine."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from torch import Tensor, nn

from sr_gan import __version__
from sr_gan.errors import UserError
from sr_gan.exports import onnx, web_runtime
from sr_gan.exports.check import Run
from sr_gan.exports.facts import About, facts_of
from sr_gan.exports.portable import Portable

PAGE = Path(__file__).parent / "web_page"
_SIDE = 16  # pixels of the image on which tensors are counted
_LEAST_CORE = 32  # pixels of a tile that are kept, as in tiles.js
_MOST = 2**29  # bytes of a tensor; WebAssembly has 4 GB for all that are alive at once


def write(portable: Portable, folder: Path) -> list[Path]:
    """Writes ``index.html``, its scripts, the model as ONNX, and onnxruntime-web.

    The graph has no Clip, as the page rounds and clips. Its sizes are free: the page fixes them to
    those of a tile.

    Raises:
        UserError: a tile would be too large for a browser, or onnxruntime-web cannot be had.
    """
    said = About(name=portable.name, author=portable.author, license=portable.license)
    facts = facts_of(portable.model, said)
    each = largest_tensor(portable.network())
    if (2 * facts.reach + _LEAST_CORE) ** 2 * each > _MOST:
        raise UserError(
            f"it sees {facts.reach} pixels to each side, so that its smallest tile does not fit "
            "into a browser's memory: use a network with fewer layers, such as generator=compact"
        )
    (graph,) = onnx.write(replace(portable, web=True), folder)
    model = {
        "file": graph.name,
        "scale": facts.scale,
        "reach": facts.reach,
        "bytesPerPixel": each,
    }
    settings, page = folder / "model.json", folder / "index.html"
    settings.write_text(json.dumps(model, indent=2) + "\n")
    environment = Environment(
        loader=PackageLoader("sr_gan.exports", "web_page"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = {"facts": facts, "version": __version__, "runtime": web_runtime.VERSION}
    page.write_text(environment.get_template("index.html").render(known), encoding="utf-8")
    assets = [Path(shutil.copy(file, folder)) for file in _assets()]
    runtime = web_runtime.unpack(web_runtime.obtain(), folder)
    return [page, settings, graph, *assets, *runtime]


def load(files: list[Path]) -> Run:
    """Opens the page's model with ONNX Runtime on the CPU; a browser is not started."""
    return onnx.load([file for file in files if file.suffix == ".onnx"])


def largest_tensor(network: nn.Module) -> float:
    """Returns the bytes of the largest result of a layer, for each pixel of the input."""
    sizes: list[int] = []

    def watch(layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):  # layers of other networks may return several
            sizes.append(output.numel() * output.element_size())

    for layer in network.modules():
        layer.register_forward_hook(watch)
    with torch.inference_mode():
        network(torch.zeros(1, 3, _SIDE, _SIDE))
    return max(sizes) / _SIDE**2


def _assets() -> Iterator[Path]:
    """The scripts and the style of the page, which are the same for every model."""
    return (file for file in sorted(PAGE.iterdir()) if file.suffix in (".js", ".css", ".svg"))
