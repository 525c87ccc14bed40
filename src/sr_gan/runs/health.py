"""How a GAN fares: readings of its two players, the state they tell of, and what usually helps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Literal, get_args

State = Literal[
    "healthy", "discriminator winning", "generator winning", "oscillating", "collapsed", "NaN"
]
STATES: tuple[State, ...] = get_args(State)  # their places are the numbers in the curves

SATURATED, AHEAD, BEHIND = 0.95, 0.8, 0.1  # of D(real) - D(fake)
_LEAVING = 0.1  # so far it has to come back over a limit: no state flickers
_SWING = 0.4  # change of that distance from one reading to the next that counts as a swing
_SWINGS = 3  # to and fro, among the last readings, that make an oscillation
_RECENT = 3  # readings that have to agree
_PATIENCE = 6  # readings that a discriminator is given to learn at all
_MEMORY = 8  # readings in which swings are looked for
_FADED, _GLARING = 0.3, 3.0  # contrast of the generated images, as a share of the photographs'
_TINTED = 25.0  # grey levels between the mean colours


@dataclass(frozen=True)
class Reading:
    """Means over some updates.

    Args:
        real: D's answer to photographs, a probability in [0, 1].
        fake: D's answer to generated images.
        loss: the generator's, only looked at for being a number.
        contrast: standard deviation of the generated images over that of the photographs.
        colour: largest difference of the mean of a colour channel, in grey levels.
    """

    real: float
    fake: float
    loss: float
    contrast: float
    colour: float

    @property
    def distance(self) -> float:
        """How well D tells the two apart: D(real) - D(fake), 1 is with certainty."""
        return self.real - self.fake

    @property
    def formed(self) -> bool:
        """Whether the images have about the contrast and the colours of photographs."""
        return _FADED < self.contrast < _GLARING and self.colour <= _TINTED


def classify(readings: Sequence[Reading], before: State = "healthy", formed: bool = True) -> State:
    """The state that the latest of ``readings`` tell of; without enough of them ``healthy``.

    Not a number; collapsed, if the images were ``formed`` before: three readings with a contrast
    below 0.3 or above 3, or colours off by more than 25 grey levels; oscillating: D(real) - D(fake)
    went to and fro by 0.4 three times among the last eight; the discriminator winning: its median
    over the last three is beyond 0.8; the generator winning: below 0.1 in each of the last six, as
    every discriminator begins there. These two limits are 0.1 wider for the state that it was
    ``before``.
    """
    last = readings[-_RECENT:]
    if last and not all(isfinite(value) for value in vars(last[-1]).values()):
        return "NaN"
    if len(last) < _RECENT:
        return "healthy"
    if formed and not any(reading.formed for reading in last):
        return "collapsed"
    if _swings([reading.distance for reading in readings[-_MEMORY:]]) >= _SWINGS:
        return "oscillating"
    ahead = AHEAD - _LEAVING * (before == "discriminator winning")
    if median(reading.distance for reading in last) > ahead:
        return "discriminator winning"
    behind = BEHIND + _LEAVING * (before == "generator winning")
    patient = readings[-_PATIENCE:]
    if len(patient) == _PATIENCE and max(reading.distance for reading in patient) < behind:
        return "generator winning"
    return "healthy"


def formed(readings: Sequence[Reading]) -> bool:
    """Whether the images of the last three of ``readings`` look about like photographs."""
    last = readings[-_RECENT:]
    return len(last) == _RECENT and all(reading.formed for reading in last)


def explain(state: State, readings: Sequence[Reading]) -> str:
    """One plain sentence on ``state``, with the numbers, and the setting that usually helps."""
    last = readings[-_RECENT:]
    real = median(reading.real for reading in last)
    fake = median(reading.fake for reading in last)
    numbers = f"D(photo) {real:.2f}, D(generated) {fake:.2f}"
    return f"{state} ({numbers}): {_MEANING[state]}"


def _swings(distances: Sequence[float]) -> int:
    """How often the distance turned round, by more than a little on both sides."""
    turns, direction, extreme = 0, 0, distances[0]
    for value in distances[1:]:
        step = value - extreme
        if abs(step) >= _SWING:
            sign = 1 if step > 0 else -1
            turns += sign != direction
            direction, extreme = sign, value
        elif step * direction > 0:
            extreme = value
    return turns


_MEANING: dict[State, str] = {
    "healthy": "both players are learning from each other",
    "discriminator winning": "it tells every image apart, so that it teaches the generator little; "
    "try a pretrained generator (init_from=RUN, or stages=[pretrain,gan]), which helps most, an L1 "
    "term in the loss, discriminator=vgg_sn or penalty=r1",
    "generator winning": "the discriminator hardly tells images apart; where LPIPS falls the "
    "generator follows it closely and all is well, else try a higher gan.discriminator_lr, or "
    "gan.adversarial_ramp=0.05 to let it learn first",
    "oscillating": "the two overtake each other again and again; try lower gan.generator_lr and "
    "gan.discriminator_lr, gan.ema=0.999, or penalty=r1",
    "collapsed": "the images have lost the contrast or the colours of the photographs; try a lower "
    "gan.loss.weights.adversarial, and go back with ckpt_path=",
    "NaN": "a loss is no number; go back with ckpt_path=last, lower the learning rates, or use "
    "trainer.precision=32-true",
}
