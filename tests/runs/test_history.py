import math
from pathlib import Path

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.history import find_runs, newest, read_run
from tests.made_runs import MakeRun


def test_a_run_is_read_back(make_run: MakeRun) -> None:
    path = make_run("a", grids=(1, 3))
    (path / "evaluation").mkdir()
    (path / "evaluation" / "Set14.json").write_text('{"mean": {}, "images": [1, 2]}')
    (path / "evaluation" / "Set5.json").write_text('{"mean": {}, "images": [1]}')
    run = read_run(path)
    assert run.final is run.stages["gan"]
    assert run.stages["gan"].epochs == 3
    assert run.stages["gan"].series("discriminator/real") == [(1, 0.6), (2, 0.7), (3, 0.75)]
    assert run.stages["gan"].last("quality/psnr_y") == 27.2
    assert run.planned("gan") == 3
    assert run.planned("pretrain") is None
    assert list(run.samples("gan")) == [1, 3]
    assert list(run.benchmarks) == ["Set5", "Set14"]  # the smaller set first


def test_epochs_without_the_metric_and_nan_are_no_points(make_run: MakeRun) -> None:
    values = enumerate(["1", "", "nan"], 1)
    rows = [{"stage": "gan", "epoch": i, "a": value} for i, value in values]
    stage = read_run(make_run("a", rows)).stages["gan"]
    assert stage.series("a") == [(1, 1.0)]
    assert math.isnan(stage.rows[2]["a"])
    assert stage.last("b") is None


def test_a_run_that_never_came_to_an_epoch_is_a_run(make_run: MakeRun) -> None:
    run = read_run(make_run("a", rows=[]))
    assert run.stages == {}
    assert run.final is None


def test_folders_of_runs_patterns_and_lists(make_run: MakeRun, tmp_path: Path) -> None:
    a, b, c = (make_run(name) for name in ("a", "sweep/0", "sweep/1"))
    (tmp_path / "runs" / "notes").mkdir()
    assert find_runs([str(a)]) == [a]
    assert find_runs([str(tmp_path / "runs")]) == [a, b, c]
    assert find_runs([str(tmp_path / "runs" / "*")]) == [a, b, c]
    assert find_runs([str(c), str(tmp_path / "runs" / "sweep")]) == [c, b]


def test_a_table_inside_a_run_is_no_run(make_run: MakeRun, tmp_path: Path) -> None:
    a = make_run("a")
    (a / "csv" / "gan").mkdir(parents=True)
    (a / "csv" / "gan" / "metrics.csv").touch()
    assert find_runs([str(tmp_path / "runs")]) == [a]


def test_the_newest_is_the_one_written_to_last(make_run: MakeRun) -> None:
    a, b = make_run("a"), make_run("b")
    (a / "metrics.csv").touch()
    assert newest([a, b]) == a


WRONG = {
    "none": "run=none does not exist",
    "n*": r"run=n\* does not exist",
    "file": "run=file is a file",
    ".": r"run=\.: there is no run in it .*environment\.json or metrics\.csv",
}


@pytest.mark.parametrize("origin", WRONG)
def test_what_is_no_run_is_told(
    origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(UserError, match=WRONG[origin]):
        find_runs([origin])


DAMAGE = {
    "a line cut off": ("metrics.csv", b"stage,epoch,a\ngan,0,1\ngan,1\n", "line 3 has not as many"),
    "too many cells": ("metrics.csv", b"stage,epoch\ngan,0,1\n", "line 2 has not as many"),
    "no number": ("metrics.csv", b"stage,epoch\ngan,zero\n", "line 2: could not convert"),
    "empty": ("metrics.csv", b"", "it has no rows"),
    "no header": ("metrics.csv", b"gan,0\ngan,1\n", "it has no column 'stage'"),
    "binary": ("metrics.csv", b"\xff\xfe\x00", "damaged"),
    "half a JSON": ("environment.json", b"{", r"environment\.json is damaged: Expecting"),
    "no YAML": ("config.yaml", b"a: [", r"config\.yaml is damaged"),
    "a list": ("config.yaml", b"- a", "it holds no settings"),
    "no group": ("config.yaml", b"data: 3", "data is no group of settings"),
    "no stages": ("config.yaml", b"stages: gan", "stages is no list"),
    "a bomb": ("config.yaml", b"a: &a [1,1]\nb: [*a,*a]", "it has aliases"),
    "a deep one": ("config.yaml", b"a: " + b"[" * 9000, "damaged"),
    "a deep JSON": ("environment.json", b"[" * 200_000, "damaged"),
    "packages": ("environment.json", b'{"packages": []}', "packages is no group of settings"),
    "scores": ("evaluation/a.json", b'{"mean": 1}', "mean is no group of settings"),
    "a stage with a path": ("metrics.csv", b"stage,epoch\n../a,0\n", "not the name of a stage"),
    "a negative epoch": ("metrics.csv", b"stage,epoch\ngan,-1\n", "the epoch is negative"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_file_is_named(case: str, make_run: MakeRun) -> None:
    name, content, message = DAMAGE[case]
    path = make_run("a")
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_run(path)
    assert str(path / name) in str(error.value)
