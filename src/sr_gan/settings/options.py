"""Settings that commands share: how to enlarge an image, and how large the result should be."""

import os
from collections.abc import Mapping, Sequence
from glob import glob
from math import floor
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from sr_gan.arguments import Device
from sr_gan.files import user_path
from sr_gan.settings.explain import complaint

Backend = Literal["torch", "openvino"]
Precision = Literal["auto", "fp32", "fp16", "bf16", "int8"]
Smoothing = Literal["plain", "guided"]
S = TypeVar("S", bound="Settings")

_PRECISIONS = {
    "torch": ("auto", "fp32", "fp16", "bf16"),
    "openvino": ("auto", "fp32", "bf16", "int8"),
}


PATH: Any = {"path": True}  # marks the field of a path


def as_list(value: Any) -> Any:
    """Returns a text as a list, for settings that take one or several.

    Commas separate items, unless there is a file of that name, or one that fits the pattern.
    """
    if not isinstance(value, str):
        return value
    named = os.path.lexists(user_path(value)) or glob(value)  # noqa: PTH207  it may be absolute
    return [value] if named else value.split(",")


def option(description: str, example: str, default: Any = ...) -> Any:
    """Returns a field with its help text, and an example of what can be given."""
    return Field(default, description=description, examples=[example])


def path(description: str, example: str, default: Any = ...) -> Any:
    """Returns a field for a path, which may contain any characters."""
    return Field(default, description=description, examples=[example], json_schema_extra=PATH)


class Settings(BaseModel):
    """Settings by name, each with its type and its description.

    Raises:
        ValueError: a name is unknown, or a value is not allowed; the message is one line.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def among(cls: type[S], settings: Mapping[str, Any]) -> S:
        """Picks these settings out of all settings of a command."""
        return cls(**{name: settings[name] for name in cls.model_fields if name in settings})

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError(complaint(error, allowed=type(self).model_fields)) from None


class Options(Settings):
    """How to enlarge an image.

    Raises:
        ValueError: a value is not allowed; the message names it.
    """

    device: Device = Field(
        default="auto",
        description="Where to compute. auto takes a GPU if there is one.",
        examples=["auto|cpu|cuda|cuda:N"],
    )
    backend: Backend = Field(
        default="torch",
        description="The library that computes. openvino is faster on a CPU and needs the extra "
        "sr_gan[openvino].",
    )
    precision: Precision = Field(
        default="auto",
        description="The type that the network computes in. auto is fp16 on a GPU; on a CPU that "
        "computes in bf16 it is bf16, with PyTorch for 8-bit images only; otherwise fp32. int8 "
        "needs backend=openvino.",
    )
    tile: Annotated[int, Field(ge=16)] | None = Field(
        default=None,
        description="The side of a tile in pixels of the input. Without it a tile takes what fits "
        "into the free memory.",
        examples=["N"],
    )
    x8: bool = Field(
        default=False,
        description="Takes the mean over eight flips and rotations: eight times the time, and a "
        "little more PSNR.",
    )
    smooth_sigma: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="The standard deviation in pixels of a Gaussian filter on the result; 0 is "
        "off.",
        examples=["0.8"],
    )
    smooth: Smoothing = Field(
        default="plain",
        description="What that filter smooths: everything, or with guided all but edges.",
    )
    consistency: bool = Field(
        default=False,
        description="Corrects the result by back-projection, so that it reduces to the input.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Options":
        allowed = _PRECISIONS[self.backend]
        if self.precision not in allowed:
            raise ValueError(
                f"precision={self.precision}: allowed with backend={self.backend} are "
                f"{', '.join(allowed)}"
            )
        if self.backend == "openvino" and self.device.startswith("cuda"):
            raise ValueError(
                f"device={self.device}: backend=openvino computes on the CPU; use backend=torch"
            )
        if self.smooth != "plain" and not self.smooth_sigma:
            raise ValueError(f"smooth={self.smooth}: set the size of the filter, smooth_sigma=0.8")
        return self


class Size(Settings):
    """How large a result should be. Without any value it has the size that the network makes.

    Raises:
        ValueError: a value is not positive, or two of them contradict each other.
    """

    outscale: Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)] | None = Field(
        default=None,
        description="The factor between the input and the result, at most that of the model.",
        examples=["1.5"],
    )
    width: PositiveInt | None = Field(
        default=None,
        description="The width of the result in pixels. The height follows, unless it is given.",
        examples=["1920"],
    )
    height: PositiveInt | None = Field(
        default=None,
        description="The height of the result in pixels. The width follows, unless it is given.",
        examples=["1080"],
    )
    longest: PositiveInt | None = Field(
        default=None,
        description="The longer side of the result in pixels. The other side follows.",
        examples=["3840"],
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "Size":
        given = [name for name in Size.model_fields if getattr(self, name) is not None]
        if len(given) > 1 and set(given) != {"width", "height"}:
            values = " and ".join(f"{name}={getattr(self, name):.12g}" for name in given)
            raise ValueError(
                f"{values}: give one of outscale, width, height and longest, or width and height "
                "together"
            )
        return self

    def describe(self) -> str:
        """Returns the values that are given, as ``KEY=VALUE``."""
        given = {name: getattr(self, name) for name in Size.model_fields}
        return " ".join(f"{name}={value:.12g}" for name, value in given.items() if value)

    def of(self, shape: Sequence[int], scale: int) -> tuple[int, int]:
        """Returns the height and the width of the result.

        Args:
            shape: the height and the width of the input; further numbers are ignored.
            scale: the network's scale factor, which the result cannot exceed.

        Raises:
            ValueError: the result would be larger than what the network makes.
        """
        height, width = shape[:2]
        if self.width and self.height:
            size = self.height, self.width
        else:
            factor = (
                self.outscale
                or (self.width and self.width / width)
                or (self.height and self.height / height)
                or (self.longest and self.longest / max(height, width))
                or scale
            )
            size = max(1, floor(height * factor + 0.5)), max(1, floor(width * factor + 0.5))
        if size[0] > height * scale or size[1] > width * scale:
            raise ValueError(
                f"{self.describe()}: {width}x{height} pixels become {width * scale}x"
                f"{height * scale} at most with this model, which enlarges by {scale}"
            )
        return size


class About(Settings):
    """What its author says about a model, for its card."""

    name: str | None = path(
        "The name of the model. Without it that of its run or its file.", "NAME", None
    )
    author: str | None = path("Who made the model.", "NAME", None)
    license: str | None = option(
        "The licence of the weights, as its SPDX identifier. It depends on what the model was "
        "trained on.",
        "MIT|CC-BY-4.0",
        None,
    )
    metrics: str | None = path(
        "A table of scores that evaluate wrote as JSON, or a folder of them. Without it those of "
        "this model are taken from its run and from evaluations/, if they are newer than the "
        "weights.",
        "FOLDER|FILE",
        None,
    )
