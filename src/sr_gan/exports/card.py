"""Writes what is known about a model beside its files: a model card, and OpenModelDB's JSON."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from glob import escape
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from sr_gan import __version__
from sr_gan.errors import UserError
from sr_gan.evaluation.scores import table
from sr_gan.evaluation.suite import Scores as Scored
from sr_gan.exports import openmodeldb
from sr_gan.exports.facts import Facts
from sr_gan.exports.front_matter import front_matter
from sr_gan.exports.measured import Scores
from sr_gan.exports.training import Training
from sr_gan.exports.uses import use_of
from sr_gan.files import atomic_write, relative
from sr_gan.tables import Table, cell, counted

log = logging.getLogger(__name__)

CARD = "README.md"
_DIGEST = re.compile("SHA-256 of the tensors: `([0-9a-f]{64})`")
_BLANK = re.compile(r"\[fill in: ([\w ]+)\]")


def write_cards(facts: Facts, files: Sequence[Path], folder: Path) -> tuple[Path, Path]:
    """Writes a model card in the form of the Hugging Face Hub, and the entry for OpenModelDB.

    What only the author knows is left blank, and is listed in the log. A file that says something
    else is kept under another name.

    Args:
        facts: what is known about the model.
        files: its files in any format, which the cards describe.
        folder: the folder of the cards.

    Returns:
        The paths of ``4x-NAME.md`` and ``4x-NAME.json``.
    """
    text = _card_path(facts, folder)
    path = text.with_suffix(".json")
    write_card(facts, files, text)
    entry = openmodeldb.entry(facts, files)
    _write(path, json.dumps(entry, indent=4, ensure_ascii=False), openmodeldb.blanks(entry))
    return text, path


def earlier_files(facts: Facts, folder: Path, base: str) -> list[Path]:
    """Returns the files of a model that a folder has already, which its card goes on to describe.

    Args:
        facts: what is known about the model.
        folder: the folder.
        base: how the names of the files begin.

    Raises:
        UserError: they are of another model of the same name.
    """
    card = _card_path(facts, folder)
    if not card.exists():
        return []
    digests = _DIGEST.findall(card.read_text(encoding="utf-8", errors="replace"))
    if digests and facts.digest not in digests:
        raise UserError(
            f"{relative(card)} is of other weights, also named {facts.name}: choose another "
            "name= or output=, or replace that model with overwrite=true"
        )
    files = sorted(folder.glob(f"{escape(base)}*"))
    return [file for file in files if use_of(file, facts.network)]


def write_card(
    facts: Facts,
    files: Sequence[Path],
    path: Path,
    picture: str | None = None,
    repo: str | None = None,
) -> None:
    """Writes a model card.

    Args:
        facts: what is known about the model.
        files: its files, in any format.
        path: the card.
        picture: the name of a sample picture beside the card.
        repo: the repository of the Hub that the card is for.
    """
    text = card(facts, files, picture, repo)
    _write(path, text, list(dict.fromkeys(_BLANK.findall(text))))


def card(
    facts: Facts, files: Sequence[Path], picture: str | None = None, repo: str | None = None
) -> str:
    """Returns the text of ``README.md``, see :func:`write_card`."""
    environment = Environment(
        loader=PackageLoader("sr_gan.exports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "settings": _settings}
    return environment.get_template("card.md.jinja").render(
        front=yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True),
        facts=facts,
        version=__version__,
        blank=lambda what: f"[fill in: {what}]",
        picture=picture,
        repo=repo,
        uses={path: use for path in files if (use := use_of(path, facts.network))},
        training=_training(facts.training) if facts.training else {},
        tables=[_table(facts.name, scores) for scores in facts.scores],
    )


def _card_path(facts: Facts, folder: Path) -> Path:
    return (folder / openmodeldb.file_name(facts)).with_suffix(".md")


def _write(path: Path, text: str, blanks: Sequence[str]) -> None:
    content = f"{text.rstrip()}\n".encode(errors="backslashreplace")
    if path.exists() and path.read_bytes() != content:
        names = (path.with_name(f"{path.name}.old{n or ''}") for n in count())
        earlier = next(name for name in names if not name.exists())
        path.replace(earlier)
        log.info("kept    the earlier %s, as %s", path.name, earlier.name)
    with atomic_write(path, "wb") as file:
        file.write(content)
    if blanks:
        log.info("to do   fill in %s: %s", path.name, ", ".join(blanks))


def _table(name: str, scores: Scores) -> Table:
    rows: dict[str, Scored] = {name: dict(scores.mean), "bicubic": dict(scores.bicubic)}
    caption = f"{scores.benchmark}, {counted(scores.images, 'image')}. {scores.convention}."
    return table({name: row for name, row in rows.items() if row}, "", caption)


def _training(training: Training) -> dict[str, str]:
    """Returns what is known of a training as rows of a table."""
    rows = {
        "data": training.dataset,
        "number of photographs": training.photos,
        "LR images": "exact bicubic reduction"
        if training.degrades is False
        else _node(training.degradation),
        "started from": training.init_from,
        "crops in an update": training.batch,
        "side of a crop in HR pixels": training.crop,
    }
    for stage in training.stages:
        rows[f"updates, {stage.name}"] = stage.updates and f"{stage.updates:,}"
        rows[f"weights of the losses, {stage.name}"] = _settings(stage.losses)
    rows |= {"PyTorch": training.torch, "device": training.device}
    return {name: str(value) for name, value in rows.items() if value}


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def _node(node: Mapping[str, Any]) -> str:
    """Returns ``Degradation(noise_sigma=[0, 10])`` for a node of a run's settings."""
    name = str(node.get("_target_", "")).rpartition(".")[2]
    settings = {
        key: _node(value) if isinstance(value, Mapping) else value
        for key, value in node.items()
        if key != "_target_" and value not in (None, [0.0, 0.0], 0.0)
    }
    return f"{name}({_settings(settings)})" if settings else name
