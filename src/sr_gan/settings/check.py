"""Checks a composed configuration before anything is built."""

from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from sr_gan.arguments import CHECKED
from sr_gan.errors import UserError
from sr_gan.settings.explain import complaint, suggest
from sr_gan.settings.schema import Config, TrainConfig, paths
from sr_gan.settings.signatures import is_own, parameters


def check(
    cfg: DictConfig, schema: type[Config] = TrainConfig, foreign: bool = True
) -> dict[str, Any]:
    """Checks a composed configuration, and returns it as a plain, resolved dictionary.

    Args:
        cfg: the configuration.
        schema: the top level of the command's configuration.
        foreign: whether to check the arguments of classes of other packages, too. It takes seconds,
            as it imports PyTorch.

    Raises:
        UserError: a value is missing, has a wrong type or is not allowed, a key is unknown, or two
            settings contradict each other. The message is one line and names the key.
    """
    if cfg.get("stages") == []:
        raise UserError("stages=[]: allowed are [pretrain], [gan] and [pretrain,gan]")
    try:
        plain: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is not set: give it on the command line, {key}=VALUE") from error
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    try:
        settings = schema(**plain).model_dump()
    except ValueError as error:
        raise UserError(str(error)) from error
    for name in paths(schema):
        if settings[name] == "" or (isinstance(settings[name], list) and "" in settings[name]):
            raise UserError(f"{name} is empty: give a path, {name}=PATH")
    for name in schema.built:
        if "_target_" not in settings[name]:
            raise UserError(f"{name} is a part of other choices, not one itself: see --help")
    # The data come first, as other nodes refer to their settings.
    _check_targets({"data": settings.get("data"), **settings}, "", own=True)
    schema.check_settings(settings)
    if foreign:
        _check_targets(settings, "", own=False)
    return settings


def _check_targets(node: Any, key: str, own: bool) -> None:
    """Checks the nodes of our own classes, or of those of others, in settings however nested."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            _check_targets(item, f"{key}[{i}]", own)
    if not isinstance(node, dict):
        return
    if "_target_" in node and is_own(node["_target_"]) == own:
        check_target(node, key)
    for name, value in node.items():
        _check_targets(value, f"{key}.{name}" if key else str(name), own)


def check_target(node: dict[str, Any], key: str) -> None:
    """Checks a node that has a ``_target_`` against the signature of its class.

    Raises:
        UserError: the class does not exist, or a setting is not one of its arguments or is outside
            its limits.
    """
    try:
        allowed = parameters(node["_target_"])
    except Exception as error:  # the code of a package can raise anything
        hint = "; is its folder on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{key}._target_={node['_target_']}: {reason}{hint}") from error
    for name, value in node.items():
        if name.startswith("_") and name.endswith("_"):
            continue
        if name not in allowed:
            raise UserError(
                f"{key}.{name} is not a setting of "
                f"{node['_target_'].rpartition('.')[2]}{suggest(name, allowed)}"
            )
        if not _holds_target(value):
            _check_value(value, allowed[name], f"{key}.{name}")


def _check_value(value: Any, annotation: Any, key: str) -> None:
    try:
        adapter = TypeAdapter(annotation, config=CHECKED)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
        return  # an annotation that only a type checker understands
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        text = complaint(error, key)
        if isinstance(value, str) and getattr(annotation, "__module__", "").startswith("sr_gan"):
            text += f"; to choose a file of conf/ use GROUP@{key}={value}, see --help"
        raise UserError(text) from error


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_holds_target(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_target(inner) for inner in value)
