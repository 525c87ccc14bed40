"""The runs that come with the package are found."""

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.history import find_runs, read_run
from sr_gan.runs.studies import study


def test_the_runs_of_a_study_are_found() -> None:
    runs = find_runs([str(study("remedies") / "runs")])
    assert [path.name for path in runs][:2] == ["00_mission", "01_pretrain"]
    assert "gan" in read_run(study("srgan_400ep") / "small_crops").stages


def test_a_study_that_is_not_here_is_refused_with_the_names_of_those_that_are() -> None:
    with pytest.raises(UserError, match=r"no study cats here: give one of .*remedies, "):
        study("cats")
