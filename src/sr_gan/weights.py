"""Generator weights in a file: saved with what rebuilds the network, loaded from any run."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.files import load_tensors

_PREFIX = "generator."


def save_generator(generator: nn.Module, config: dict[str, Any], path: Path) -> None:
    """Writes the weights as ``.safetensors`` with the generator's configuration as metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        key: value.detach().cpu().contiguous() for key, value in generator.state_dict().items()
    }
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
        origin: a ``.safetensors`` or ``.pth`` file, a ``.ckpt`` of a run, or a folder of a run
            or of several, of which the newest generator is taken.

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
        files = path.rglob("checkpoints/*/generator.safetensors")
        newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
        if newest is None:
            raise UserError(
                f"init_from={path}: no stage of a run in it is finished (no checkpoints/*/"
                "generator.safetensors): give another run's folder or a weights file"
            )
        return newest
    if not path.is_file():
        raise UserError(
            f"init_from={path} does not exist: give a .safetensors, .pth or .ckpt file, or the "
            "folder of a run, for example of experiment=srresnet"
        )
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content = load_tensors(path)
    except UserError as error:
        raise UserError(f"init_from={error}; give another file of weights") from error
    state: dict[str, Tensor] = content.get("state_dict", content)
    inner = {key[len(_PREFIX) :]: value for key, value in state.items() if key.startswith(_PREFIX)}
    return inner or state
