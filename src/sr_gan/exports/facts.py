"""What is known about a model: from its weights, its run, and what evaluate measured."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from sr_gan.errors import UserError
from sr_gan.exports.measured import Scores, find_scores
from sr_gan.exports.training import Training, run_of, training_of
from sr_gan.inference.pretrained import Pretrained
from sr_gan.models import FOLDER, PURPOSES, bundled_models
from sr_gan.networks.split import split
from sr_gan.runs.folder import RUNS
from sr_gan.runs.weights import read_weights
from sr_gan.settings.options import About

__all__ = ["About", "Facts", "facts_of"]

_BUNDLED_LICENSE = "MIT"  # models/README.md says so


@dataclass(frozen=True)
class Facts:
    """What is known about a model.

    Args:
        name: its name.
        scale: the scale factor.
        network: the class of its generator.
        arguments: the arguments of that class.
        parameters: the number of its parameters.
        reach: the LR pixels on each side of a pixel that its result can depend on, at most.
        digest: the SHA-256 of the tensors, which does not depend on the format of a file.
        author: who made it.
        license: the SPDX identifier of its licence.
        training: how it was trained; None if there is no run beside the weights.
        scores: what was measured, by benchmark.
        purpose: what a bundled model is for, and its card; else empty.
    """

    name: str
    scale: int
    network: str
    arguments: Mapping[str, Any]
    parameters: int
    reach: int
    digest: str
    author: str | None
    license: str | None
    training: Training | None
    scores: tuple[Scores, ...]
    purpose: str = ""
    bundled_card: str = ""

    @property
    def made_for_clean(self) -> bool:
        """Whether it is known that the model was trained on undamaged photographs."""
        return bool(self.bundled_card or (self.training and self.training.degrades is False))


def facts_of(model: Pretrained, about: About) -> Facts:
    """Gathers what is known about a model.

    Args:
        model: the model, which has weights.
        about: what the user says about it.

    Raises:
        UserError: a file of the run, or of ``about.metrics``, is damaged.
    """
    if model.path is None:
        raise UserError(f"{model.name} has no weights: give a run, a file or a bundled model")
    network, trunk_and_rest = model.generator, split(model.generator)
    bundled = model.path in bundled_models().values()
    config = read_weights(model.path, "model").config or {}
    return Facts(
        name=about.name or _short(model),
        scale=model.scale,
        network=type(network).__name__,
        arguments={key: value for key, value in config.items() if key != "_target_"},
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        reach=sum(part.halo for part in trunk_and_rest),
        digest=digest(network),
        author=about.author,
        license=about.license or (_BUNDLED_LICENSE if bundled else None),
        training=training_of(model.path),
        scores=tuple(find_scores(model, about.metrics)),
        purpose=PURPOSES[model.name] if bundled else "",
        bundled_card=_bundled_card() if bundled else "",
    )


def _bundled_card() -> str:
    """Returns the card of the bundled models without its heading."""
    return (FOLDER / "README.md").read_text(encoding="utf-8").partition("\n")[2].strip()


def digest(network: nn.Module) -> str:
    """Returns the SHA-256 of the names, shapes and values of all tensors of a network."""
    hashed = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        hashed.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        hashed.update(value.detach().cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def _short(model: Pretrained) -> str:
    """Returns ``srgan-gan`` for ``srgan/DATE-TIME/gan``, ``mine-gan`` for ``runs/mine/gan``."""
    *folders, last = model.name.split("/")
    if not folders or not model.path or not run_of(model.path):
        return last
    named = [folder for folder in folders if folder != RUNS.name]
    return f"{(named or folders)[0]}-{last}"
