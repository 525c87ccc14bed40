"""Reads the ``KEY=VALUE`` arguments of a command line, and names a sweep's jobs after them."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def shared_keys(arguments: Sequence[str]) -> set[str]:
    """Returns the settings that have a single value on a command line, the same in all jobs."""
    parsed = parse_overrides(arguments)
    return {override.get_key_element() for override in parsed if not override.is_sweep_override()}


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """Parses the settings on a command line, ``KEY=VALUE``, as Hydra does."""
    given = [argument for argument in arguments if re.match(r"[^-].*=", argument)]
    return OverridesParser.create().parse_overrides(given)


def name_job(number: int | None, overrides: Sequence[str], common: set[str]) -> str:
    """Returns the name of a job's folder: its number, if any, and its own settings.

    Slashes are replaced. With a number, which distinguishes jobs, decimals are cut to four digits.
    """
    own = [override for override in overrides if override.partition("=")[0] not in common]
    parts = [] if number is None else [str(number)]
    if parts:
        own = [shortened(override) for override in own]
    parts += [",".join(own).replace("/", "_")] if own else []
    return "_".join(parts)[:120] or "job"


def shortened(text: str) -> str:
    """Rounds long decimals to four digits: ``lr=0.0020228662931987577`` to ``lr=0.002023``."""
    return re.sub(r"\d+\.\d{8,}(e-?\d+)?", lambda number: f"{float(number[0]):.4g}", text)


def label(folder: str) -> str:
    """Returns ``loss=l1, ema=0.9`` for the job folder ``3_loss@gan.loss=l1,gan.ema=0.9``.

    A name that :func:`name_job` did not make is left as it is.
    """
    settings = re.split(r",(?=[\w.@/]+=)", re.sub(r"^\d+_(?=[\w.@/]+=)", "", folder))
    if not all(re.match(r"[\w.@/]+=", setting) for setting in settings):
        return folder
    pairs = [setting.partition("=") for setting in settings]
    return ", ".join(f"{short(key)}={value}" for key, _, value in pairs)


def short(key: str) -> str:
    """Returns ``loss`` for ``loss@gan.loss``, and ``ema`` for ``gan.ema``."""
    return key.partition("@")[0].rpartition(".")[2]
