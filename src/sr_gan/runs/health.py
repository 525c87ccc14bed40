"""How the two players of a GAN fare: the states, how they are recognised, and what usually helps.

The same words and the same advice are used while a run trains and in its report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Literal, get_args

State = Literal[
    "healthy",
    "discriminator winning",
    "generator winning",
    "oscillating",
    "collapsed",
    "diverged",
    "saturated",
]
STATES: tuple[State, ...] = get_args(State)  # the curve health/state holds their positions here

SATURATED, AHEAD, BEHIND = 0.95, 0.8, 0.1  # limits of D(real) - D(fake)
_LEADING = 0.5  # from here on a healthy discriminator leads: 3 to 1 for the right answer
_LEAVING = 0.1  # a state ends only when the distance has come back this far over its limit
_SWING = 0.4  # a change of the distance between two readings that counts as a swing
_SWINGS = 3  # swings among the last readings that make an oscillation
_RECENT = 3  # readings that have to agree
PATIENCE = 6  # readings that a discriminator is given before it counts as too weak
_MEMORY = 8  # readings in which swings are looked for
_FADED, _GLARING = 0.3, 3.0  # contrast of the generated images, as a share of the photographs'
_TINTED = 25.0  # grey levels between the mean colours
_BEYOND = 1e10  # no loss of a run that still learns is as large

MEANING: dict[State, str] = {
    "healthy": "neither player is far ahead of the other",
    "discriminator winning": "the discriminator is far ahead, so that it teaches the generator "
    "little",
    "saturated": "the discriminator tells every image apart with certainty, so that its answer "
    "says little about how good an image is, and the content loss decides what the generator "
    "learns",
    "generator winning": "the discriminator hardly tells photographs from generated images: where "
    "the pictures become better, and LPIPS falls if it is measured, the generator follows it "
    "closely and all is well, otherwise it has learned too little",
    "oscillating": "the two players overtake each other again and again",
    "collapsed": "the images have lost the contrast or the colours of the photographs",
    "diverged": "a loss is not a number, or larger than any that means something",
}
_LEADS = (
    "the discriminator usually tells photographs from generated images, but without certainty, so "
    "that the generator can learn from it"
)
_BETTER_START = (
    "start from a pretrained generator (init_from=RUN, or stages=[pretrain,gan]), which helps "
    "most, or add an L1 term to the loss; holding the discriminator back (discriminator=vgg_sn, "
    "penalty=r1) helps the pictures less"
)
ADVICE: dict[State, str] = {
    "healthy": "",
    "discriminator winning": _BETTER_START,
    "saturated": _BETTER_START,
    "generator winning": "where the pictures become no better, or LPIPS does not fall if it is "
    "measured, raise gan.discriminator_lr, or set gan.adversarial_ramp=0.05 to let the "
    "discriminator learn first; after a few epochs it may just need longer",
    "oscillating": "lower gan.generator_lr and gan.discriminator_lr, set gan.ema=0.999, or use "
    "penalty=r1",
    "collapsed": "lower gan.loss.weights.adversarial, and go back with "
    "ckpt_path=RUN/checkpoints/gan/best.ckpt",
    "diverged": "go back to the last checkpoint, if there is one, with ckpt_path=last, and lower "
    "the learning rates or the weights of the loss; if the run computes in 16 bits, "
    "trainer.precision=32-true may help, too",
}


@dataclass(frozen=True)
class Reading:
    """Means over some updates.

    Args:
        real: the discriminator's mean answer to photographs, a probability in [0, 1].
        fake: its mean answer to generated images.
        loss: the sum of both losses, which only shows whether the run has diverged.
        contrast: the standard deviation of the generated images over that of the photographs.
        colour: the largest difference of a colour channel's mean, in grey levels.
    """

    real: float
    fake: float
    loss: float
    contrast: float
    colour: float

    @property
    def distance(self) -> float:
        """How well the discriminator tells the two apart, D(real) - D(fake). 1 is certainty."""
        return self.real - self.fake

    @property
    def looks_like_photos(self) -> bool:
        """Whether the images have about the contrast and the colours of photographs."""
        return like_photos(self.contrast, self.colour)


def like_photos(contrast: float, colour: float) -> bool:
    """Whether a :class:`Reading`'s contrast and colour are about those of photographs."""
    return _FADED < contrast < _GLARING and colour <= _TINTED


