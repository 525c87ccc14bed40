"""A search as a user starts it, read as by Optuna's own tools."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser

from sr_gan.errors import UserError
from sr_gan.reports.write import write_report
from sr_gan.runs.folder import ERROR, PRUNED
from sr_gan.train import _main, _report
from tests.conftest import SMALL, Output, run_command
from tests.test_train import StopAt

optuna: Any = pytest.importorskip("optuna", reason="the extra optuna is not installed")

from sr_gan.sweeps import search as searching  # noqa: E402

TINY = [
    *SMALL,
    "experiment=search_cpu",
    "init_from=null",
    "gan.epochs=1",
    "callbacks.progress=null",
    "hydra.sweeper.startup=1",
]
Search = Callable[..., Output]


@pytest.fixture
def search(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    alexnet_file: Path,
) -> Search:
    """Runs ``python -m sr_gan.train -m experiment=search_cpu ARGUMENTS`` with tiny networks."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, lpips: str = str(alexnet_file), report: bool = False) -> Output:
        monkeypatch.setattr(
            "sr_gan.reports.write.write_report", write_report if report else _nothing
        )
        line = ["-m", *TINY, f"callbacks.lpips.weights={lpips}", *arguments]
        return run_command(monkeypatch, capsys, _main, "train", *line, after_sweep=_report)

    return run


def _nothing(*arguments: Any) -> None:
    """Stands in for the sweep's report, which takes seconds."""


def load() -> Any:
    return optuna.load_study(study_name="search", storage="sqlite:///runs/search_cpu/study.db")


