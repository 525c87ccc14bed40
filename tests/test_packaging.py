"""The distributions hold all that is needed, and work outside the repository."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sr_gan import __version__
from tests.conftest import ROOT, random_photo


def test_all_files_name_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == (__version__, citation["date-released"])
    assert citation["version"] == __version__
    dates = [date for _, date in released]
    assert dates == sorted(dates, reverse=True)
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # its schema's


def test_the_long_description_has_no_links_into_the_repository() -> None:
    text = (ROOT / "docs" / "package.md").read_text()
    assert not [link for link in re.findall(r"\]\(([^)]*)\)", text) if "://" not in link]


def test_make_without_cuda_takes_pytorch_from_its_own_index(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())

    def commands(*words: str) -> list[str]:
        done = subprocess.run(
            ["make", "-n", *words, "install"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if "-m pip install" in line]

    (all_of_it,) = commands()
    torch, rest = commands("CPU=1")
    assert rest == all_of_it
    assert "--index-url" not in all_of_it
    assert re.search(r"--no-deps --index-url https://\S+/whl/cpu torch torchvision$", torch)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made of the source distribution, which is made of the repository."""
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    assert list(folder.glob("*.tar.gz"))
    return next(folder.glob("*.whl"))


def build(folder: Path, *options: str) -> None:
    words = [sys.executable, "-m", "build", "--no-isolation", *options, "-o", str(folder)]
    done = subprocess.run([*words, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_wheel_of_the_repository_is_that_of_the_source_distribution(
    wheel: Path, tmp_path: Path
) -> None:
    build(tmp_path, "--wheel")
    (direct,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(direct) as other:
        assert {x.filename: x.CRC for x in one.infolist()} == {
            x.filename: x.CRC for x in other.infolist()
        }


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, str(wheel)], check=True)
    return folder


@pytest.mark.slow
def test_the_wheel_works_outside_the_repository(site: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment; CONTRIBUTING.md says how to try them, too."""
    here = tmp_path
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=here, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("-c", "import sr_gan; print(sr_gan.__file__)").strip().startswith(str(site))
    assert "upscale" in run("-m", "sr_gan", "--help")
    few = ["pretrain.epochs=1", "gan.epochs=1", "data.crops_per_epoch=16", "trainer=cpu"]
    assert "loss" in run("-m", "sr_gan", "train", *few)
    (trained,) = here.glob("runs/quickstart/*")
    Image.fromarray(random_photo(16, 16)).save(here / "small.png")
    for model in (f"model={trained}", "model=gan"):
        run(
            "-m",
            "sr_gan",
            "upscale",
            model,
            "input=small.png",
            "output=large.png",
            "overwrite=true",
        )
        assert Image.open(here / "large.png").size == (64, 64)
    assert "psnr" in run("-m", "sr_gan", "models")
    run("-m", "sr_gan", "publish", f"model={trained}", "repo=me/net", "dry_run=true")
    assert (here / "published" / "README.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["failing_gan", "loss_weights"])
def test_the_notebooks_on_runs_work_from_the_wheel_alone(
    name: str, site: Path, tmp_path: Path
) -> None:
    pytest.importorskip("nbconvert", reason="needs the extra notebook")
    shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", tmp_path)
    words = ["-m", "nbconvert", "--to", "markdown", "--execute", f"{name}.ipynb"]
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / f"{name}_files").iterdir())) >= 3  # pictures
