"""Sweeps as a user starts them: failing jobs, finished jobs, and the report at the end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_gan.machine import installed
from sr_gan.train import _main, _report
from tests.conftest import SMALL, Output, run_command
from tests.test_train import StopAt

TINY = [*SMALL, "experiment=sweep_cpu", "init_from=null", "gan.epochs=1", "callbacks.progress=null"]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def sweep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Output:
    return run_command(
        monkeypatch, capsys, _main, "train", "-m", *TINY, *arguments, after_sweep=_report
    )


def test_a_sweep_reports_its_failures_and_skips_what_is_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    alexnet_file: Path,
) -> None:
    values = ["loss@gan.loss=pixel_gan,wavelet_gan", f"callbacks.lpips.weights={alexnet_file}"]
    wrong = "gan.loss.weights.adversarial=-1,1e-3"
    code, out, errors = sweep(monkeypatch, capsys, *values, wrong)
    folder = tmp_path / "runs" / "sweep_cpu"
    bad = "loss@gan.loss=pixel_gan,gan.loss.weights.adversarial=-1"
    assert code == 1
    assert "2 of the jobs in runs/sweep_cpu failed:" in errors
    assert f"  {bad}: gan.loss.weights.adversarial=-1: should be greater" in errors
    assert (folder / bad / "error.txt").read_text().startswith("gan.loss.weights.adversarial=-1: ")
    good = [path.parent for path in sorted(folder.glob("*/summary.json"))]
    assert [OmegaConf.load(run / "config.yaml").gan.loss.weights.adversarial for run in good] == [
        1e-3,
        1e-3,
    ]
    report = (folder / "report" / "report.md").read_text()
    for part in (f"Failed: {bad}", "2 runs", "| 1: loss=pixel_gan, adversarial=0.001 |", "front"):
        assert part in report
    figures = {path.stem for path in (folder / "report" / "figures").iterdir()}
    assert {"runs-strip", "runs-perception-distortion-validation-photos"} < figures

    dates = [(run / "summary.json").stat().st_mtime_ns for run in good]
    code, out, errors = sweep(monkeypatch, capsys, *values, "gan.loss.weights.adversarial=1e-3,0")
    assert (code, errors) == (0, "")
    assert out.count("finished before") == 2
    assert [(run / "summary.json").stat().st_mtime_ns for run in good] == dates
    assert len(list(folder.glob("*/summary.json"))) == 4


def test_a_folder_of_other_settings_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=0,1"]
    assert sweep(monkeypatch, capsys, *value)[0] == 0
    code, _, errors = sweep(monkeypatch, capsys, *value, "seed=1")
    assert code == 1
    assert "with other settings (data.seed: 0 -> 1; seed: 0 -> 1)" in errors
    assert "hydra.sweep.dir=FOLDER" in errors


def test_a_crash_is_a_failure_of_its_job_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*args: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("sr_gan.modules.GAN.training_step", crash)
    one = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=0,1"]
    code, out, errors = sweep(monkeypatch, capsys, *one)
    assert code == 1
    assert errors.count("out of luck") == 2
    assert "Traceback" in out  # an error that is not ours


def test_an_interrupted_job_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    two = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=0,1", "gan.epochs=2"]
    with monkeypatch.context() as patch:
        patch.setattr("sr_gan.callbacks.Timing.on_train_batch_start", _stop_in_second_epoch)
        code, out, _ = sweep(monkeypatch, capsys, *two)
    assert code == 128 + signal.SIGINT
    assert "stopped by SIGINT" in out
    assert "go on with the whole sweep by its command with hydra.sweep.dir=" in out
    code, _, _ = sweep(monkeypatch, capsys, *two)
    assert code == 0
    first = tmp_path / "runs" / "sweep_cpu" / "gan.loss.weights.adversarial=0"
    assert str(OmegaConf.load(first / "config.yaml").ckpt_path).endswith("last.ckpt")
    assert "finished before" in sweep(monkeypatch, capsys, *two)[1]


def _stop_in_second_epoch(
    self: object, trainer: object, module: object, batch: object, index: int
) -> None:
    StopAt("train").on_train_batch_start(trainer, module, batch, index)  # type: ignore[arg-type]


def test_several_devices_and_a_sweep_do_not_mix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    code, out, errors = sweep(monkeypatch, capsys, "loss@gan.loss=pixel_gan", *two)
    assert code == 1
    assert "no report of the sweep: no job finished an epoch" in out
    assert "trainer.devices=2 in a sweep: the jobs share this process" in errors


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["workers", "slurm_local", "ray"])
def test_launchers_run_jobs_side_by_side(tmp_path: Path, launcher: str) -> None:
    """Starts from the shell, as the launcher runs the jobs in processes of its own."""
    package = {"workers": "joblib", "slurm_local": "submitit", "ray": "ray"}[launcher]
    for name in (f"hydra_plugins.hydra_{package}_launcher", package):
        if not installed(name):
            pytest.skip(f"{name} is not installed")
    values = ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=-1,0,1e-3"]
    line = [sys.executable, "-m", "sr_gan.train", "-m", *TINY, *values]
    environment = {**os.environ, "SR_GAN_CACHE": str(tmp_path / "cache")}

    def start() -> None:
        done = subprocess.run(
            [*line, f"hydra/launcher={launcher}"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 1, done.stderr
        assert "1 of the jobs in runs/sweep_cpu failed" in done.stderr
        assert "Warning" not in done.stderr

    start()
    folder = tmp_path / "runs" / "sweep_cpu"
    assert sorted(path.parent.name for path in folder.glob("*/summary.json")) == [
        "gan.loss.weights.adversarial=0",
        "gan.loss.weights.adversarial=0.001",
    ]
    assert (folder / "report" / "report.html").exists()
    dates = [path.stat().st_mtime_ns for path in folder.glob("*/summary.json")]
    start()  # skips finished jobs
    assert dates == [path.stat().st_mtime_ns for path in folder.glob("*/summary.json")]
