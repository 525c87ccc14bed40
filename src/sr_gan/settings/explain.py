"""Explains an error in one line, which names the key, value or file, and what is allowed."""

import difflib
import errno
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from sr_gan.errors import UserError
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.extras import explain_missing

_LOCKED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = {  # for pydantic's types of errors
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list, such as [1,2]",
    "tuple_type": "a list, such as [1,2]",
    "dict_type": "settings by name, such as {a: 1}",
    "mapping_type": "settings by name, such as {a: 1}",
}
SETTINGS = "settings are KEY=VALUE or GROUP=CHOICE, without dashes, see --help"
_ENDED = "a process that reads photos was ended, as a rule because memory is full"
_OF_FOLDERS = ("train_dir", "valid_dir", "valid_fraction", "train_lr_dir", "valid_lr_dir")
_RESOLVING = "UserError raised while resolving interpolation: "


def explain(error: Exception) -> str:
    """Returns one line on an error of ours, of the system, of Hydra or of OmegaConf."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, UserError):
        inner = inner.__cause__
    if inner is not None:
        return str(inner)
    if isinstance(error, ConnectionResetError | EOFError):
        return f"{_ENDED}: close other programs"
    if isinstance(error, OSError) and error.strerror:
        hint = "; choose another folder with hydra.run.dir=FOLDER" if error.errno in _LOCKED else ""
        return f"{error.filename or 'writing'}: {error.strerror}{hint}"
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        missing = explain_missing(name) if group == "hydra/launcher" else None
        return missing or no_such_choice(group, name, group, error.options)
    if isinstance(error, OverrideParseException):
        return _explain_argument(str(error.override))
    if isinstance(error, ConfigCompositionException):
        return _explain_composition(error)
    if isinstance(error, OmegaConfBaseException):  # raised in a resolver, such as one of ours
        text = str(error).splitlines()[0]
        where = f"{error.full_key}: " if error.full_key and not text.startswith(_RESOLVING) else ""
        return where + text.removeprefix(_RESOLVING)
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


@contextmanager
def memory_advice(cfg: DictConfig) -> Iterator[None]:
    """Names the settings of a training run that save memory, if memory is full.

    It can be that of a device, that of the machine, whose system may then end a process of the
    loader, or the memory that such processes share. The error of a full disk that names no file, as
    that of TensorBoard's thread, gets the name of the run's folder.

    Raises:
        UserError: the code inside ran out of memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError, EOFError) as error:
        from sr_gan.devices import out_of_memory, out_of_shared_memory, worker_ended

        fewer = f"set data.workers below {cfg.data.workers}, or to 0"
        if out_of_shared_memory(error):
            reason = (
                f"shared memory (/dev/shm) is full: {fewer}, or make it larger, as with "
                "docker run --shm-size=8g"
            )
        elif worker_ended(error):
            reason = f"{_ENDED}: {fewer}, or close other programs"
        elif out_of_memory(error):
            reason = (
                f"memory is full: set data.batch_size below {cfg.data.batch_size}, data.crop below "
                f"{cfg.data.crop}, gan.accumulate above {cfg.gan.accumulate}, or data.valid_crop "
                "to validate on less of a photo"
            )
        else:
            if isinstance(error, OSError) and error.errno in _FULL and not error.filename:
                error.filename = cfg.get("run_dir")
            raise
        raise UserError(reason) from error


def _explain_argument(argument: str) -> str:
    key, equals, _ = argument.partition("=")
    if not equals and Path(argument).exists():
        return (
            f"{argument}: name the setting that it is for, such as input={argument} or "
            f"data.train_dir={argument}, see --help"
        )
    if not equals or not re.match(r"[\w+~]", key):
        return f"{argument}: {SETTINGS}"
    return (
        f"{argument}: a value with brackets, quotes, commas or unusual characters must be quoted, "
        f"inside the quotes of the shell, too: \"{key}='VALUE'\""
    )


def no_such_choice(key: str, name: str, group: str, allowed: Sequence[str] | None = None) -> str:
    """Returns a message that names the allowed choices, by default those of ``group`` in conf/."""
    allowed = allowed or sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    text = f"{key}={name}: no such choice (allowed: {', '.join(allowed)})"
    damage = re.fullmatch(r"(jpeg|noise)(\d+)", name) if key == "degradation" else None
    if damage:
        setting = {
            "jpeg": "jpeg degradation.jpeg_quality",
            "noise": "custom degradation.noise_sigma",
        }
        text += f"; try degradation={setting[damage[1]]}=[{damage[2]},{damage[2]}]"
    return text


