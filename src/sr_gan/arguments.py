"""Checks the arguments of a constructor against its annotations, and names types for them.

The settings of a command are checked against the same annotations before PyTorch is loaded, see
:mod:`sr_gan.settings.signatures`.
"""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, ConfigDict, Field, validate_call

from sr_gan.files import user_path

T = TypeVar("T", bound=float)
F = TypeVar("F", bound=Callable[..., None])

CHECKED = ConfigDict(arbitrary_types_allowed=True, strict=True, allow_inf_nan=False)


def checked(constructor: F) -> F:
    """Decorates a constructor, which then checks its arguments against its annotations.

    NumPy's numbers and arrays, and paths, count as Python's numbers, lists and texts.

    Raises:
        pydantic.ValidationError: an argument is wrong; this is a ValueError.
    """
    validated = validate_call(config=CHECKED)(constructor)

    @wraps(constructor)
    def construct(*args: Any, **kwargs: Any) -> None:
        named = {name: _plain(value) for name, value in kwargs.items()}
        validated(args[0], *map(_plain, args[1:]), **named)

    return cast(F, construct)


def is_plain(name: Any, value: Any) -> bool:
    """Whether a generator's argument can be kept in a file of weights.

    The value must be a number, a word, a boolean or None, and neither it nor the name may mean
    something to Hydra or OmegaConf.
    """
    words = isinstance(name, str) and (value is None or type(value) in (bool, int, float, str))
    return words and not name.startswith("_") and "${" not in f"{name}{value}"


def _plain(value: Any) -> Any:
    if type(value).__module__ == "numpy":
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def _ascending(bounds: Sequence[T]) -> Sequence[T]:
    if bounds[0] > bounds[1]:
        raise ValueError("must be [lowest, highest]")
    return tuple(bounds)


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd")
    return size


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("allowed are auto, cpu, cuda and cuda:N")
    return name


def _folder(path: str) -> str:
    folder = user_path(path)
    if not path:  # as of $PHOTOS, if it is not set
        raise ValueError("is empty: give a folder of photos")
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise ValueError(f"{what}: give a folder of photos")
    return path


def _file_or(*words: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in words and not user_path(value).is_file():
            raise ValueError(f"does not exist: give a file, or {' or '.join(words)}")
        return value

    return AfterValidator(check)


def _kind(name: str) -> str:
    if not KINDS.fullmatch(name):
        raise ValueError(
            "allowed are clean, jpegN with a quality from 1 to 100, and noiseN with 1 to 99 grey "
            "levels, such as jpeg75 and noise10"
        )
    return name


KINDS = re.compile(r"clean|jpeg([1-9]\d?|100)|noise([1-9]\d?)")  # of damage to LR images
Kernel = Literal["bicubic", "lanczos"]
# The extensions of results, which :data:`sr_gan.images.write.FORMATS` describes.
Written = Literal["png", "jpg", "jpeg", "webp", "avif", "tif", "tiff", "bmp"]
Format = Literal["onnx", "ncnn", "spandrel", "basicsr", "pt2", "openvino", "web"]  # of exports
Device = Annotated[str, AfterValidator(_device)]
Scale = Literal[2, 4, 8]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
OddSize = Annotated[int, Field(ge=1), AfterValidator(_odd)]
Pair = Annotated[Sequence[T], Field(min_length=2, max_length=2)]
Range = Annotated[Sequence[T], Field(min_length=2, max_length=2), AfterValidator(_ascending)]

Kind = Annotated[str, AfterValidator(_kind)]
PhotoFolder = Annotated[str, AfterValidator(_folder)]
VGGWeights = Annotated[str, _file_or("torchvision", "random")]
LPIPSWeights = Annotated[str, _file_or("download")]
NIQEParameters = Annotated[str, _file_or("fitted")]
