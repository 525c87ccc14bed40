"""Every command from end to end, with odd names wherever a path is given."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL
from tests.odd_names import ODD_NAMES

ALL = " ".join(name.strip() for name in ODD_NAMES if len(name) < 10)


def done(here: Path, command: str, *arguments: str) -> str:
    line = [sys.executable, "-m", f"sr_gan.{command}", *arguments]
    result = subprocess.run(line, cwd=here, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", [ALL, "~x", " a  blank ", "2024"])
def test_from_photos_to_a_report(name: str, tmp_path: Path, photos: Path, vgg_file: Path) -> None:
    (tmp_path / f"photos {name}").symlink_to(photos)
    weights = tmp_path / f"{name}.safetensors"
    weights.write_bytes(vgg_file.read_bytes())
    data = ["data=folder", f"data.train_dir=photos {name}", f"data.cache_dir=cache/{name}"]
    done(tmp_path, "prepare", *data)
    run = f"runs/{name}".replace("$", "")  # Hydra reads ${...} in the name of a run
    vgg = [f"gan.loss.content.vgg.weights={weights}", "gan.loss.content.vgg.layers=[relu1_2]"]
    loss = ["loss@gan.loss=paper_oxford", *vgg]
    train = [*SMALL, *data, *loss, "stages=[gan]", "callbacks.progress=null"]
    done(tmp_path, "train", *train, f"hydra.run.dir={run}")
    assert (tmp_path / run / "checkpoints" / "gan" / "last.ckpt").is_file()
    model = tmp_path / f"model {name}"
    (tmp_path / run).rename(model)
    done(tmp_path, "train", *train, f"init_from=model {name}", "hydra.run.dir=second")
    done(tmp_path, "upscale", f"model=model {name}", f"input=photos {name}", f"output=out {name}")
    assert len(list((tmp_path / f"out {name}").rglob("*.*"))) == 6
    done(tmp_path, "evaluate", f"model=model {name}", f"benchmark=photos {name}")
    done(tmp_path, "report", f"run=model {name}", f"output=report {name}")
    assert (tmp_path / f"report {name}" / "report.html").is_file()
    files = [path for path in tmp_path.rglob("*") if not path.is_symlink()]
    assert not [path for path in files if path.suffix == ".part"]
    begins = ("photos", "model", "out", "report", "cache", "second", "runs", "outputs")
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(begins)} == {weights.name}
