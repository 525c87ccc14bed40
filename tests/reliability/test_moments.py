"""The moments at which the slow trials strike are functions of the package."""

import pytest

from experiments.reliability import faults
from experiments.reliability.trials import MOMENTS, Moment, located

FAULTS: dict[str, Moment] = {
    name: value
    for name, value in vars(faults).items()
    if isinstance(value, tuple) and str(value[0]).startswith("sr_gan.")
}


@pytest.mark.parametrize("name", [*MOMENTS, *FAULTS])
def test_a_moment_is_in_the_package(name: str) -> None:
    module, place, _ = (MOMENTS | FAULTS)[name]
    owner, attribute = located(module, place)
    assert callable(getattr(owner, attribute))
