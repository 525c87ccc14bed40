"""Runs that are interrupted in every way lose nothing; the study is in experiments/reliability."""

from itertools import cycle
from pathlib import Path
from random import Random

import pytest

from experiments.reliability.faults import FAULTS, cause
from experiments.reliability.trials import MOMENTS, SIGNALS, Runs, interrupt, kill

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("reliability"), photos)


@pytest.mark.parametrize(("name", "moment"), zip(cycle(SIGNALS[1:] + SIGNALS[:1]), MOMENTS))
def test_a_signal_loses_nothing(runs: Runs, name: str, moment: str) -> None:
    assert not interrupt(runs, name, moment).lost


@pytest.mark.parametrize("seed", [0, 1])
def test_a_kill_loses_nothing(runs: Runs, seed: int) -> None:
    assert not kill(runs, Random(seed)).lost


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_loses_nothing(runs: Runs, name: str) -> None:
    trial = cause(runs, name)
    if trial.happened.startswith("not tried"):
        pytest.skip(trial.happened)
    assert not trial.lost, trial
