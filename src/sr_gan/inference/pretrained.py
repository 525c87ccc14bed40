"""Loads the model that a setting names: a run, a file, a shipped model, or an interpolation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sr_gan.errors import UserError
from sr_gan.images.resize import Kernel, upscale
from sr_gan.models import PURPOSES
from sr_gan.runs.weights import (
    FINISHED,
    Weights,
    differing,
    find_weights,
    printable,
    read_weights,
    shipped,
    stated_generator,
)

DEFAULT = "gan"  # the shipped model that is used if none is named


class Interpolation(nn.Module):
    """A classical interpolation with the interface of a generator.

    Args:
        kernel: ``"bicubic"`` as in MATLAB, or ``"lanczos"`` with three lobes.
        scale: the scale factor.

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), nominally in [-1, 1]
    """

    halo = 3  # LR pixels that Lanczos reaches

    def __init__(self, kernel: Kernel, scale: int = 4) -> None:
        super().__init__()
        self.kernel, self.scale = kernel, scale

    def forward(self, lr: Tensor) -> Tensor:
        return upscale(lr, self.scale, self.kernel) * 2 - 1


@dataclass(frozen=True)
class Pretrained:
    """A generator and its origin.

    Args:
        name: the generator's name in tables.
        generator: the network as it was trained.
        path: the file of its weights; None for an interpolation.
    """

    name: str
    generator: nn.Module
    path: Path | None = None

    @property
    def scale(self) -> int:
        """The scale factor."""
        return int(self.generator.scale)  # type: ignore[arg-type]

    def describe(self) -> str:
        """Returns one line: name, size, and the file with its date or a shipped model's purpose."""
        count = sum(parameter.numel() for parameter in self.generator.parameters())
        kind = f"{self.name}, x{self.scale}"
        if self.path is None:
            return kind
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.path.stat().st_mtime))
        network = f"{type(self.generator).__name__} of {count:,} parameters"
        if self.path in shipped().values():
            return f"{kind}, {network}, {PURPOSES[self.name]}"
        return f"{kind}, {network} ({self.path}, {date})"


def load_pretrained(model: str | None, scale: int = 4) -> Pretrained:
    """Loads the generator that ``model`` names, with its weights.

    Args:
        model: the folder of a run (its newest weights are taken: those of a finished stage, or
            else the last checkpoint), a ``.ckpt`` or ``.safetensors`` file of a run, the name of
            a shipped model, ``bicubic`` or ``lanczos``; None is the shipped default.
        scale: the scale factor of interpolations; a generator has its own.

    Raises:
        UserError: there is no such model, or this project did not write its file.
    """
    if model in get_args(Kernel):
        return Pretrained(model, Interpolation(model, scale))  # type: ignore[arg-type]
    path = _locate(model)
    weights = read_weights(path, "model")
    return Pretrained(_name(path), _build(weights), path)


def _locate(model: str | None) -> Path:
    names = shipped()
    name = model or DEFAULT
    if name in names:
        return names[name]
    if model is None:
        raise UserError(
            "no model is given and this version ships none: train one with python -m sr_gan.train "
            "(minutes on a CPU) and give its folder, model=runs/quickstart, or a weights file"
        )
    if not Path(model).expanduser().exists():
        allowed = ", ".join([*names, *get_args(Kernel)])
        raise UserError(
            f"model={model} does not exist: give the folder of a run, a .safetensors or .ckpt "
            f"file, or one of {allowed}"
        )
    return find_weights(model, "model", (FINISHED, "last.ckpt"))


def _build(weights: Weights) -> nn.Module:
    config = weights.config
    if config is None:
        raise UserError(
            f"model={weights.path}: the file does not say which generator its weights are of: give "
            "the generator.safetensors or a checkpoint that a run of sr_gan wrote"
        )
    kind, settings = stated_generator(config, weights.path, "model")
    # A file from elsewhere may ask for absurd sizes, which take no memory on the meta device.
    try:
        with torch.device("meta"), _no_more_parameters_than(len(weights.state)):
            wrong = differing(kind(**settings), weights.state)
    except Exception as error:  # a file from elsewhere can make a constructor raise anything
        raise UserError(
            f"model={weights.path}: its generator cannot be built: {printable(error)}"
        ) from error
    if wrong:
        raise UserError(
            f"model={weights.path}: its weights are not of the {kind.__name__} that it says "
            f"({len(wrong)} tensors differ, first {wrong[0]})"
        )
    if not all(bool(x.isfinite().all()) for x in weights.state.values()):
        raise UserError(f"model={weights.path}: not all of its weights are finite numbers")
    generator: nn.Module = kind(**settings)
    generator.load_state_dict(weights.state)
    return generator.eval()


@contextmanager
def _no_more_parameters_than(count: int) -> Iterator[None]:
    """Stops the building of a network that has more parameters than a file has tensors."""
    made = 0

    def counted(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal made
        made += 1
        if made > count:
            raise ValueError(f"it has more than the {count} tensors of the file")

    hook = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def _name(path: Path) -> str:
    """Returns ``srgan/DATE/gan`` for ``runs/srgan/DATE/checkpoints/gan/last.ckpt``."""
    if path.parent.parent.name != "checkpoints":
        return path.stem
    run = path.parents[2]
    return f"{run.parent.name}/{run.name}/{path.parent.name}".lstrip("/")
