"""How KEY=VALUE is read, and how jobs are named."""

import pytest

from sr_gan.settings import overrides


def test_job_names_are_short_folder_names() -> None:
    common = overrides.shared_keys(["-m", "lr=1e-4", "a=1,2", "b=x/y,z"])
    assert common == {"lr"}
    own = ["lr=0.0001", "a=1", "b=x/y"]
    assert overrides.name_job(3, own, common) == "3_a=1,b=x_y"
    assert overrides.name_job(None, own, common) == "a=1,b=x_y"
    assert overrides.name_job(None, ["lr=1"], common) == "job"
    drawn = ["lr=3.5511077661675016e-05", "a=0.0020228662931987577", "b=0.25"]
    assert overrides.name_job(1, drawn, set()) == "1_lr=3.551e-05,a=0.002023,b=0.25"
    assert len(overrides.name_job(0, ["a=3"] * 100, common)) == 120


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("loss@gan.loss=l1,gan.loss.weights.adversarial=0.1", "loss=l1, adversarial=0.1"),
        ("12_stages=[pretrain,gan]", "stages=[pretrain,gan]"),
        ("2026-01-31-120000", "2026-01-31-120000"),
        ("a (copy), 1", "a (copy), 1"),
    ],
)
def test_labels_say_what_is_a_jobs_own(folder: str, label: str) -> None:
    assert overrides.label(folder) == label