def state_of(distance: float, before: State = "healthy") -> State:
    """The state that a distance D(real) - D(fake) stands for.

    From 0.95 on the discriminator is saturated, above 0.8 it is winning, and below 0.1 the
    generator is. The last two limits are 0.1 wider for the state that it was ``before``, so that no
    state flickers.
    """
    if distance >= SATURATED:
        return "saturated"
    if distance > AHEAD - _LEAVING * (before in ("discriminator winning", "saturated")):
        return "discriminator winning"
    if distance < BEHIND + _LEAVING * (before == "generator winning"):
        return "generator winning"
    return "healthy"


def in_words(state: State, distance: float) -> tuple[str, str]:
    """Returns a name and a meaning of a state that agree with a distance D(real) - D(fake)."""
    if state == "healthy" and distance >= _LEADING:
        return f"{state}, D leads", _LEADS
    return state, MEANING[state]


def classify(
    readings: Sequence[Reading], before: State = "healthy", looked_like_photos: bool = True
) -> State:
    """The state of a GAN after its latest readings; with too few of them ``healthy``.

    The first of these that is true:

    - ``diverged``: a number of the last reading is not finite, or the loss is above 1e10.
    - ``collapsed``: the images looked like photographs before, and in three readings their contrast
      is below 0.3 or above 3, or their colours are off by more than 25 grey levels.
    - ``oscillating``: D(real) - D(fake) swung by 0.4 three times among the last eight readings.
    - the state of the median distance over the last three readings, see :func:`state_of`. The
      generator wins only if that is so in each of the last six, as every discriminator begins
      there.

    Args:
        readings: in the order of time.
        before: the state after the reading before.
        looked_like_photos: whether the images ever looked like photographs.
    """
    last = readings[-_RECENT:]
    if last and any(_is_absurd(value) for value in vars(last[-1]).values()):
        return "diverged"
    if len(last) < _RECENT:
        return "healthy"
    if looked_like_photos and not any(reading.looks_like_photos for reading in last):
        return "collapsed"
    if _swings([reading.distance for reading in readings[-_MEMORY:]]) >= _SWINGS:
        return "oscillating"
    state = state_of(median(reading.distance for reading in last), before)
    if state != "generator winning":
        return state
    patient = readings[-PATIENCE:]
    weak = all(state_of(reading.distance, before) == state for reading in patient)
    return state if weak and len(patient) == PATIENCE else "healthy"


def diverged(metrics: Mapping[str, float]) -> list[str]:
    """Returns the losses and logits among ``metrics`` that are not finite, or absurdly large."""
    watched = ("loss/", "discriminator/logit")
    return sorted(k for k, value in metrics.items() if k.startswith(watched) and _is_absurd(value))


def look_like_photos(readings: Sequence[Reading]) -> bool:
    """Whether the images of the last three readings look about like photographs."""
    last = readings[-_RECENT:]
    return len(last) == _RECENT and all(reading.looks_like_photos for reading in last)


def explain(state: State, readings: Sequence[Reading]) -> str:
    """One sentence on a state, with the numbers that it rests on and what usually helps."""
    last = readings[-_RECENT:]
    real = median(reading.real for reading in last)
    fake = median(reading.fake for reading in last)
    name, meaning = in_words(state, real - fake)
    advice = f"; try this: {ADVICE[state]}" if ADVICE[state] else ""
    return f"{name} (D(photo) {real:.2f}, D(generated) {fake:.2f}): {meaning}{advice}"


def _is_absurd(value: float) -> bool:
    return not isfinite(value) or abs(value) > _BEYOND


def _swings(distances: Sequence[float]) -> int:
    """Counts how often the distance turned round, by more than a little on both sides."""
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