def states() -> list[str]:
    return [trial.state.name for trial in load().trials]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(1,2)", optuna.distributions.FloatDistribution(1, 2)),
        ("tag(log,interval(1e-4,1))", optuna.distributions.FloatDistribution(1e-4, 1, log=True)),
        ("int(interval(1,5))", optuna.distributions.IntDistribution(1, 5)),
        ("tag(log,int(interval(1,64)))", optuna.distributions.IntDistribution(1, 64, log=True)),
        ("range(1,9,2)", optuna.distributions.IntDistribution(1, 7, step=2)),
        ("range(9,1,-2)", optuna.distributions.IntDistribution(3, 9, step=2)),
        ("range(0.5,2,0.5)", optuna.distributions.FloatDistribution(0.5, 1.5, step=0.5)),
        ("choice(1,2.5,true)", optuna.distributions.CategoricalDistribution([1, 2.5, True])),
        ("a,null,[1,2]", optuna.distributions.CategoricalDistribution(["a", "null", "[1,2]"])),
        ("'x y',b", optuna.distributions.CategoricalDistribution(["'x y'", "b"])),
    ],
)
def test_ranges_become_distributions(text: str, expected: Any) -> None:
    override = OverridesParser.create().parse_override(f"key={text}")
    assert searching.distribution(override) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tag(log,interval(0,1))", "key=tag(log,interval(0,1)): "),
        ("range(3,3)", "key=range(3,3): the range is empty"),
        ("interval(2,1)", "key=interval(2,1): "),
        ("tag(lgo,interval(1,2))", "the tag lgo is not known here (allowed: log,"),
        ("tag(log,choice(1,2))", "the tag log is not known here (allowed: log, of intervals"),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_named(text: str, complaint: str) -> None:
    with pytest.raises(UserError) as error:
        searching.distribution(OverridesParser.create().parse_override(f"key={text}"))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_search_is_a_sweep_and_a_study_and_goes_on(search: Search, tmp_path: Path) -> None:
    code, out, errors = search("hydra.sweeper.trials=2")
    assert (code, errors) == (0, "")
    first = load().trials
    code, out, errors = search("hydra.sweeper.trials=3", "hydra.sweeper.jobs=2", report=True)
    assert (code, errors) == (0, "")

    study = load()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[:2] == first
    assert states() == ["COMPLETE"] * 3
    keys = {"loss@gan.loss", "gan.loss.weights.adversarial", "gan.generator_lr"}
    assert {key for trial in study.trials for key in trial.params} == keys
    assert len({trial.params["gan.generator_lr"] for trial in study.trials}) == 3
    for trial in study.trials:
        folder = tmp_path / "runs" / "search_cpu" / trial.user_attrs["folder"]
        assert folder.name.startswith(f"{trial.number}_loss@gan.loss=")
        last = json.loads((folder / "summary.json").read_text())["gan"]["last"]
        assert trial.values == [last["psnr_y"], last["lpips"]]
        assert trial.user_attrs["epoch"] == 1

    report = (tmp_path / "runs" / "search_cpu" / "report" / "report.md").read_text()
    assert "3 runs" in report
    assert "| front |" in report
    end = out[out.index("3 trials: 3 complete;") :].splitlines()
    assert end[1].split() == [
        "trial",
        "loss",
        "adversarial",
        "generator_lr",
        "PSNR-Y",
        "dB",
        "LPIPS",
    ]
    assert {int(line.split()[0]) for line in end[2:-1]} == {t.number for t in study.best_trials}
    _, _, command = end[-1].partition("study     ")
    assert command == (
        "optuna trials --storage sqlite:///runs/search_cpu/study.db --study-name search"
    )
    dates = [path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/summary.json")]
    assert search("hydra.sweeper.trials=3")[0] == 0  # nothing is missing
    assert [path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*/summary.json")] == dates
    assert len(states()) == 3

    code, _, errors = search("hydra.sweeper.trials=4", "gan.epochs=2")
    assert code == 1
    assert "holds a search with other settings (gan.epochs: 1 -> 2)" in errors
    assert "hydra.sweep.dir=FOLDER" in errors


def test_optunas_command_line_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = searching._open(tmp_path, {})
    study.add_trial(optuna.trial.create_trial(values=[31.5, 0.25], params={}, distributions={}))
    line = searching.describe_pareto_front(tmp_path).rpartition("study     optuna ")[2].split()
    done = subprocess.run(
        [sys.executable, "-c", "from optuna.cli import main; main()", *line, "-f", "json"],
        capture_output=True,
        text=True,
    )
    (trial,) = json.loads(done.stdout)
    assert {"PSNR-Y": 31.5, "LPIPS": 0.25}.items() <= trial["values"].items()


def test_a_trial_that_fails_is_told_and_the_others_go_on(search: Search) -> None:
    wrong = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=range(-1,1)"]
    code, _, errors = search(*wrong, "gan.generator_lr=1e-4", "hydra.sweeper.trials=3")
    assert code == 1
    assert len(states()) == 3
    assert set(states()) == {"COMPLETE", "FAIL"}  # with the default seed
    assert "of the jobs in runs/search_cpu failed:" in errors
    for trial in load().trials:
        negative = trial.params["gan.loss.weights.adversarial"] < 0
        assert negative == (trial.state.name == "FAIL") == ("error" in trial.user_attrs)


def test_an_interrupted_trial_goes_on(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: object, *arguments: Any) -> None:
        StopAt("train").on_train_batch_start(*arguments)

    two = ["hydra.sweeper.trials=2", "gan.epochs=2"]
    with monkeypatch.context() as patch:
        patch.setattr("sr_gan.callbacks.Timing.on_train_batch_start", stop)
        assert search(*two)[0] == 128 + signal.SIGINT
    assert states() == ["RUNNING"]
    before = load().trials[0].params
    assert search(*two)[0] == 0
    assert states() == ["COMPLETE", "COMPLETE"]
    assert load().trials[0].params == before


def test_a_choice_that_does_not_exist_is_one_line(search: Search) -> None:
    code, _, errors = search("loss@gan.loss=pixel,pixl", "hydra.sweeper.trials=1")
    assert code == 1
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    assert states() == ["FAIL"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["hydra.sweeper.trials=0"], "hydra.sweeper.trials=0: a whole number of at least 1"),
        (["hydra.sweeper.jobs=two"], "hydra.sweeper.jobs=two: a whole number of at least 1"),
        (
            ["hydra.sweeper.trails=3"],
            "hydra.sweeper.trails is not a setting; did you mean hydra.sweeper.trials?",
        ),
        (["callbacks.lpips=null"], "callbacks.lpips=null: a search weighs PSNR-Y against LPIPS"),
    ],
)
def test_mistakes_are_one_line(search: Search, arguments: list[str], complaint: str) -> None:
    code, _, errors = search(*arguments)
    assert code == 1
    assert errors.startswith(f"error: {complaint}")
    assert len(errors.splitlines()) == 1
    assert not Path("runs").exists()


