import math

import pytest

from sr_gan.runs.health import AHEAD, STATES, Reading, classify, explain, in_words


def reading(
    real: float, fake: float, contrast: float = 1.0, colour: float = 1.0, loss: float = 1.0
) -> Reading:
    return Reading(real, fake, loss, contrast, colour)


BALANCED = reading(0.7, 0.3)
WON = reading(0.95, 0.05)
SATURATED = reading(1.0, 0.0)
LOST = reading(0.5, 0.5)


@pytest.mark.parametrize(
    ("readings", "state"),
    [
        ([], "healthy"),
        ([WON, WON], "healthy"),  # too few readings
        ([BALANCED] * 8, "healthy"),
        ([BALANCED, WON, WON, WON], "discriminator winning"),
        ([WON, WON, BALANCED], "discriminator winning"),  # one reading does not count
        ([BALANCED, SATURATED, SATURATED, SATURATED], "saturated"),
        ([WON, BALANCED, BALANCED], "healthy"),
        ([LOST] * 5, "healthy"),  # it may just have begun
        ([LOST] * 6, "generator winning"),
        ([WON, LOST] * 4, "oscillating"),
        ([WON] * 3 + [LOST] * 6, "generator winning"),  # one turn only
        ([reading(0.7, 0.3, contrast=0.1)] * 3, "collapsed"),
        ([reading(0.7, 0.3, colour=40.0)] * 3, "collapsed"),
        ([reading(math.nan, 0.3)], "diverged"),
        ([BALANCED] * 5 + [reading(0.7, 0.3, loss=math.inf)], "diverged"),
        ([BALANCED] * 5 + [reading(0.7, 0.3, loss=1e31)], "diverged"),
    ],
)
def test_states(readings: list[Reading], state: str) -> None:
    assert classify(readings) == state


def test_images_that_never_formed_have_not_collapsed() -> None:
    pale = [reading(1.0, 0.0, contrast=0.1)] * 3
    assert classify(pale, looked_like_photos=True) == "collapsed"
    assert classify(pale, looked_like_photos=False) == "saturated"


def test_no_state_flickers_at_its_limit() -> None:
    at_the_limit = [reading(0.9, 0.11)] * 3  # a distance of 0.79
    assert classify(at_the_limit) == "healthy"
    assert classify(at_the_limit, before="discriminator winning") == "discriminator winning"
    assert classify(at_the_limit, before="saturated") == "discriminator winning"
    assert classify([BALANCED] * 3, before="discriminator winning") == "healthy"
    weak = [reading(0.56, 0.44)] * 6
    assert classify(weak) == "healthy"
    assert classify(weak, before="generator winning") == "generator winning"


def test_words_for_who_leads_agree_with_the_distance() -> None:
    assert in_words("healthy", 0.4)[0] == "healthy"
    assert "neither player is far ahead" in explain("healthy", [BALANCED])
    for distance in (0.6, 0.75, AHEAD):
        name, meaning = in_words("healthy", distance)
        assert name == "healthy, D leads"
        assert "usually tells photographs from generated images" in meaning
    assert explain("healthy", [reading(0.87, 0.12)]).startswith("healthy, D leads (D(photo) 0.87")
    assert in_words("saturated", 0.99)[0] == "saturated"


def test_every_state_is_explained_with_numbers_and_a_setting() -> None:
    for state in STATES:
        sentence = explain(state, [SATURATED])
        name, _ = in_words(state, SATURATED.distance)
        assert sentence.startswith(f"{name} (D(photo) 1.00, D(generated) 0.00): ")
        assert "\n" not in sentence
        assert state == "healthy" or "=" in sentence
