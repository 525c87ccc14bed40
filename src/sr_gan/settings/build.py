"""Builds objects from the nodes of a configuration; no other module calls ``instantiate``."""

import re
from collections.abc import Callable
from typing import Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from sr_gan.errors import UserError
from sr_gan.settings.explain import complaint


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiates a node and everything inside it.

    Args:
        node: a node of the configuration that has a ``_target_``.
        arguments: further arguments of the constructor, which were made elsewhere.

    Raises:
        UserError: a constructor refused its settings; the message names the key.
    """
    key = node._get_full_key("")
    try:
        # Hydra would merge the arguments into the configuration; a partial takes them as they are.
        made = hydra.utils.instantiate(_literal(node), _convert_="all", _partial_=True)
        return made(**arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if not _is_refusal(cause):
            raise cause or error from None
        inner = str(error).rsplit("full_key: ", 1)
        raise UserError(_refusal(inner[1].strip() if len(inner) > 1 else key, cause)) from error
    except Exception as error:
        if not _is_refusal(error):
            raise
        raise UserError(_refusal(key, error)) from error


def build_all(nodes: DictConfig, stage: str) -> list[Any]:
    """Builds each node of a group of named nodes for a stage of a run.

    Args:
        nodes: nodes by name; one that is ``null`` is switched off.
        stage: the name that takes the place of ``{stage}`` in their settings.

    Raises:
        UserError: a constructor refused its settings, see :func:`build`.
    """
    return [
        build(_replaced(node, fill_stage(OmegaConf.to_container(node), stage)))
        for node in nodes.values()
        if node is not None
    ]


def fill_stage(settings: Any, stage: str) -> Any:
    """Returns plain settings, however nested, with a stage's name in place of ``{stage}``."""
    return map_texts(settings, lambda text: text.replace("{stage}", stage))


def map_texts(settings: Any, change: Callable[[str], str]) -> Any:
    """Returns plain settings, however nested, with each text in them changed."""
    if isinstance(settings, dict):
        return {key: map_texts(value, change) for key, value in settings.items()}
    if isinstance(settings, list):
        return [map_texts(value, change) for value in settings]
    return change(settings) if isinstance(settings, str) else settings


def _literal(node: DictConfig) -> DictConfig:
    """Resolves a node, and escapes each ``${`` that is left, such as in the name of a folder.

    Hydra evaluates a text twice when it instantiates a node.
    """
    plain = OmegaConf.to_container(node, resolve=True)
    return _replaced(node, map_texts(plain, lambda text: _escaped(_escaped(text))))


def _escaped(text: str) -> str:
    # OmegaConf takes backslashes before an interpolation for escapes, too.
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def _replaced(node: DictConfig, settings: Any) -> DictConfig:
    """Returns other settings in the place of a node."""
    return DictConfig(settings, key=node._key(), parent=node._get_parent())


def _refusal(key: str, error: BaseException | None) -> str:
    return complaint(error, key) if isinstance(error, ValidationError) else f"{key}: {error}"


def _is_refusal(error: BaseException | None) -> bool:
    """Whether a constructor refused its arguments; Lightning raises an exception of its own."""
    return isinstance(error, (ValueError, TypeError, UserError)) or (
        type(error).__name__ == "MisconfigurationException"
    )
