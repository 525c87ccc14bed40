"""Writes the help text on a command's settings from the descriptions in its schema."""

import textwrap
from typing import Any, Literal, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from pydantic.fields import FieldInfo

from sr_gan.settings import schema

_LEFT, _WIDTH = 34, 100  # columns before the descriptions, and of a line


def describe_settings(name: str, *, _root_: DictConfig) -> str:
    """Returns lines ``key=VALUES  description`` for the settings of a command.

    Args:
        name: the name of the schema, such as ``UpscaleConfig``.
        _root_: the composed configuration, which holds the defaults. OmegaConf passes it.
    """
    command: type[schema.Config] = getattr(schema, name)
    own_first = dict.fromkeys([*vars(command)["__annotations__"], *command.model_fields])
    fields = {key: command.model_fields[key] for key in own_first if key in command.model_fields}
    return "\n".join(
        _line(key, field, None if OmegaConf.is_missing(_root_, key) else _root_[key])
        for key, field in fields.items()
        if field.description
    )


def _line(key: str, field: FieldInfo, default: Any) -> str:
    text = str(field.description)
    if isinstance(default, (bool, int, float, str)):
        shown = str(default).lower() if isinstance(default, bool) else default
        text += f" Default: {shown}."
    left = f"  {key}={_values(field)}"
    lines = textwrap.wrap(text, _WIDTH - _LEFT)
    beside = len(left) <= _LEFT - 2
    first = [left.ljust(_LEFT) + lines.pop(0)] if beside else [left]
    return "\n".join([*first, *(" " * _LEFT + line for line in lines)])


def _values(field: FieldInfo) -> str:
    """Returns what can be given: the examples, the choices, or a word for the type."""
    if field.examples:
        return "|".join(map(str, field.examples))
    if get_origin(field.annotation) is Literal:
        return "|".join(map(str, get_args(field.annotation)))
    return "true|false" if field.annotation is bool else "VALUE"
