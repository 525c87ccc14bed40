"""Prepares the arguments of a command line for Hydra."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import ChoiceSweep

from sr_gan.errors import UserError
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.explain import no_such_choice
from sr_gan.settings.overrides import parse_overrides
from sr_gan.settings.schema import SCHEMAS, paths


def prepared(arguments: Sequence[str], config_name: str) -> list[str]:
    """Returns the arguments of a command with its paths quoted for Hydra's grammar.

    Settings that are paths are taken as they are, whatever characters they contain, unless they are
    a list in brackets.

    Args:
        arguments: the arguments as they were typed.
        config_name: the name of the command's file in conf/.

    Raises:
        UserError: null or a number stands in the place of a choice.
        HydraException: an argument is not a setting.
    """
    verbatim = paths(SCHEMAS[config_name])
    quoted = [_quoted(argument, verbatim) for argument in arguments]
    _check_choices(quoted)
    return quoted


def _quoted(argument: str, verbatim: tuple[str, ...]) -> str:
    """Returns an argument such as ``input=My photo (1).jpg`` quoted for Hydra's grammar."""
    key, equals, value = argument.partition("=")
    if key not in verbatim or not equals or value[:1] in ("", "[", "'", '"') or value == "null":
        return argument
    # Inside quotes, backslashes count only before a quote: they are doubled, the quote is escaped.
    # Backslashes at the end, before the closing quote, are doubled, too; chr(92) is a backslash.
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)
    trailing = len(value) - len(value.rstrip("\\"))
    return f"{key}='{value}{chr(92) * trailing}'"


def _check_choices(arguments: Sequence[str]) -> None:
    """Refuses ``logger=null`` and the like, to which Hydra responds with a traceback.

    Raises:
        UserError: null or a number stands in the place of a choice.
    """
    for override in parse_overrides(arguments):
        group, value = override.key_or_group, override.value()
        values = value.list if isinstance(value, ChoiceSweep) else [value]
        if override.is_delete() or not (conf_dir() / group).is_dir():
            continue
        for name in values + [part for part in values if isinstance(part, list) for part in part]:
            if name is None or isinstance(name, (bool, int, float)):
                text = "null" if name is None else str(name).lower()
                raise UserError(no_such_choice(override.get_key_element(), text, group))
