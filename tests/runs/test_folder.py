import importlib.metadata
import os
from pathlib import Path

import pytest

from sr_gan import __version__
from sr_gan.errors import UserError
from sr_gan.files import relative
from sr_gan.runs.records import environment
from sr_gan.runs.resume import changed_settings, choose_run_dir


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def checkpoint(run: str, stage: str = "gan", age: int = 0) -> Path:
    path = Path(run) / "checkpoints" / stage / "last.ckpt"
    path.parent.mkdir(parents=True)
    path.touch()
    config = Path(run) / "config.yaml"
    config.touch()
    os.utime(config, (1e9 - age, 1e9 - age))
    return path


def test_a_new_run_has_its_experiment_and_time() -> None:
    folder = Path(choose_run_dir("srgan_400ep", None))
    assert folder.parts[:2] == ("runs", "srgan_400ep")
    assert len(folder.name) == len("2026-01-31-235959")


def test_last_is_the_newest_run_of_the_experiment() -> None:
    checkpoint("runs/a/1", age=50)
    checkpoint("runs/a/2", age=10)
    checkpoint("runs/a/3", age=90)
    checkpoint("runs/b/4", age=0)
    assert choose_run_dir("a", "last") == str(Path("runs/a/2"))
    with pytest.raises(UserError, match="no run to resume in runs/c"):
        choose_run_dir("c", "last")
    Path("runs/a/5").mkdir()
    Path("runs/a/5/train.log").touch()  # killed before its first checkpoint
    with pytest.raises(UserError, match=r"newest run runs/a/5 ended before its first checkpoint"):
        choose_run_dir("a", "last")


def test_two_runs_of_one_second_have_two_folders() -> None:
    folders = {choose_run_dir("a", None) for _ in range(3)}
    assert len(folders) == 3
    assert all(Path(folder).is_dir() for folder in folders)


def test_a_checkpoint_is_resumed_in_its_own_folder(tmp_path: Path) -> None:
    path = checkpoint("elsewhere/run")
    assert choose_run_dir("a", str(path)) == str(Path("elsewhere/run"))
    (tmp_path / "loose.ckpt").touch()
    assert choose_run_dir("a", str(tmp_path / "loose.ckpt")).startswith("runs/a/")


def test_a_run_folder_is_resumed_too() -> None:
    checkpoint("runs/a/1")
    assert choose_run_dir("b", "runs/a/1") == str(Path("runs/a/1"))


def test_paths_are_shown_relative_to_where_one_is(tmp_path: Path) -> None:
    assert relative(tmp_path / "runs" / "a") == Path("runs/a")
    assert relative(Path("/elsewhere/a")) == Path("/elsewhere/a")


def test_the_environment_of_a_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is only on PYTHONPATH has no metadata."""

    def version(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr("sr_gan.runs.records.version", version)
    packages = environment()["packages"]
    assert packages["sr_gan"] == __version__
    assert packages["torch"] is None


def test_renamed_settings_of_an_earlier_version_are_no_changes() -> None:
    before = {
        "health": {"act": False},
        "callbacks": {"lpips": {"floor": -1.0}, "last": {"dirpath": "runs/a/gan"}},
        "trainer": {"plugins": [{"_target_": "sr_gan.checkpoints.AtomicCheckpointIO"}]},
        "stage": "gan",
    }
    now = {
        "health": {"intervene": True},
        "callbacks": {"lpips": {"psnr_floor": -1.0}, "last": {"dirpath": "runs/a/{stage}"}},
        "trainer": {"plugins": [{"_target_": "sr_gan.runs.checkpoint_io.AtomicCheckpointIO"}]},
    }
    assert changed_settings(before, now) == ["health.intervene: False -> True"]
