"""How the discriminator fares, from a run's epoch means: a verdict and what to try."""

from dataclasses import dataclass
from math import isnan, log
from statistics import median
from typing import Any

from sr_gan.runs.health import AHEAD, BEHIND, SATURATED
from sr_gan.runs.history import Stage

_CHANCE = {
    "BCEAdversarialLoss": 2 * log(2),
    "HingeAdversarialLoss": 2.0,
    "LeastSquaresAdversarialLoss": 0.25,
    "RelativisticAdversarialLoss": log(2),
}


@dataclass(frozen=True)
class Health:
    """A verdict.

    Args:
        state: ``NaN``, ``saturated``, ``ahead``, ``balanced`` or ``behind``.
        text: one or two sentences with the numbers that it rests on.
        advice: what usually helps; empty where nothing is wrong.
    """

    state: str
    text: str
    advice: str


_MEANING = {
    "saturated": "it tells every image apart with certainty, so that its answer says little about "
    "how good an image is, and the content loss decides what the generator learns",
    "ahead": "it is well ahead of the generator; if the distance goes on growing it will saturate",
    "balanced": "both players are learning from each other",
    "behind": "it hardly tells photographs from generated images: it has learned too little, or, "
    "where LPIPS fell, the generator follows it closely",
}
_ADVICE = {
    "saturated": "begin the GAN stage from a pretrained generator (stages=[pretrain,gan] or "
    "init_from=RUN), add an L1 term to the loss, or hold the discriminator back "
    "(discriminator=vgg_sn, penalty=r1)",
    "ahead": "watch D(real), D(fake) and the pictures; where they are poor a pretrained generator "
    "(init_from=RUN) or an L1 term helps most",
    "balanced": "",
    "behind": "where LPIPS does not fall, raise gan.discriminator_lr, or lower gan.generator_lr or "
    "gan.loss.weights.adversarial; after a few epochs only, it may just need longer",
    "NaN": "go back with ckpt_path=last and lower learning rates, or train in "
    "trainer.precision=32-true",
}


def diagnose(stage: Stage, guessing: float | None = None) -> Health | None:
    """The verdict on a GAN stage, over its last fifth, three epochs at
    least; None of a stage without discriminator. ``guessing`` is the discriminator's loss where it
    answers 1/2 to everything, if that is known.

    The criterion is the distance D(real) - D(fake) of the mean answers, 0 to 1: from 0.95 the
    discriminator is saturated, from 0.8 ahead, below 0.1 behind, between them balanced.
    """
    broken = next((row for row in stage.rows if _has_nan(row)), None)
    if broken is not None:
        names = ", ".join(name for name, value in broken.items() if isnan(value))
        text = f"{names} became NaN in epoch {broken['epoch']:.0f} of {stage.name}."
        return Health("NaN", text, _ADVICE["NaN"])
    distance = _distance(stage)
    if not distance:
        return None
    window = min(len(distance), max(3, len(distance) // 5))
    real, fake, loss = (
        median(value for _, value in stage.series(name)[-window:])
        for name in ("discriminator/real", "discriminator/fake", "loss/discriminator")
    )
    state = _state(median(value for _, value in distance[-window:]))
    chance = f"{guessing:.2f} is guessing; " if guessing else ""
    text = (
        f"The discriminator is {state}: {_MEANING[state]}. It gives photographs {real:.3f} and "
        f"generated images {fake:.3f} on average, at a loss of {loss:.3g} ({chance}medians of the "
        f"last {window} epochs)."
    )
    since = _since(distance)
    if state == "saturated" and since is not None:
        text += f" It has been so since epoch {since}."
    if len(distance) < 10:
        text += f" After {len(distance)} epochs that is a first impression."
    return Health(state, text, _ADVICE[state])


def guessing(config: dict[str, Any]) -> float | None:
    """The loss of a discriminator that answers 1/2 to everything; None where a run's configuration
    tells of a loss without such a value."""
    loss = config.get("gan", {}).get("loss", {}).get("adversarial") or {}
    return _CHANCE.get(str(loss.get("_target_", "")).rpartition(".")[2])


def _distance(stage: Stage) -> list[tuple[int, float]]:
    fake = dict(stage.series("discriminator/fake"))
    real = stage.series("discriminator/real")
    return [(epoch, value - fake[epoch]) for epoch, value in real if epoch in fake]


def _state(distance: float) -> str:
    if distance >= SATURATED:
        return "saturated"
    if distance >= AHEAD:
        return "ahead"
    return "balanced" if distance >= BEHIND else "behind"


def _since(distance: list[tuple[int, float]]) -> int | None:
    """The first epoch of those at the end that are all saturated; None if the last one is not."""
    since = None
    for epoch, value in reversed(distance):
        if value < SATURATED:
            break
        since = epoch
    return since


def _has_nan(row: dict[str, float]) -> bool:
    return any(isnan(value) for name, value in row.items() if name.startswith("loss/"))
