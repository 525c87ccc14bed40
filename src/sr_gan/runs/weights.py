"""Saves generator weights with the settings of their network, and loads them from any run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sr_gan import networks
from sr_gan.arguments import is_plain
from sr_gan.errors import UserError, printable
from sr_gan.files import atomic_write
from sr_gan.networks.layouts import from_layout
from sr_gan.runs.folder import find_weights
from sr_gan.settings.explain import complaint
from sr_gan.tensor_files import load_tensors

_PREFIXES = ("average.generator.", "generator.")  # in a checkpoint, the better weights first
# In files of other programs, the averaged weights first.
_WRAPPERS = ("params_ema", "params", "model_state_dict", "state_dict", "model")


@dataclass(frozen=True)
class Weights:
    """A generator's tensors, and its configuration if the file holds it."""

    path: Path
    state: dict[str, Tensor]
    config: dict[str, Any] | None


def save_generator(generator: nn.Module, config: dict[str, Any], path: Path) -> None:
    """Writes the weights as ``.safetensors`` with the generator's configuration as metadata."""
    save_state(generator.state_dict(), config, path)


def save_state(state: Mapping[str, Tensor], config: dict[str, Any], path: Path) -> None:
    """Writes weights in their own type, see :func:`save_generator`."""
    state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    with atomic_write(path, "wb") as file:
        file.write(save(state, {"format": "pt", "generator": json.dumps(config)}))


def load_generator(generator: nn.Module, origin: str) -> None:
    """Loads weights, and nothing else, into a generator of the same architecture.

    Args:
        generator: the network that receives them.
        origin: the name of a bundled model, a ``.safetensors``, ``.pth`` or ``.ckpt`` file, or the
            folder of one or more runs, whose newest finished generator is taken.

    Raises:
        UserError: the file is missing, cannot be read, or holds another architecture.
    """
    weights = read_weights(find_weights(origin, "init_from"), "init_from")
    wrong = differing(generator, weights.state)
    if wrong:
        raise UserError(
            f"init_from={origin}: the weights are of another generator than "
            f"{type(generator).__name__} as configured ({len(wrong)} tensors differ, first "
            f"{wrong[0]}): use the generator settings of the run that made them"
        )
    generator.load_state_dict(weights.state)


def differing(generator: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Returns the names of the tensors that only one of the two has, or that differ in shape."""
    expected = generator.state_dict()
    return sorted(
        key
        for key in expected.keys() | state.keys()
        if key not in expected or key not in state or expected[key].shape != state[key].shape
    )


def read_weights(path: Path, key: str) -> Weights:
    """Reads a generator's weights from any file that holds them.

    The tensors of other programs are renamed, see :mod:`sr_gan.networks.layouts`.

    Raises:
        UserError: the file cannot be read, or another program's network differs from ours; the
            message names the setting ``key``.
    """
    try:
        content = load_tensors(path)
    except UserError as error:
        raise UserError(f"{key}={error}; give a .safetensors, .pth or .ckpt file") from error
    wrapped = (content[name] for name in _WRAPPERS if isinstance(content.get(name), dict))
    state = next(wrapped, content)
    if isinstance(state, dict) and all(isinstance(name, str) for name in state):
        for prefix in _PREFIXES:
            inner = {name[len(prefix) :]: t for name, t in state.items() if name.startswith(prefix)}
            if inner:
                state = inner
                break
    _check_tensors(state, path, key)
    config = _config(path, content)
    return Weights(path, state, config) if config else _foreign(path, state, key)


def _foreign(path: Path, state: dict[str, Tensor], key: str) -> Weights:
    names = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    try:
        config, translated = from_layout(names) or (None, state)
    except ValueError as error:
        reason = complaint(error) if isinstance(error, ValidationError) else error
        raise UserError(f"{key}={path}: {reason}; networks like it cannot be used here") from error
    return Weights(path, translated, config)


def stated_class(
    config: dict[str, Any],
    origin: str,
    allow: Sequence[str] = (),
    advice: str = "allow=PACKAGE adds those of a package of your own",
) -> type[nn.Module]:
    """Returns the class of the generator that a file asks for.

    A file may come from anywhere. Hydra and OmegaConf, which import and call whatever a text names,
    must not see it. The class has to be one of our generators, or to be defined in a package that
    the user allows; no other module is imported.

    Args:
        config: the generator's configuration in the file.
        origin: the setting and the file, for the message of an error.
        allow: packages or modules, whose networks the user allows.
        advice: what the user can do if the file asks for anything else.

    Raises:
        UserError: the file asks for anything else, or the class cannot be imported.
    """
    target = str(config.get("_target_"))
    kind = _bundled_class(target) or _allowed_class(target, allow, origin)
    if kind is None:
        raise UserError(
            f"{origin} wants to build {printable(target)}: allowed are the generators of "
            f"{' and '.join([networks.__name__, *allow])}; {advice}"
        )
    return kind


def stated_arguments(config: dict[str, Any], origin: str) -> dict[str, Any]:
    """Returns the arguments of the generator that a file asks for, which are plain values.

    Raises:
        UserError: an argument is anything else; the message begins with ``origin``.
    """
    arguments = {name: value for name, value in config.items() if name != "_target_"}
    kind = str(config.get("_target_")).rpartition(".")[2]
    for name, value in arguments.items():
        if not is_plain(name, value):
            raise UserError(
                f"{origin} wants to build {printable(kind)} with "
                f"{printable(f'{name}={value}')}: allowed are numbers, words, true, false and null"
            )
    return arguments


def _bundled_class(target: str) -> type[nn.Module] | None:
    room, _, name = target.rpartition(".")
    kind = getattr(networks, name, None) if room == networks.__name__ else None
    return kind if hasattr(kind, "trunk") and hasattr(kind, "reconstruct") else None


def _allowed_class(target: str, allow: Sequence[str], origin: str) -> type[nn.Module] | None:
    module, _, name = target.rpartition(".")
    named = all(part.isidentifier() for part in target.split("."))
    if not named or not _is_within(module, allow):
        return None
    try:
        kind = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # the code of the package can raise anything
        raise UserError(
            f"{origin}: {target} cannot be imported ({printable(error)}): the folder that holds "
            f"{module.partition('.')[0]} must be on PYTHONPATH"
        ) from error
    # The module may have imported other classes, too, which the user has not allowed.
    network = isinstance(kind, type) and issubclass(kind, nn.Module)
    return kind if network and _is_within(kind.__module__, allow) else None


def _is_within(module: str, packages: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def _check_tensors(state: Any, path: Path, key: str) -> None:
    """Refuses what cannot be weights; a few bytes can claim to be a tensor of any size."""
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{key}={path} holds no tensors by name; give another file of weights")
    tensors = list(state.values())
    plain = all(
        x.layout == torch.strided
        and x.device.type == "cpu"
        and (x.is_floating_point() or x.dtype == torch.int64)  # BatchNorm's number of batches
        for x in tensors
    )
    if not plain or sum(x.nbytes for x in tensors) > path.stat().st_size:
        raise UserError(
            f"{key}={path}: its tensors are not plain numbers, or larger than the file; give "
            "another file of weights"
        )


def _config(path: Path, content: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the generator's configuration from the file; None if the file lacks it."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                config = json.loads((file.metadata() or {})["generator"])
        else:
            config = content["sr_gan"]["config"]["generator"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None
