"""Every study's script runs, at toy size, so that none rots: ``make studies-smoke``."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file
from skimage.data import chelsea

from sr_gan.networks import VGG19Features
from tests.conftest import ROOT

STUDIES = sorted(path.parent for path in (ROOT / "experiments").glob("*/run.sh"))
TINY = (
    "generator.filters=8 generator.blocks=1 data.crop=32 data.batch_size=2 data.crops_per_epoch=4 "
    "data.valid_crop=48 trainer.accelerator=cpu trainer.precision=32-true"
)
GAN = f"{TINY} gan.epochs=2 trainer.check_val_every_n_epoch=1"
ARGUMENTS = {  # what follows the script's name, and the variables before it
    "compact_cpu": "{photos} {photos} generator.filters=8 generator.blocks=1 data.crop=32 "
    "data.batch_size=2 data.crops_per_epoch=4 data.valid_crop=48 pretrain.epochs=1",
    "data_speed": "{photos} images=4 batch_size=2 seconds=0.1 rounds=1",
    "failures": "{vgg} {alexnet} generator.filters=8 generator.blocks=1 data.crop=32 "
    "data.batch_size=2 data.crops_per_epoch=4 pretrain.epochs=1 gan.epochs=1",
    "finetune": "{photos} {photos} {squeezenet} {alexnet} data.crop=32 data.batch_size=2 "
    "data.crops_per_epoch=4 data.valid_crop=48 gan.epochs=1 trainer.check_val_every_n_epoch=1",
    "loss_weights": f"{{alexnet}} {GAN} pretrain.epochs=1",
    "msrresnet_cpu": f"{{photos}} {{photos}} {TINY} pretrain.epochs=1",
    "photo": "{photos} {photos} {squeezenet} {alexnet} {sets} data.crop=20 data.batch_size=2 "
    "discriminator.layers=1 degradation.resize.factor=[1,1.5] data.crops_per_epoch=4 "
    "data.valid_crop=48 pretrain.epochs=1 gan.epochs=1 trainer.check_val_every_n_epoch=1",
    "postfilter": "{set} {alexnet} psnr=psnr gan=gan -- device=cpu",
    "reliability": "{photos} finished",
    "remedies": "{photos} {photos} {vgg} {alexnet} data.valid_crop=48 generator.filters=8 "
    "generator.blocks=1",
    "speed": "generator.filters=8 generator.blocks=1 data.crop=32 data.batch_size=2 "
    "bench.updates=2 bench.photos=2",
    "srgan_400ep": f"{{photos}} {{photos}} {{vgg}} {GAN} data.crop=48 discriminator.filters=4",
    "srgan_modern": f"{{photos}} {{photos}} {{vgg}} {{alexnet}} {{squeezenet}} {{sets}} {GAN} "
    "pretrain.epochs=1 discriminator.filters=4",
    "use": f"{{photos}} {{photos}} {{alexnet}} {{set}} -- {GAN} pretrain.epochs=1",
}
VARIABLES = {
    "reliability": {"KILLS": "1", "SIGNALS": ""},
    "remedies": {"UPDATES": "6", "BATCH": "2", "CROP": "32", "ONLY": "0[01]*"},
    "failures": {"ONLY": "[gs]*"},
    "postfilter": {"SIGMAS": "0.0 0.6"},
    "data_speed": {"GROWTH": "4"},
    "speed": {"UPSCALE": "model=null width=64 height=48 rounds=1", "GROWTH": "data.crop=32,48"},
}


@pytest.fixture(scope="session")
def places(
    photos: Path,
    alexnet_file: Path,
    squeezenet_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """What the scripts are given: photographs, test sets and random weights."""
    folder = tmp_path_factory.mktemp("studies")
    for name in ("Set5", "Set14"):
        (folder / "sets" / name).mkdir(parents=True)
        (folder / "sets" / name / "HR").symlink_to(photos)
    vgg = VGG19Features(["conv3_4"], "random").state_dict()
    features = {k: v.contiguous() for k, v in vgg.items() if k.startswith("features.")}
    save_file(features, folder / "vgg.safetensors")
    return {
        "photos": photos,
        "sets": folder / "sets",
        "set": folder / "sets" / "Set5" / "HR",
        "alexnet": alexnet_file,
        "vgg": folder / "vgg.safetensors",
        "squeezenet": squeezenet_file,
    }


def test_every_script_is_known() -> None:
    assert {study.name for study in STUDIES} == set(ARGUMENTS)


def test_the_index_names_every_study() -> None:
    index = (ROOT / "experiments" / "README.md").read_text()
    studies = {path.parent.name for path in (ROOT / "experiments").glob("*/README.md")}
    assert set(re.findall(r"\]\((\w+)/README\.md\)", index)) == studies


def test_pictures_are_photographs_their_halves_and_drawings(photos: Path, tmp_path: Path) -> None:
    script = ROOT / "experiments/msrresnet_cpu/pictures.py"
    for folder, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        command = [sys.executable, str(script), str(photos), str(tmp_path / folder), "1", seed]
        subprocess.run(command, check=True)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    pairs = [f"{kind}_{i:04d}.png" for kind in ("photo", "half") for i in range(6)]
    assert names == {"drawing_0000.png", *pairs}
    photo, half = (Image.open(tmp_path / "a" / f"{kind}_0000.png") for kind in ("photo", "half"))
    assert half.size == (photo.width // 2, photo.height // 2)
    first, again, other = ((tmp_path / f"{f}/drawing_0000.png").read_bytes() for f in "abc")
    assert first == again != other


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


GPU_RECIPES = ("modern", "unet", "ldl", "unit", "bands")
GPU_TOY = f"{TINY} callbacks.compile.when=never trainer.limit_val_batches=2 data.valid_crop=48"
GPU_STUDIES = {  # what a script is given, the variables before it, what it packs
    "study_1.sh measure": (
        f"{TINY} discriminator.filters=4 discriminator.dense=8 "
        "gan.loss.content.vgg.layers=[relu1_2]",
        {"UPDATES": "21", "PRECISIONS": ""},
        {"bench-bf16.json", "trace.json.gz", "bench-bf16-compiled.json"},
    ),
    "study_1.sh train": (
        GPU_TOY,
        {"UPDATES": "4", "TRAIN_SECONDS": "1", "EPOCHS": "10"},
        {"trial.csv", "metrics.csv", "pretrain-best.safetensors", "pretrain-last.safetensors"},
    ),
    "study_2.sh": (
        f"{GPU_TOY} discriminator.filters=4",
        {"UPDATES": "2", "TRAIN_SECONDS": "1", "EPOCHS": "2", "RECIPES": " ".join(GPU_RECIPES)},
        {"gan-best.safetensors", "gan-last.safetensors", "summary.json"},
    ),
    "study_3.sh": (
        f"{GPU_TOY} gan.epochs=11 data.crop=48 discriminator.filters=4",
        {},
        {"gan-last.safetensors", "report.html", "epoch_0010.png"},
    ),
}


@pytest.mark.slow
def test_the_gpu_studies_run_at_toy_size_and_are_evaluated(
    photos: Path, places: dict[str, Path], tmp_path: Path
) -> None:
    """One after the other, as in one visit, by the tree on the path; their tars are read back."""
    place, out, scripts = tmp_path / "place", tmp_path / "out", ROOT / "experiments" / "gpu"
    place.mkdir()
    (place / "train").symlink_to(photos)
    (place / "valid").mkdir()
    Image.fromarray(chelsea()[:128, 100:228]).save(place / "valid" / "cat.png")  # VGG sees 96
    for name, file in (("vgg19", "vgg"), ("alexnet", "alexnet"), ("squeezenet", "squeezenet")):
        (place / f"{name}.safetensors").symlink_to(places[file])
    common = {**os.environ, "PYTHON": sys.executable, "PLACE": str(place), "PARTS": ""}
    common |= {"PATIENCE": "10", "LIMIT": "3000"}  # two busy cores are no GPU

    def run(variables: dict[str, str], *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**common, **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for study, (settings, variables, packed) in GPU_STUDIES.items():
        script, *part = study.split()
        printed = run(variables, str(scripts / script), *part, str(out), *settings.split())
        failed = [line for line in printed.splitlines() if re.search(r"exit [^0 ]", line)]
        assert not [line for line in failed if not line.startswith("tests")], printed
        name = "_".join([script.removesuffix(".sh"), *part])
        with tarfile.open(out / f"{name}.tar.gz") as tar:
            assert packed <= {Path(member).name for member in tar.getnames()}, printed
        assert (out / f"{name}.tar.gz").stat().st_size <= 15e6
    given = (out / "study_2.tar.gz", places["sets"], places["alexnet"])
    tables = run({}, str(scripts / "evaluate.sh"), *map(str, given))
    for name in GPU_RECIPES:
        assert re.search(rf"\| {name}/gan-best \| \d+\.\d\d \| 0\.\d{{4}} \|", tables), tables
    assert (out / "study_2" / "table.md").exists()
