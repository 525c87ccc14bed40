from pathlib import Path
from typing import Any

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.metrics_table import write_rows
from sr_gan.runs.occupy import occupied, refuse_to_overwrite, set_later_stages_aside
from sr_gan.runs.resume import (
    Checkpoint,
    changed_settings,
    check_photos,
    check_resumable,
    is_finished,
    refuse_nothing_to_do,
)
from tests.runs.test_recorded import run


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_is_finished_when_all_is_written() -> None:
    folder = run()
    config: dict[str, Any] = {"stages": ["pretrain", "gan"], "gan": {"epochs": 400}}
    done = Checkpoint(folder / "checkpoints" / "gan" / "last.ckpt", "gan", config, 400)
    assert not is_finished(done, config, folder)
    (folder / "summary.json").touch()
    (folder / "checkpoints" / "gan" / "generator.safetensors").touch()
    assert is_finished(done, config, folder)
    assert not is_finished(done, {**config, "gan": {"epochs": 401}}, folder)


def test_a_finished_run_is_not_resumed_in_another_folder(tmp_path: Path) -> None:
    folder = run()
    config: dict[str, Any] = {"stages": ["gan"], "gan": {"epochs": 400}}
    done = Checkpoint(folder / "checkpoints" / "gan" / "last.ckpt", "gan", config, 400)
    refuse_nothing_to_do(done, config, folder)
    refuse_nothing_to_do(done, {**config, "gan": {"epochs": 401}}, tmp_path / "other")
    with pytest.raises(UserError, match=r"from the end of the run: set gan\.epochs above 400, or"):
        refuse_nothing_to_do(done, config, tmp_path / "other")


def test_a_move_is_no_other_setting() -> None:
    def config(run_dir: str) -> dict[str, Any]:
        paths = {"save": {"path": f"{run_dir}/checkpoints/{{stage}}/last.ckpt"}}
        return {"run_dir": run_dir, "stages": ["gan"], "gan": {"epochs": 4}, "callbacks": paths}

    checkpoint = Checkpoint(Path("last.ckpt"), "gan", config("runs/quickstart/1"))
    now = config("/elsewhere")
    assert check_resumable(checkpoint, now) == []
    now["callbacks"]["save"]["path"] = "/elsewhere/mine.ckpt"
    assert len(check_resumable(checkpoint, now)) == 1


def test_the_callback_of_the_best_checkpoint_is_no_other_setting() -> None:
    """Version 0.2 had Lightning's; a sweep of it would not go on, if that counted."""
    common = {"monitor": "quality/rank", "mode": "min"}
    before: dict[str, Any] = {"_target_": "lightning.ModelCheckpoint", "filename": "best"}
    before |= {"dirpath": "runs/1", "every_n_epochs": 2, **common}
    now = {"_target_": "sr_gan.callbacks.SaveBest", "folder": "runs/1", **common}
    assert not changed_settings({"best": before}, {"best": now})
    assert changed_settings({"best": before}, {"best": {**now, "mode": "max"}})


def test_other_photos_are_refused_unless_they_were_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = {"other_photos": False, "data": {"train_dir": "a", "workers": 2}}
    checkpoint = Checkpoint(Path("last.ckpt"), "gan", config, 1, "5 to train on (abc)")
    check_photos(checkpoint, config, "5 to train on (abc)")
    for now in (config, {**config, "data": {"train_dir": "a", "workers": 0}}):
        with pytest.raises(UserError, match=r"5 to train on \(abc\) then, 6 .* other_photos=true"):
            check_photos(checkpoint, now, "6 to train on (def)")
    assert not caplog.messages
    for now in ({**config, "other_photos": True}, {**config, "data": {"train_dir": "b"}}):
        check_photos(checkpoint, now, "6 to train on (def)")
        assert "scores from before may be of different photos" in caplog.messages.pop()


def test_a_folder_that_holds_a_run_is_not_written_over() -> None:
    folder = run()
    write_rows(folder / "metrics.csv", [{"stage": "gan", "epoch": "211", "loss/vgg": "1"}])
    message = (
        r"holds a run \(gan, 211 of 400 epochs\): go on with it by ckpt_path=runs/quickstart/1"
    )
    with pytest.raises(UserError, match=message):
        refuse_to_overwrite(folder)
    refuse_to_overwrite(Path("elsewhere"))


def test_two_runs_do_not_write_into_one_folder() -> None:
    with occupied(Path("a")):
        with (
            pytest.raises(UserError, match="a: another run is writing into it"),
            occupied(Path("a")),
        ):
            pass
        with occupied(Path("b")):
            pass
    with occupied(Path("a")):
        pass


def test_the_stages_after_a_repeated_one_are_kept_under_another_name() -> None:
    folder = run()
    set_later_stages_aside(folder, "gan")
    assert (folder / "checkpoints" / "gan" / "last.ckpt").exists()
    set_later_stages_aside(folder, "pretrain")
    (folder / "checkpoints" / "gan").mkdir()
    (folder / "checkpoints" / "gan" / "last.ckpt").touch()
    set_later_stages_aside(folder, "pretrain")
    assert [f.name for f in sorted((folder / "checkpoints").iterdir())] == ["gan.1", "gan.2"]
