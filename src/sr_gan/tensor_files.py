"""Downloads and reads files of tensors without executing any code that they contain."""

from pathlib import Path
from typing import Any
from urllib.error import URLError
from zipfile import ZIP_STORED, ZipFile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sr_gan.errors import UserError

_ZIP, _PICKLE = b"PK", b"\x80"  # how files begin that torch.save writes; the latter before 1.6


def load_tensors(path: Path) -> dict[str, Any]:
    """Reads a ``.safetensors`` file, or a file written by ``torch.save``, onto the CPU.

    Only tensors and plain data are unpickled. A checkpoint is compared with its checksums, and then
    memory-mapped, not copied.

    Raises:
        UserError: the file cannot be read, or does not contain a dictionary. The text is never
            PyTorch's, which advises to load the file unsafely.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        is_zip = _check(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except UserError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0]
        raise UserError(f"{path} cannot be read: {reason}") from error
    except Exception as error:  # a file that is none makes the unpickler raise anything
        raise UserError(
            f"{path} cannot be read: it holds more than tensors and plain data, or is damaged"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    return content


def cached(url: str) -> Path:
    """Returns the file in torch's cache to which a URL is downloaded."""
    return Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])


def by_hand(url: str, setting: str) -> str:
    """Returns what one can do instead of a download; ``setting`` names a file."""
    return f"fetch {url} by hand to {cached(url)}, or name a file with {setting}"


def download(url: str, name: str, setting: str) -> dict[str, Tensor]:
    """Returns the weights of a network of torchvision, and keeps them in torch's cache.

    Raises:
        UserError: the download failed; it says what to do, see :func:`by_hand`.
    """
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        what = f"{name}'s weights could not be downloaded ({error})"
        raise UserError(f"{what}: {by_hand(url, setting)}") from error
    return state


def _check(path: Path) -> bool:
    """Whether an intact file is a zip file; one of torch before 1.6 is none, and not mappable."""
    with path.open("rb") as file:
        start = file.read(2)
    if not start.startswith((_ZIP, _PICKLE)):
        raise UserError(f"{path} is not a file of weights")
    if start != _ZIP:
        return False
    try:
        with ZipFile(path) as parts:
            infos = parts.infolist()
            names = {info.filename.rpartition("/")[2] for info in infos}
            # PyTorch compresses nothing, so that a small file cannot unpack to a large one.
            plain = all(info.compress_type == ZIP_STORED for info in infos)
            plain = plain and sum(info.file_size for info in infos) <= path.stat().st_size
            whole = plain and parts.testzip() is None
    except Exception as error:  # zipfile raises errors of many types, too
        raise UserError(f"{path} is damaged, or cut off") from error
    if not plain or "data.pkl" not in names or "constants.pkl" in names:  # the latter: TorchScript
        raise UserError(f"{path} is not a file of weights")
    if not whole:
        raise UserError(f"{path} is damaged: its content differs from its checksums")
    return True
