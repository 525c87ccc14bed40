"""Reads back the settings that a run was started with, so that it is resumed with them."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sr_gan.errors import UserError, printable
from sr_gan.files import relative
from sr_gan.runs.folder import OVERRIDES
from sr_gan.runs.resume import folder_of
from sr_gan.settings.command_line import options_first
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.overrides import parse_overrides

_DEFAULT = "quickstart"  # the experiment of conf/train.yaml
_TOP = ("stages", "scale", "seed", "init_from", "ckpt_path", "other_photos")  # not choices of conf/
_INTERPOLATION = re.compile(r"(?<!\\)(\\\\)*\$\{")  # one without a backslash, which makes it text


def settings_of_run(arguments: Sequence[str]) -> list[str]:
    """Returns the settings of a resumed run, followed by the ``arguments`` of the command.

    ``ckpt_path=RUN`` alone is enough to resume a run. The settings that its command line had are
    read from the run; those that are given again replace them.

    Raises:
        UserError: there is nothing to resume, the run is of another experiment, or its settings
            would build something that none of the choices in conf/ builds.
    """
    given = {_name(override): override for override in parse_overrides(arguments)}
    ckpt_path = given["ckpt_path"].value() if "ckpt_path" in given else None
    if not ckpt_path or {"-m", "--multirun"} & set(arguments):
        return list(arguments)
    experiment = str(given["experiment"].value()) if "experiment" in given else None
    if ckpt_path == "last" and "hydra.run.dir" in given:
        ckpt_path = given["hydra.run.dir"].value()
    folder = folder_of(str(ckpt_path), experiment or _DEFAULT)
    recorded = _recorded(folder) if folder else None
    if folder is None or recorded is None:
        return list(arguments)
    before = {_name(override): override for override in recorded}
    start = given["init_from"].value() if "init_from" in given else None
    if start and ("init_from" not in before or str(before["init_from"].value()) != str(start)):
        raise UserError(
            f"init_from={start} and ckpt_path={ckpt_path}: a resumed run goes on with its own "
            "weights; give one of them"
        )
    its = str(before["experiment"].value()) if "experiment" in before else _DEFAULT
    if experiment not in (None, its):
        raise UserError(
            f"experiment={experiment}: {relative(folder)} is a run of experiment={its}; leave the "
            f"setting out, or start a new run from its weights with init_from={relative(folder)}"
        )
    chosen = {
        override.package or override.key_or_group.replace("/", "."): _names(override)
        for name, override in given.items()
        if (conf_dir() / override.key_or_group).is_dir()
        and (name not in before or str(override.value()) != str(before[name].value()))
    }

    def fits(name: str) -> bool:
        """Whether a setting is not one of a choice that is replaced by one without it."""
        return not any(
            name.startswith(f"{package}.") and name[len(package) + 1 :].split(".")[0] not in names
            for package, names in chosen.items()
        )

    kept = [each.input_line for name, each in before.items() if name not in given and fits(name)]
    return options_first([*(line for line in kept if line), *arguments])


def _recorded(folder: Path) -> list[Override] | None:
    """Returns the settings that a run was started with; None if it did not record them.

    The run may be somebody else's, and Hydra would import and call what its settings name.
    """
    file = folder / OVERRIDES
    try:
        lines = json.loads(file.read_text())
        if not isinstance(lines, list):
            raise ValueError("it holds no list")
        overrides = parse_overrides(lines)
        harmful = next((override for override in overrides if not _is_harmless(override)), None)
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError, TypeError, HydraException) as error:
        raise UserError(
            f"{file} is damaged ({str(error).splitlines()[0]}): restore it, or delete it and give "
            "all settings of the run again"
        ) from error
    if harmful is not None:
        raise UserError(
            f"{file} asks for {printable(harmful.input_line)}: a run brings its choices of conf/ "
            "and plain values, no classes, interpolations or settings of Hydra; remove it from "
            "the file, and give it on the command line if you trust it"
        )
    return overrides


def _is_harmless(override: Override) -> bool:
    """Whether a setting of a run chooses a file of conf/ by its name, or is a plain value."""
    key = override.key_or_group
    if override.is_sweep_override() or not re.fullmatch(r"[A-Za-z][\w./]*", key):
        return False
    if override.is_delete():
        return True
    if any(part.startswith("_") for part in key.split(".")) or key.startswith("hydra"):
        return False
    value = override.value()
    if "." in key or key in _TOP:
        return _is_plain(value)
    names = value if isinstance(value, list) else [value]
    return all(re.fullmatch(r"[\w-]+", str(name)) for name in names)  # no paths


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(not str(k).startswith("_") and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return not _INTERPOLATION.search(str(value))


def _names(override: Override) -> set[str]:
    """Returns the names of the settings that a choice of conf/ has."""
    files = [conf_dir() / override.key_or_group / f"{override.value()}.yaml"]
    names: set[str] = set()
    while files:
        file = files.pop()
        content = yaml.safe_load(file.read_text()) if file.is_file() else {}
        files += [file.with_stem(d) for d in content.pop("defaults", []) if isinstance(d, str)]
        names |= content.keys()
    return names


def _name(override: Override) -> str:
    package = f"@{override.package}" if override.package else ""
    return f"{override.key_or_group}{package}"