def test_without_lpips_there_is_no_search(search: Search) -> None:
    code, _, errors = search(lpips="null")
    assert code == 1
    assert errors.startswith("error: callbacks.lpips.weights=null: a search weighs PSNR-Y against")
    assert "name a file of them with callbacks.lpips.weights=FILE" in errors
    assert not Path("runs").exists()


def test_without_ranges_there_is_no_search(search: Search) -> None:
    fixed = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=1", "gan.generator_lr=1e-4"]
    code, _, errors = search(*fixed)
    assert code == 1
    assert errors.startswith("error: hydra/sweeper=optuna has nothing to search: give a setting")


def test_without_the_extra_it_is_named(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sr_gan.sweeps.search")
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, errors = search()
    assert code == 1
    assert errors == "error: hydra/sweeper=optuna needs optuna: pip install 'sr_gan[optuna]'\n"


def test_a_damaged_study_is_named(search: Search) -> None:
    folder = Path("runs/search_cpu")
    folder.mkdir(parents=True)
    (folder / "study.db").write_text("not a database, but long enough to be looked at" * 40)
    code, _, errors = search()
    assert code == 1
    assert errors.startswith("error: runs/search_cpu/study.db cannot be read: ")
    assert len(errors.splitlines()) == 1


def test_two_searches_of_a_folder_do_not_mix(search: Search) -> None:
    Path("runs/search_cpu").mkdir(parents=True)
    with FileLock("runs/search_cpu/.study.lock"):
        code, _, errors = search()
    assert code == 1
    assert errors == "error: runs/search_cpu is being searched by another process\n"


def test_how_a_job_ended(tmp_path: Path) -> None:
    def ended(summary: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        if summary is not None:
            (tmp_path / "summary.json").write_text(json.dumps({"pretrain": {}, "gan": summary}))
        state, notes = searching.outcome(tmp_path)
        return state.name, notes

    scores = {"epoch": 3, "psnr_y": 31.0, "lpips": 0.2}
    assert ended(None) == ("FAIL", {"error": "the run did not end"})
    assert ended({"last": {**scores, "ssim_y": 0.9}}) == ("COMPLETE", scores)
    assert ended({"last": scores, "pruned": "why"}) == ("PRUNED", {**scores, "pruned": "why"})
    assert ended({"last": {"epoch": 3, "psnr_y": 31.0}})[0] == "FAIL"
    assert ended({"last": {**scores, "lpips": float("nan")}})[0] == "FAIL"
    (tmp_path / ERROR).write_text("out of luck\n")
    assert ended({"last": scores}) == ("FAIL", {"error": "out of luck"})


def test_a_pruned_trial_is_told_and_not_run_again(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prune(self: Any, epoch: int, own: dict[str, float]) -> str | None:
        return "behind" if epoch == 1 and len(states()) == 2 else None

    monkeypatch.setattr("sr_gan.callbacks.PruneByMedian._behind", prune)
    three = ["hydra.sweeper.trials=3", "gan.epochs=2"]
    code, out, _ = search(*three, report=True)
    assert code == 0
    assert states() == ["COMPLETE", "PRUNED", "COMPLETE"]
    pruned = load().trials[1]
    assert pruned.values is None
    assert pruned.user_attrs["epoch"] == 1
    assert {"psnr_y", "lpips", "folder"} < set(pruned.user_attrs)
    folder = Path("runs/search_cpu") / pruned.user_attrs["folder"]
    assert (folder / PRUNED).read_text() == "behind\n"
    assert "3 trials: 2 complete, 1 pruned;" in out
    assert "gan 1 of 2" in (folder.parent / "report" / "report.md").read_text()
    assert search(*three)[0] == 0
    assert len(states()) == 3


@pytest.mark.slow
def test_trials_side_by_side(search: Search) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the extra launchers")
    two = ["hydra/launcher=workers", "hydra.sweeper.trials=3", "hydra.sweeper.jobs=2"]
    assert search(*two)[0] == 0
    assert states() == ["COMPLETE"] * 3