def _explain_composition(error: ConfigCompositionException) -> str:
    cause: Any = error.__cause__
    node = getattr(cause, "parent_node", None)
    if getattr(cause, "full_key", None) and isinstance(node, DictConfig):
        group = cause.full_key.removesuffix(str(cause.key))
        return f"{cause.full_key} is not a setting{_elsewhere(cause.full_key, node, group)}"
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    several = re.match(r"Ambiguous value for argument '(.+?)=(.*?)' 1\. ", text)
    if several:
        key, values = several.groups()
        return (
            f"{key}={values}: give one value, or a list in brackets where one is allowed, "
            f"{key}=[{values}]; a training with -m runs once for each value"
        )
    refused = re.match(r"Could not override '(\S+)'\.( Did you mean to override (.*)\?)?", text)
    if refused and refused[2]:
        return f"{refused[1]} is not a choice by itself: choose {refused[3]}"
    if refused:
        return f"{refused[1]} is not a choice of this command, see --help"
    if cause is not None and str(cause).splitlines()[0] not in text:
        text += f" ({str(cause).splitlines()[0]})"
    return text.split(" To append to your default list")[0]


def _elsewhere(key: str, node: DictConfig, group: str) -> str:
    """Suggests settings for a key that a node does not have, also those of other nodes."""
    name = key.removeprefix(group)
    if group == "data." and name in _OF_FOLDERS:
        return f" of this data: add data=folder, as in data=folder {key}=FOLDER"
    if not group:
        inner = [f"{k!s}.{name}" for k, v in node.items_ex(resolve=False) if _has(v, name)]
        if inner:
            return f"; did you mean {' or '.join(inner)}?"
    return suggest(name, list(node), group)


def _has(node: Any, name: str) -> bool:
    return isinstance(node, DictConfig) and name in node and not node._is_none()


def suggest(name: str, allowed: Iterable[Any], group: str = "") -> str:
    """Returns ``; did you mean x?``, if a name is close, and the names that are allowed.

    ``group`` is put before the name that is suggested, such as ``gan.``.
    """
    names = sorted(str(key) for key in allowed if str(key) != "_target_")
    close = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {group}{close[0]}?" if close else ""
    return f"{hint} (allowed: {', '.join(names)})"


def complaint(error: ValidationError, key: str = "", allowed: Iterable[str] = ()) -> str:
    """Returns pydantic's first complaint as ``key=value: what is allowed``.

    Args:
        error: what pydantic raised.
        key: the setting, if pydantic does not know its name.
        allowed: the names of the settings that exist.
    """
    errors = error.errors()
    first = errors[0]
    # of a union pydantic names the type that it tried, too, such as "str" or "list[str]"
    types = re.compile(r"(str|int|float|constrained-\w+|[\w-]+\[.*)$")
    names = [part for part in first["loc"] if isinstance(part, str) and not types.match(part)]
    key = ".".join([*([key] if key else []), *names])
    if first["type"] == "extra_forbidden":
        return f"{key} is not a setting{suggest(key, allowed)}"
    if first["type"] == "missing":
        return f"{key} is missing: choose {key}=CHOICE, see --help"
    given = first["input"]
    if given is None or isinstance(given, bool):
        given = json.dumps(given)  # null, true or false, as on the command line
    elif type(given).__module__.startswith("sr_gan"):
        given = type(given).__name__
    value = f"{key}={given}: " if key else ""  # without a key, several settings contradict
    if first["type"] == "value_error":
        return f"{value}{first['ctx']['error']}"
    literals = dict.fromkeys(e["ctx"]["expected"] for e in errors if e["type"] == "literal_error")
    if literals:
        choices = re.split(r", | or ", ", ".join(literals).replace("'", ""))
        return f"{value}allowed are {', '.join(dict.fromkeys(choices))}"
    kind = "list_type" if first.get("ctx", {}).get("class") == "Sequence" else first["type"]
    if kind in _WORDS:
        return f"{value}must be {_WORDS[kind]}"
    words = re.sub(r"^(Input|Value|List|Tuple|String) ", "", first["msg"])
    return f"{value}{words.replace(' after validation', '')}"
