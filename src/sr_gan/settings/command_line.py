"""Prepares the arguments of a command line for Hydra: quotes paths, and refuses common slips."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString
from hydra.errors import HydraException

from sr_gan.errors import UserError
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.explain import SETTINGS, no_such_choice
from sr_gan.settings.overrides import parse_overrides
from sr_gan.settings.schema import SCHEMAS, paths

# Settings inside others that are paths, and paths that may refer to other settings by ${...}.
_PATHS = (
    *("data.*_dir", "data.root", "data.url", "bench.output", "bench.trace"),
    *("*.content.*.weights", "callbacks.*.weights"),
)
_TEMPLATES = (
    *("run_dir", "hydra.run.dir", "hydra.sweep.dir"),
    *("callbacks.*.folder", "callbacks.*.path", "callbacks.*.dirpath", "callbacks.*.run_dir"),
    *("logger.*.save_dir", "logger.*.tracking_uri", "trainer.default_root_dir"),
)
# One kind of damage, or a list of what should be kinds.
_KINDS = re.compile(r"degradation=((?:clean|jpeg\d+|noise\d+)|\w+(?:, *\w+)+|\[[\w, ]+\])")
# An item of a list, quoted or plain, with what separates it from the next one.
_ITEM = re.compile(
    r"""\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*(?:,|$)|([^,]*)(?:,|$)""", re.DOTALL
)


def prepared(arguments: Sequence[str], config_name: str) -> list[str]:
    """Returns the arguments of a command with its paths quoted for Hydra's grammar.

    Settings that are paths are taken as they are, whatever characters they contain, unless they are
    ``null``, quoted already, or a list in brackets where a list is allowed. In a sweep (``-m``) a
    comma separates several values.

    Args:
        arguments: the arguments as they were typed.
        config_name: the name of the command's file in conf/.

    Raises:
        UserError: an argument has dashes, null or a number stands in the place of a choice, or a
            sweep lacks its ``-m``.
        HydraException: an argument is not a setting.
    """
    _check_options(arguments)
    sweep = not {"-m", "--multirun", "hydra.mode=MULTIRUN"}.isdisjoint(arguments)
    top = paths(SCHEMAS[config_name])
    if config_name == "evaluate":
        arguments = [part for argument in arguments for part in _kinds(argument, sweep)]
    quoted = [_quoted(argument, top, sweep) for argument in arguments]
    _check_choices(quoted, sweep)
    return options_first(quoted)


def options_first(arguments: Sequence[str]) -> list[str]:
    """Moves ``-m``, ``--config-dir FOLDER`` and the like to the front.

    Python's parser wants all settings in one piece.
    """
    return sorted(arguments, key=lambda each: "=" in each and not each.startswith("-"))


def _kinds(argument: str, sweep: bool) -> list[str]:
    """Returns ``degradation=jpeg75,noise10`` as the two settings that it stands for.

    Raises:
        UserError: it names neither kinds nor a degradation.
    """
    kinds = _KINDS.fullmatch(argument)
    if not kinds or (sweep and re.match(r"\w+,", kinds[1])):
        name = re.fullmatch(r"degradation=([a-zA-Z]\w*)", argument)
        if name and not (conf_dir() / "degradation" / f"{name[1]}.yaml").exists():
            allowed = ["bicubic", "kinds", "or a list of kinds such as jpeg75,noise10"]
            raise UserError(no_such_choice("degradation", name[1], "degradation", allowed))
        return [argument]
    return ["degradation=kinds", f"degradation.names=[{kinds[1].strip('[]')}]"]


def _quoted(argument: str, top: dict[str, bool], sweep: bool) -> str:
    """Returns an argument such as ``input=My photo (1).jpg`` quoted for Hydra's grammar.

    ``top`` are the settings of the command that are paths, and whether they may be a list.
    """
    name, equals, value = argument.partition("=")
    key = name.lstrip("+")
    if not _is_path(key, top) or not equals or value in ("", "null"):
        return argument
    parsed = _parsed(value)
    template = _matches(key, _TEMPLATES)
    if parsed is not None and isinstance(parsed._value, QuotedString):
        home = value[1] == "~" and template
        return f"{name}={value[0]}{os.path.expanduser(value[1:])}" if home else argument  # noqa: PTH111
    items = _items(value) if top.get(key, False) and not os.path.lexists(value) else None
    if items is not None and not sweep:
        return f"{name}=[{','.join(items)}]"
    parts = [value]
    if sweep and not key.startswith("hydra."):
        if parsed is not None and parsed.is_sweep_override():
            return argument
        parts = value.split(",")
    return f"{name}={','.join(_quote(part, template) for part in parts)}"


def _is_path(key: str, top: Collection[str]) -> bool:
    return key in top or _matches(key, _PATHS) or _matches(key, _TEMPLATES)


def _matches(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _items(value: str) -> list[str] | None:
    """Returns the items of a list of paths, quoted for Hydra's grammar; None if it is no list.

    Commas separate items, unless these are quoted. Blanks around an item do not count, unless there
    is a file of that name.
    """
    if not re.fullmatch(r"\[.*\]", value, re.DOTALL):
        return None
    found = _ITEM.findall(value[1:-1])
    if any(_closes_more(plain) for _, plain in found):  # the pattern [ab]*[cd]
        return None
    items = []
    for quoted, plain in found:
        text = plain if os.path.lexists(plain) else plain.strip()
        items.append(quoted or (text and _quote(text, template=False)))
    return [item for item in items if item]


def _closes_more(text: str) -> bool:
    """Whether a bracket is closed that was not opened before."""
    depths = accumulate((character == "[") - (character == "]") for character in text)
    return any(depth < 0 for depth in depths)


def _parsed(value: str) -> Override | None:
    """Parses a value by Hydra's grammar; None if the grammar cannot read it."""
    try:
        return OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return None


