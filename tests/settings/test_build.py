import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_gan.errors import UserError
from sr_gan.settings.build import build, build_all
from sr_gan.settings.check import check
from sr_gan.settings.conf import conf_dir
from tests.conftest import ROOT, Compose


def test_conf_is_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert (conf_dir() / "train.yaml").is_file()


@pytest.mark.slow
def test_a_wheel_carries_its_configuration(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    packed = {
        p.relative_to(tmp_path / "site/sr_gan/conf") for p in tmp_path.rglob("conf/**/*.yaml")
    }
    assert packed == {p.relative_to(ROOT / "conf") for p in (ROOT / "conf").rglob("*.yaml")}
    shown = subprocess.run(
        [sys.executable, "-m", "sr_gan.train", "experiment=srgan_400ep", "--cfg", "job"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "end_kernel: 3" in shown.stdout


def test_build_names_the_key_of_what_was_refused() -> None:
    cfg = OmegaConf.create(
        {"outer": {"generator": {"_target_": "sr_gan.networks.SRResNet", "scale": 5}}}
    )
    with pytest.raises(UserError, match=r"^outer\.generator\.scale=5: allowed are 2, 4, 8$"):
        build(cfg.outer.generator)
    nested = OmegaConf.create(
        {
            "gan": {
                "_target_": "sr_gan.losses.Objective",
                "weights": {"tv": 1.0},
                "content": {"tv": {"_target_": "sr_gan.losses.VGGLoss", "distance": "no"}},
            }
        }
    )
    with pytest.raises(UserError, match=r"^gan\.content\.tv\.distance=no: allowed are mse, l1$"):
        build(nested.gan)


def test_null_switches_a_named_node_off() -> None:
    nodes = OmegaConf.create({"a": {"_target_": "torch.nn.Identity"}, "b": None})
    assert len(build_all(nodes, "gan")) == 1


@pytest.mark.parametrize(
    ("node", "value", "message"),
    [
        (
            "gan.loss.content.l1._target_",
            "torch.nn.Nothing",
            "gan.loss.content.l1._target_=torch.nn",
        ),
        (
            "callbacks.samples.photos",
            "four",
            "callbacks.samples.photos=four: must be a whole",
        ),
        ("gan.betas", 0.9, "gan.betas=0.9: must be a list"),
        ("data.valid_crop", "big", "data.valid_crop=big: must be a whole number"),
        ("seed", "x", "seed=x: must be a whole number"),
    ],
)
def test_types_are_checked_against_constructors(
    composed: Compose, node: str, value: object, message: str
) -> None:
    cfg = composed("quickstart")
    OmegaConf.update(cfg, node, value)
    with pytest.raises(UserError) as error:
        check(cfg)
    assert str(error.value).startswith(message)


def test_an_object_of_another_class_is_named_by_its_class() -> None:
    wrong = {"_target_": "sr_gan.data.degradation.Kinds", "names": ["clean"]}
    data = {"_target_": "sr_gan.data.datamodule.SRData", "degradation": wrong}
    with pytest.raises(UserError, match=r"^data\.degradation=Kinds: should be an instance of Deg"):
        build(OmegaConf.create({"data": data}).data)
