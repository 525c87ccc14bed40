"""The verdict on the GAN stage of a run, from its epoch means."""

from dataclasses import dataclass
from itertools import takewhile
from math import log
from statistics import median
from typing import Any

from sr_gan.runs.health import (
    ADVICE,
    PATIENCE,
    SATURATED,
    STATES,
    State,
    diverged,
    in_words,
    like_photos,
    state_of,
)
from sr_gan.runs.metrics_table import Stage
from sr_gan.tables import counted

_CHANCE = {
    "BCEAdversarialLoss": 2 * log(2),
    "HingeAdversarialLoss": 2.0,
    "LeastSquaresAdversarialLoss": 0.25,
    "RelativisticAdversarialLoss": log(2),
}


@dataclass(frozen=True)
class Verdict:
    """A judgement of a stage's discriminator.

    Args:
        state: one of :data:`sr_gan.runs.health.STATES`.
        name: the state, and who leads if it is healthy and one player does.
        text: one or two sentences with the numbers that it rests on.
        advice: what usually helps; empty if nothing is wrong.
    """

    state: State
    name: str
    text: str
    advice: str


def diagnose(stage: Stage, guessing: float | None = None) -> Verdict | None:
    """The verdict on a GAN stage, from the medians over its last fifth, at least three epochs.

    The criterion is the distance D(real) - D(fake) of the mean answers, as
    :func:`sr_gan.runs.health.state_of` judges it. Whether the generator wins is not judged before
    there are enough readings.

    Args:
        stage: the rows of the stage.
        guessing: the loss of a discriminator that answers 1/2 to everything, if it is known.

    Returns:
        ``None`` for a stage without a discriminator.
    """
    broken = next((row for row in stage.rows if diverged(row)), None)
    if broken is not None:
        values = ", ".join(f"{name}={broken[name]:.3g}" for name in diverged(broken))
        text = f"Diverged: in epoch {broken['epoch']:.0f} of {stage.name}, {values}."
        return Verdict("diverged", "diverged", text, ADVICE["diverged"])
    fakes = dict(stage.series("discriminator/fake"))
    reals = stage.series("discriminator/real")
    distance = [(epoch, value - fakes[epoch]) for epoch, value in reals if epoch in fakes]
    if not distance:
        return None
    window = min(len(distance), max(3, len(distance) // 5))
    real, fake, loss = (
        median(value for _, value in stage.series(name)[-window:])
        for name in ("discriminator/real", "discriminator/fake", "loss/discriminator")
    )
    typical = median(value for _, value in distance[-window:])
    state = state_of(typical)
    too_early = state == "generator winning" and not _patient(stage)
    state = "healthy" if too_early else state
    name, meaning = in_words(state, typical)
    chance = f"{guessing:.2f} is guessing; " if guessing else ""
    text = (
        f"{name[0].upper()}{name[1:]}: {meaning}. The discriminator gives photographs "
        f"{real:.3f} and generated images {fake:.3f} on average, at a loss of {loss:.3g} "
        f"({chance}medians of the last {counted(window, 'epoch')})."
    )
    saturated = list(takewhile(lambda each: each[1] >= SATURATED, reversed(distance)))
    if saturated and state == "saturated":
        text += f" It has been saturated since epoch {saturated[-1][0]}."
    if too_early:
        text += (
            " It hardly tells the two apart, but it is too early to say that the generator wins: "
            f"{PATIENCE} readings in a row, one every health.every updates, have to agree."
        )
    text += _strange_images(stage, window)
    if len(distance) < 10:
        text += f" After {counted(len(distance), 'epoch')} that is a first impression."
    return Verdict(state, name, text, ADVICE[state])


def _patient(stage: Stage) -> bool:
    """Whether there are as many readings as it takes to say that the generator wins.

    An epoch with readings logs their mean as health/contrast, so that their number is not known. If
    the run found the state itself, there were enough. In a run without the callback epochs count.
    """
    states = [state for _, state in stage.series("health/state")]
    readings = stage.series("health/contrast" if states else "discriminator/real")
    return STATES.index("generator winning") in states or len(readings) >= PATIENCE


def behind_bicubic(stage: Stage) -> str:
    """Returns a sentence with advice if the last validation of a stage is worse than bicubic's.

    A GAN is judged by LPIPS, as its PSNR-Y may well be lower, and any other stage by PSNR-Y. The
    sentence is empty if there is nothing to say, or if the scores were not measured.
    """
    gan = any("loss/discriminator" in row for row in stage.rows)
    metric, digits, sign = ("lpips", 4, 1) if gan else ("psnr_y", 2, -1)
    last = stage.validated[-1] if stage.validated else {}
    own, bicubic = last.get(f"quality/{metric}"), last.get(f"quality/{metric}_bicubic")
    if own is None or bicubic is None:
        return ""
    if not sign * (round(own, digits) - round(bicubic, digits)) > 0:  # also if one is NaN
        return ""
    scores = f"{own:.{digits}f} and {bicubic:.{digits}f}"
    if gan:
        advice = "train it longer, or start from a generator that is better, with init_from"
        return f"The images of {stage.name} are worse than bicubic's by LPIPS, {scores}: {advice}."
    advice = f"train it longer with {stage.name}.epochs before a GAN continues it"
    return f"The images of {stage.name} are worse than bicubic's, PSNR-Y {scores} dB: {advice}."


def _strange_images(stage: Stage, window: int) -> str:
    """Returns a sentence if images of the last epochs differ from photographs at first sight.

    A balanced discriminator says nothing about that.
    """
    colours = dict(stage.series("health/colour"))
    looks = [(e, c, colours[e]) for e, c in stage.series("health/contrast") if e in colours]
    strange = [look for look in looks[-window:] if not like_photos(*look[1:])]
    if not strange:
        return ""
    epoch, contrast, colour = strange[-1]
    return (
        f" In epoch {epoch} the images were far from photographs: they had "
        f"{contrast:.2g} times the contrast, and a colour was off by {colour:.0f} grey levels."
    )


def guessing(config: dict[str, Any]) -> float | None:
    """The loss of a discriminator that answers 1/2 to everything.

    Returns:
        ``None`` if the adversarial loss of a run's configuration has no such value.
    """
    loss = config.get("gan", {}).get("loss", {}).get("adversarial") or {}
    return _CHANCE.get(str(loss.get("_target_", "")).rpartition(".")[2])
