"""Checks a composed configuration before anything is built."""

import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, get_type_hints

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from sr_gan.errors import UserError
from sr_gan.settings.explain import complaint, suggest
from sr_gan.settings.schema import Config, TrainConfig


def check(cfg: DictConfig, schema: type[Config] = TrainConfig) -> dict[str, Any]:
    """Checks a composed configuration, and returns it as a plain, resolved dictionary.

    Raises:
        UserError: a value is missing, has a wrong type or is not allowed, a key is unknown, or two
            settings contradict each other. The message is one line and names the key.
    """
    if cfg.get("stages") == []:
        raise UserError("stages=[]: allowed are [pretrain], [gan] and [pretrain,gan]")
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_missing(error)) from error
    settings = {str(key): value for key, value in dict(plain).items()}  # type: ignore[arg-type]
    try:
        schema(**settings)
    except ValueError as error:
        raise UserError(str(error)) from error
    for name in schema.built:
        if "_target_" not in settings[name]:
            raise UserError(f"{name} is a part of other choices, not one itself: see --help")
    with suppress(TypeError, KeyError):  # a wrong type, which the next check refuses
        schema.check_settings(settings)
    _check_targets(settings, "")  # last, as it imports PyTorch and takes seconds
    return settings


def _missing(error: OmegaConfBaseException) -> str:
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not set: give it on the command line, {error.full_key}=VALUE"
    return str(error).splitlines()[0]


def _check_targets(node: Any, key: str) -> None:
    """Checks every node that has a ``_target_`` against the signature of that class."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            _check_targets(item, f"{key}[{i}]")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_target(node, key)
    for name, value in node.items():
        _check_targets(value, f"{key}.{name}" if key else str(name))


def _check_target(node: dict[str, Any], key: str) -> None:
    try:
        target = get_class(node["_target_"])
    except Exception as error:
        raise UserError(f"{key}._target_={node['_target_']}: {error}") from error
    allowed = dict(_parameters(target))
    for name, value in node.items():
        if name.startswith("_") and name.endswith("_"):
            continue
        if name not in allowed:
            raise UserError(
                f"{key}.{name} is not a setting of {target.__name__}{suggest(name, allowed)}"
            )
        if not _holds_target(value):
            _check_value(value, allowed[name], f"{key}.{name}")


def _parameters(target: type) -> Iterator[tuple[str, Any]]:
    """Yields a constructor's arguments and annotations; ``**kwargs`` go on to a base class."""
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        init = inspect.unwrap(vars(owner)["__init__"])
        try:
            hints = get_type_hints(init)
        except NameError:
            hints = {}
        parameters = list(inspect.signature(init).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                yield parameter.name, hints.get(parameter.name, Any)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _check_value(value: Any, annotation: Any, key: str) -> None:
    try:
        adapter = TypeAdapter(
            annotation, config=ConfigDict(arbitrary_types_allowed=True, strict=True)
        )
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
        return  # an annotation that only a type checker understands
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        names = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        names = re.sub(r"\b(typing|collections\.abc)\.", "", names)
        names = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", names)  # as in Python 3.10
        if isinstance(value, str) and getattr(annotation, "__module__", "").startswith("sr_gan"):
            names += f"; to choose a file of conf/ use GROUP@{key}={value}, see --help"
        raise UserError(complaint(error, key, f"expected {names}")) from error


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_holds_target(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_target(inner) for inner in value)
