"""Every study's script runs, at toy size, so that none rots: ``make studies-smoke``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from sr_gan.networks import VGG19Features
from tests.conftest import ROOT

STUDIES = sorted(path.parent for path in (ROOT / "experiments").glob("*/run.sh"))
TINY = (
    "generator.filters=8 generator.blocks=1 data.crop=32 data.batch_size=2 data.crops_per_epoch=4 "
    "data.valid_crop=48 trainer.accelerator=cpu trainer.precision=32-true"
)
GAN = f"{TINY} gan.epochs=2 trainer.check_val_every_n_epoch=1"
ARGUMENTS = {  # what follows the script's name, and the variables before it
    "data_speed": "{photos} images=4 batch_size=2 growth=[]",
    "loss_weights": f"{{alexnet}} {GAN} pretrain.epochs=1",
    "msrresnet_cpu": f"{{photos}} {{photos}} {TINY} pretrain.epochs=1",
    "postfilter": "{set} {alexnet} psnr=psnr gan=gan -- device=cpu",
    "remedies": "{photos} {photos} {vgg} {alexnet} data.valid_crop=48 generator.filters=8 "
    "generator.blocks=1",
    "speed": "generator.filters=8 generator.blocks=1 data.crop=32 data.batch_size=2 "
    "bench.growth=null",
    "srgan_400ep": f"{{photos}} {{photos}} {{vgg}} {GAN} data.crop=48 discriminator.filters=4",
    "srgan_modern": f"{{photos}} {{photos}} {{vgg}} {{alexnet}} {{squeezenet}} {{sets}} {GAN} "
    "pretrain.epochs=1 discriminator.filters=4",
    "use": f"{{photos}} {{photos}} {{alexnet}} {{set}} -- {GAN} pretrain.epochs=1",
}
VARIABLES = {
    "remedies": {"UPDATES": "6", "BATCH": "2", "CROP": "32", "ONLY": "0[01]*"},
    "postfilter": {"SIGMAS": "0.0 0.6"},
    "speed": {"UPSCALE": "model=null width=64 height=48 rounds=1"},
}


@pytest.fixture(scope="session")
def places(
    photos: Path, alexnet_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What the scripts are given: photographs, test sets and random weights."""
    folder = tmp_path_factory.mktemp("studies")
    for name in ("Set5", "Set14"):
        (folder / "sets" / name).mkdir(parents=True)
        (folder / "sets" / name / "HR").symlink_to(photos)
    vgg = VGG19Features(["conv3_4"], "random").state_dict()
    squeezenet = squeezenet1_1(weights=None).state_dict()
    for name, state in {"vgg": vgg, "squeezenet": squeezenet}.items():
        features = {k: v.contiguous() for k, v in state.items() if k.startswith("features.")}
        save_file(features, folder / f"{name}.safetensors")
    return {
        "photos": photos,
        "sets": folder / "sets",
        "set": folder / "sets" / "Set5" / "HR",
        "alexnet": alexnet_file,
        "vgg": folder / "vgg.safetensors",
        "squeezenet": folder / "squeezenet.safetensors",
    }


def test_every_script_is_known() -> None:
    assert {study.name for study in STUDIES} == set(ARGUMENTS)


def test_the_index_names_every_study() -> None:
    index = (ROOT / "experiments" / "README.md").read_text()
    studies = {path.parent.name for path in (ROOT / "experiments").glob("*/README.md")}
    assert set(re.findall(r"\]\((\w+)/README\.md\)", index)) == studies


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_runs_at_toy_size(study: Path, places: dict[str, Path], tmp_path: Path) -> None:
    arguments = ARGUMENTS[study.name].format(**places).split()
    environment = {
        **os.environ,
        **VARIABLES.get(study.name, {}),
        "PYTHON": sys.executable,
        "RESULTS": str(tmp_path / "results"),
    }
    run = subprocess.run(
        [study / "run.sh", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert any(tmp_path.iterdir())
