"""The ``KEY=VALUE`` arguments of a command line, and what a sweep's jobs are called after them."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def shared_keys(arguments: Sequence[str]) -> set[str]:
    """The settings that a command line gives a single value: those of every job."""
    parsed = parse_overrides(arguments)
    return {override.get_key_element() for override in parsed if not override.is_sweep_override()}


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """The settings on a command line, ``KEY=VALUE``, as Hydra reads them."""
    given = [argument for argument in arguments if re.match(r"[^-].*=", argument)]
    return OverridesParser.create().parse_overrides(given)


def name_job(number: int | None, overrides: Sequence[str], common: set[str]) -> str:
    """A job's folder: its number, if there is to be one, and what is its own, without slashes.

    With a number, which tells jobs apart, long decimals are given with four digits.
    """
    own = [override for override in overrides if override.partition("=")[0] not in common]
    parts = [] if number is None else [str(number)]
    if parts:
        own = [shortened(override) for override in own]
    parts += [",".join(own).replace("/", "_")] if own else []
    return "_".join(parts)[:120] or "job"


def shortened(text: str) -> str:
    """``lr=0.002023`` of ``lr=0.0020228662931987577``: long decimals with four digits."""
    return re.sub(r"\d+\.\d{8,}(e-?\d+)?", lambda number: f"{float(number[0]):.4g}", text)


def label(folder: str) -> str:
    """``loss=l1, adversarial=0.1`` of ``loss@gan.loss=l1,gan.loss.weights.adversarial=0.1``.

    A name that :func:`name_job` did not make is left as it is.
    """
    settings = re.split(r",(?=[\w.@/]+=)", re.sub(r"^\d+_(?=[\w.@/]+=)", "", folder))
    if not all(re.match(r"[\w.@/]+=", setting) for setting in settings):
        return folder
    pairs = [setting.partition("=") for setting in settings]
    return ", ".join(f"{short(key)}={value}" for key, _, value in pairs)


def short(key: str) -> str:
    """``loss`` of ``loss@gan.loss``, ``adversarial`` of ``gan.loss.weights.adversarial``."""
    return key.partition("@")[0].rpartition(".")[2]