def _quote(value: str, template: bool) -> str:
    """Quotes a text for Hydra's grammar, and for OmegaConf unless the text is a template.

    The paths that are templates are Hydra's and Lightning's, which do not know a leading ``~``.
    """
    backslashes = r"\1\1\\"  # those before a character that is escaped count twice
    if template:
        value = os.path.expanduser(value)  # noqa: PTH111  a Path would drop a slash at the end
    else:
        value = re.sub(r"(\\*)(\$\{)", backslashes + r"\2", value)
    value = re.sub(r"(\\*)(')", backslashes + r"\2", value)
    return "'" + re.sub(r"(\\*)$", r"\1\1", value, count=1) + "'"


def _check_options(arguments: Sequence[str]) -> None:
    """Refuses ``--epochs=3``, to which Hydra responds with a list of its own options."""
    options = tuple(get_args_parser()._option_string_actions)
    for argument in arguments:
        name = argument.partition("=")[0]
        if name.startswith("-") and not any(option.startswith(name) for option in options):
            raise UserError(f"{argument}: {SETTINGS}")


def _check_choices(arguments: Sequence[str], sweep: bool) -> None:
    """Refuses ``logger=null`` and the like, to which Hydra responds with a traceback."""
    for override in parse_overrides(arguments):
        group = override.key_or_group
        if override.is_delete() or not (conf_dir() / group).is_dir():
            continue
        for name in _names(override):
            if name is None or isinstance(name, (bool, int, float)):
                text = "null" if name is None else str(name).lower()
                raise UserError(no_such_choice(override.get_key_element(), text, group))
        if group == "experiment" and isinstance(override.value(), list):
            raise UserError(
                f"{override.input_line}: give one experiment; to train several, one after the "
                f"other, add -m and leave out the brackets"
            )
        if group == "experiment" and not sweep and _is_sweep(str(override.value())):
            raise UserError(
                f"{override.input_line} is a sweep of several runs: add -m, as in "
                f"python -m sr_gan.train -m {override.input_line}"
            )


def _names(override: Override) -> Iterator[object]:
    """The choices in an override, which can be one, a list, or several of them in a sweep."""
    value = override.value()
    for one in value.list if isinstance(value, ChoiceSweep) else [value]:
        yield from one if isinstance(one, list) else [one]


def _is_sweep(experiment: str) -> bool:
    file = conf_dir() / "experiment" / f"{experiment}.yaml"
    return file.is_file() and re.search(r"^  sweeper:", file.read_text(), re.MULTILINE) is not None
