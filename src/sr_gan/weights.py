"""Generator weights in a file: saved with what rebuilds the network, loaded from any of our files."""

import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sr_gan.errors import UserError

_PREFIX = "generator."


def save_generator(generator: nn.Module, config: dict[str, Any], path: Path) -> None:
    """Writes the weights as ``.safetensors`` with the generator's configuration as metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in generator.state_dict().items()}
    temporary = path.with_suffix(".part")
    try:
        save_file(state, temporary, {"format": "pt", "generator": json.dumps(config)})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_generator(generator: nn.Module, origin: str) -> None:
    """Loads weights, and nothing else, into a generator of the same architecture.

    Args:
        generator: the network that receives them.
        origin: a ``.safetensors`` or ``.pth`` file, a ``.ckpt`` of a run, or a run folder, of
            which the last stage's generator is taken.

    Raises:
        UserError: the file is missing, cannot be read, or holds another architecture.
    """
    path = _locate(Path(origin).expanduser())
    state = _read(path)
    try:
        generator.load_state_dict(state)
    except RuntimeError as error:
        expected = generator.state_dict()
        wrong = sorted(
            key
            for key in expected.keys() | state.keys()
            if key not in expected or key not in state or expected[key].shape != state[key].shape
        )
        raise UserError(
            f"init_from={origin}: the weights are of another generator than "
            f"{type(generator).__name__} as configured ({len(wrong)} tensors differ, first "
            f"{wrong[0]}): use the generator settings of the run that made them"
        ) from error


def _locate(path: Path) -> Path:
    if path.is_dir():
        files = sorted(path.glob("checkpoints/*/generator.safetensors"), key=lambda p: p.stat().st_mtime)
        if not files:
            raise UserError(
                f"init_from={path}: the folder holds no checkpoints/*/generator.safetensors: "
                "give a finished run's folder or a weights file"
            )
        return files[-1]
    if not path.is_file():
        raise UserError(
            f"init_from={path} does not exist: give a .safetensors, .pth or .ckpt file, or a run folder"
        )
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"init_from={path} cannot be read: {reason}") from error
    state: dict[str, Tensor] = content.get("state_dict", content)
    inner = {key[len(_PREFIX) :]: value for key, value in state.items() if key.startswith(_PREFIX)}
    return inner or state
