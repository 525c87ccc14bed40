"""The folder that is published of a model: its weights, its card and a sample picture."""

import shutil
from pathlib import Path

from sr_gan.exports.card import CARD, write_card
from sr_gan.exports.facts import About, facts_of
from sr_gan.exports.training import run_of
from sr_gan.files import atomic_write
from sr_gan.inference.pretrained import Pretrained
from sr_gan.runs.epochs import sample_files
from sr_gan.runs.hub import WEIGHTS
from sr_gan.runs.weights import read_weights, save_state

SAMPLE = "samples.png"


def write_bundle(
    model: Pretrained, folder: Path, about: About, repo: str, own_card: Path | None, samples: bool
) -> list[Path]:
    """Writes ``generator.safetensors``, ``README.md`` and ``samples.png``, and returns their paths.

    Args:
        model: the model.
        folder: the folder.
        about: what the user says about it.
        repo: the repository that the folder is for, ``OWNER/NAME``.
        own_card: a card that is taken instead of one that is written from what is known.
        samples: whether the newest sample picture of the model's run is taken, if there is one.

    Raises:
        UserError: a file of the run, or a table of scores, is damaged.
    """
    facts = facts_of(model, about)
    assert model.path
    weights, picture = folder / WEIGHTS, _sample(model.path) if samples else None
    read = read_weights(model.path, "model")
    assert read.config  # else it could not have been loaded
    save_state(read.state, read.config, weights)
    if picture:
        _copy(picture, folder / SAMPLE)
    if own_card:
        _copy(own_card, folder / CARD)
    else:
        write_card(facts, [weights], folder / CARD, SAMPLE if picture else None, repo)
    return [weights, folder / CARD, *([folder / SAMPLE] if picture else [])]


def _sample(weights: Path) -> Path | None:
    """Returns the newest sample picture of the stage that a file of weights is from."""
    run = run_of(weights)
    pictures = sample_files(run, weights.parent.name) if run else {}
    return pictures[max(pictures)] if pictures else None


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as content, atomic_write(target, "wb") as file:
        shutil.copyfileobj(content, file)
