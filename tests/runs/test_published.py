from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from sr_gan.runs.published import reproduces_original
from sr_gan.settings.conf import conf_dir
from tests.conftest import ROOT, Compose

EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_only_one_recipe_is_the_originals(experiment: str, composed: Compose) -> None:
    config: Any = OmegaConf.to_container(composed(experiment, small=()), resolve=True)
    assert reproduces_original(config) == (experiment == "srgan_400ep")


@pytest.mark.parametrize(
    "change", ["stages=[pretrain,gan]", "init_from=psnr", "gan.ema=0.9", "health.intervene=true"]
)
def test_a_changed_recipe_is_no_reproduction(change: str, composed: Compose) -> None:
    config: Any = OmegaConf.to_container(composed("srgan_400ep", change, small=()), resolve=True)
    assert not reproduces_original(config)


def test_records_of_the_recipe_are_known_and_those_with_remedies_are_not() -> None:
    studies = ROOT / "experiments"
    found = {
        file.parent.relative_to(studies).as_posix()
        for file in studies.glob("**/config.yaml")
        if reproduces_original(yaml.safe_load(file.read_text()))
    }
    assert found == {
        "srgan_400ep/cpu",
        "srgan_400ep/small_crops",
        "remedies/runs/00_mission",
    }


def test_a_run_without_a_configuration_is_none() -> None:
    assert not reproduces_original({})
    assert not reproduces_original({"gan": None, "generator": "x"})
