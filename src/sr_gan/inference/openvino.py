"""Runs a generator's two parts with OpenVINO, which is faster than PyTorch on CPUs.

OpenVINO is an extra: ``pip install 'sr_gan[openvino]'``. The package that would report each use to
its makers is not imported.
"""

import importlib
import logging
import sys
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.networks.split import Part, split

Model = Any  # openvino.Model

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_TELEMETRY = "openvino_telemetry"


def load(name: str = "openvino") -> Any:
    """Returns the package ``openvino`` or ``nncf``.

    Raises:
        UserError: the package is not installed.
    """
    if _TELEMETRY not in sys.modules:
        # Importing a module that is None fails, and OpenVINO then works without telemetry.
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # on CUDA_HOME
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"backend=openvino needs the package {name}: pip install 'sr_gan[openvino]'"
        ) from error


def convert(network: nn.Module) -> tuple[Model, Model]:
    """Converts the trunk and the reconstruction of a prepared generator, for images of any size.

    Raises:
        UserError: OpenVINO is not installed, or the generator does not consist of two parts.
    """
    if not (hasattr(network, "trunk") and hasattr(network, "reconstruct")):
        raise UserError(
            f"backend=openvino runs trained generators, not {type(network).__name__}: "
            "use backend=torch"
        )
    trunk, reconstruction = split(network)
    lr = torch.rand(1, 3, 16, 16)
    features = trunk.run(lr)
    first, second = _PartModule(network, trunk), _PartModule(network, reconstruction)
    return converted(first, lr), converted(second, features, lr)


def run_by_openvino(
    network: nn.Module, models: tuple[Model, Model], precision: str
) -> tuple[Part, Part]:
    """Returns the parts of a prepared generator, run by the models that :func:`convert` returns.

    With a ``precision`` besides ``fp32`` and ``bf16``, OpenVINO chooses for the processor.
    """
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if precision in _HINTS:
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    core = load().Core()
    runs = [_Run(core.compile_model(model, "CPU", settings)) for model in models]
    trunk, reconstruction = split(network)
    return replace(trunk, run=runs[0]), replace(reconstruction, run=runs[1])


class _Run:
    """A compiled model as a function of tensors."""

    def __init__(self, compiled: Any) -> None:
        self.request = compiled.create_infer_request()

    def __call__(self, *inputs: Tensor) -> Tensor:
        arrays = [x.float().contiguous().numpy() for x in inputs]
        output = self.request.infer(arrays, share_inputs=True)[0]
        return torch.from_numpy(output.copy())  # the next call writes into the same memory


class _PartModule(nn.Module):
    """The function of a part as a module, which OpenVINO can convert."""

    def __init__(self, network: nn.Module, part: Part) -> None:
        super().__init__()
        self.network, self.part = network, part

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.part.run(*inputs)


def converted(module: nn.Module, *inputs: Tensor, batch: int = 1) -> Model:
    """Converts a module for inputs of any height and width; a ``batch`` of -1 is any number."""
    openvino, root = load(), logging.getLogger()
    # The conversion silences the logs of the whole program, so the root logger is restored.
    level, filters, handlers = root.level, root.filters.copy(), root.handlers.copy()
    model = openvino.convert_model(module, example_input=inputs)
    root.setLevel(level)
    root.filters, root.handlers = filters, handlers
    shapes = [openvino.PartialShape([batch, x.shape[1], -1, -1]) for x in inputs]
    model.reshape(dict(zip(model.inputs, shapes)))
    return model
