"""Files and folders of strangers: no command that reads them runs, fetches or tells anything.

Each of them would make a file ``marker``, or show a secret of the environment, if something in it
was run. Models are in ``tests/inference/test_hostile_models.py``.
"""

import json
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import EpsImagePlugin, Image

from sr_gan.sweeps.jobs import finished
from tests.conftest import Compose, Shell, random_photo
from tests.images.made_files import claim
from tests.made_runs import MakeRun

SECRET = "secret-of-the-environment"
SCRIPT = "<script>alert(1)</script>"
CREATE = "${oc.create:{_target_:torch.utils.collect_env.run,_args_:['touch marker']}}"


class Program:
    """Makes ``marker`` when it is unpickled."""

    def __reduce__(self) -> Any:
        return subprocess.run, (["touch", "marker"],)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A program ``gs`` that would leave a marker, and a secret; there is none at the end."""
    programs = tmp_path.parent / f"{tmp_path.name}-programs"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/marker\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    yield
    assert not list(tmp_path.rglob("marker"))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"
PHOTOS: dict[str, bytes] = {
    "PostScript.png": EPS,
    "PostScript in a header of DOS.jpg": struct.pack(
        "<IIIIIIIH", 0xC6D3D0C5, 32, len(EPS), *[0] * 5
    )
    + bytes(2)
    + EPS,
    "PDF.png": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
    "SVG.png": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "HTML.jpg": SCRIPT.encode(),
    "pickle.png": pickle.dumps(Program()),
    "bomb.png": claim(2**31 - 1, 2**31 - 1),
    "cut off.png": claim(12_000, 12_000),
    f"{SCRIPT.replace('/', ':')}.png": b"no image",
    "\x1b[2J\n.png": b"no image",
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, content in PHOTOS.items():
        (folder / name).write_bytes(content)
    (folder / "loop.png").symlink_to("pool.png")
    (folder / "pool.png").symlink_to("loop.png")
    (folder / "passwords.png").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to(folder)
    Image.fromarray(random_photo(64, 64)).save(folder / "good.png")
    return folder


def test_photos_are_refused_one_by_one(photos: Path, shell: Shell) -> None:
    wrong = len(PHOTOS) + 3
    code, out, errors = shell("upscale", "model=bicubic", "input=photos", "output=large")
    assert code == 1
    assert f"error: {wrong} of {wrong + 1} images failed" in errors
    assert [path.name for path in Path("large").rglob("*.png")] == ["good.png"]
    code, _, errors = shell("prepare", "data=folder", "data.train_dir=photos")
    assert code == 1
    assert f"error: {wrong} images cannot be used" in errors
    arguments = ["data=folder", "data.train_dir=photos", "data.on_bad=skip"]
    code, out, _ = shell("prepare", *arguments)
    assert (code, "1 photo" in out) == (0, True)
    for command, *more in (
        ("evaluate", "model=bicubic", "benchmark=photos"),
        ("interpolate", "a=psnr", "b=gan", "alpha=0.5", "photos=photos"),
        ("interpolate", "a=psnr", "b=gan", "alpha=0.5", "benchmark=photos"),
    ):
        code, _, errors = shell(command, *more)
        assert code == 1, command
        assert errors.splitlines()[-1].startswith("error: "), errors
        assert "Traceback" not in errors


CONFIGS = {
    "interpolations": f"gan: {{epochs: 3}}\nstages: [gan]\nrun_dir: ${{oc.env:SECRET}}\n"
    f'seed: "{CREATE}"\ndata: {{train_dir: "${{oc.env:SECRET}}"}}\n',
    "HTML": f'gan: {{epochs: 3}}\nstages: [gan]\ndata: {{train_dir: "{SCRIPT}"}}\n',
    "code": "gan: !!python/object/apply:os.system ['touch marker']\n",
    "a name": "gan: !!python/name:os.system\n",
    "a bomb": "a: &a [1,1,1,1]\n" + "".join(f"a{i}: &a{i} [*a,*a]\n" for i in range(9)),
}


def stranger(make_run: MakeRun, name: str, config: str) -> Path:
    """A run folder in which every file tries something."""
    run = make_run(name, grids=(1, 2))
    (run / "config.yaml").write_text(config)
    environment = {"command": SCRIPT, "packages": {SCRIPT: SCRIPT}, "date": "${oc.env:SECRET}"}
    (run / "environment.json").write_text(json.dumps(environment))
    (run / "summary.json").write_text(json.dumps({"gan": {"epochs": SCRIPT}}))
    (run / "error.txt").write_text(SCRIPT)
    (run / "evaluation").mkdir()
    scores = {"model": SCRIPT, "scale": 4, "mean": {"psnr_y": 1.0}, "bicubic": {}}
    (run / "evaluation" / "<b>bold.json").write_text(json.dumps(scores))
    table = (run / "metrics.csv").read_text().replace("loss/generator", f"loss/{SCRIPT}", 1)
    (run / "metrics.csv").write_text(table)
    (run / "samples" / "gan" / "epoch_0001.png").write_bytes(EPS)
    (run / "samples" / "gan" / "epoch_0002.png").unlink()
    (run / "samples" / "gan" / "epoch_0002.png").symlink_to("/etc/passwd")
    (run / "samples" / "gan" / "epoch_0003.png").write_bytes(claim(16_000, 12_000))
    checkpoint = run / "checkpoints" / "gan" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    torch.save({"sr_gan": Program(), "state_dict": {}}, checkpoint)
    return run


@pytest.mark.parametrize("case", CONFIGS)
def test_a_report_on_a_strangers_run(case: str, make_run: MakeRun, shell: Shell) -> None:
    run = stranger(make_run, "theirs", CONFIGS[case])
    code, out, errors = shell("report", f"run={run}", "output=page")
    if case in ("interpolations", "HTML"):
        assert code == 0, errors
        page = Path("page/report.html").read_text()
        assert "<script" not in page
        assert "<b>bold" not in page
        assert SECRET not in page + Path("page/report.md").read_text()
    else:
        assert code == 1
        assert errors.startswith(f"error: {run}/config.yaml is damaged: ")
        assert len(errors.splitlines()) == 1
    make_run("mine")
    code, _, errors = shell("report", f"run={run.parent}", "output=pages")
    assert code == 0, errors
    page = Path("pages/report.html").read_text()
    assert "<script" not in page
    assert SECRET not in out + errors + page


@pytest.mark.parametrize("stage", ["../../../outside", "a/../../x", "/tmp/x", "..", SCRIPT, "a b"])
def test_a_stage_is_no_path(stage: str, make_run: MakeRun, shell: Shell) -> None:
    run = make_run("theirs")
    table = (run / "metrics.csv").read_text()
    (run / "metrics.csv").write_text(table.replace("gan,", f"{stage},"))
    code, _, errors = shell("report", f"run={run}", "output=page")
    assert code == 1
    assert "is not the name of a stage" in errors
    assert not Path("page").exists()


def test_a_report_deletes_no_pictures_but_its_own(make_run: MakeRun, shell: Shell) -> None:
    run = make_run("theirs", grids=(1, 2, 3))
    Path("pictures").mkdir()
    Path("pictures/mine.png").write_text("mine")
    (run / "report").mkdir()
    (run / "report" / "figures").symlink_to(Path("pictures").resolve())
    (run / "report" / "report.md").write_text("![a](figures/mine.png)\n![b](figures/../../x.png)")
    Path("page/figures").mkdir(parents=True)
    Path("page/figures/mine.png").write_text("mine")
    assert shell("report", f"run={run}")[0] == 0
    for _ in range(2):
        assert shell("report", f"run={run}", "output=page", "epochs=[1]")[0] == 0
    assert Path("pictures/mine.png").read_text() == "mine"
    assert Path("page/figures/mine.png").read_text() == "mine"


@pytest.mark.parametrize("key", ["model", "init_from"])
def test_a_strangers_run_as_a_model(key: str, make_run: MakeRun, shell: Shell) -> None:
    run = stranger(make_run, "theirs", CONFIGS["interpolations"])
    Path("photos").mkdir()
    Image.fromarray(random_photo(32, 32)).save("photos/a.png")
    weights = run / "checkpoints" / "gan" / "last.ckpt"
    commands: dict[str, list[tuple[str, ...]]] = {
        "model": [("upscale", "input=photos"), ("evaluate", "benchmark=photos")],
        "init_from": [("interpolate", "b=gan", "alpha=0.5")],
    }
    for command, *arguments in commands[key]:
        name = "a" if command == "interpolate" else key
        for value in (run, weights):
            code, out, errors = shell(command, f"{name}={value}", *arguments)
            assert code == 1, command
            assert errors.startswith(f"error: {name}={weights} cannot be read: it holds more than")
            assert "weights_only" not in errors
            assert SECRET not in out + errors


def test_a_strangers_job_in_a_sweep(make_run: MakeRun, composed: Compose) -> None:
    run = stranger(make_run, "theirs", CONFIGS["interpolations"])
    cfg = composed("quickstart")
    with pytest.raises(Exception, match="holds a run with other settings") as error:
        finished(cfg, run)
    assert SECRET not in str(error.value)


def test_an_archive_of_a_stranger_is_not_unpacked(shell: Shell, tmp_path: Path) -> None:
    """Names that lead out of the folder are tested in tests/data/download/test_unzip.py."""
    (tmp_path / "DIV2K").mkdir()
    (tmp_path / "DIV2K" / "DIV2K_train_HR.zip").write_bytes(pickle.dumps(Program()) + bytes(100))
    url = f"data.url={tmp_path.as_uri()}/nothing/"
    code, _, errors = shell("prepare", "data=div2k", "data.root=DIV2K", url)
    assert code == 1
    assert errors.splitlines()[-1].startswith("error: ")
    assert not list((tmp_path / "DIV2K").rglob("*.png"))
