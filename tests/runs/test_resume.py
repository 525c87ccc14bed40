import json
from pathlib import Path
from typing import Any

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.metrics_table import write_rows
from sr_gan.runs.occupy import occupied, refuse_to_overwrite, set_later_stages_aside
from sr_gan.runs.resume import (
    Checkpoint,
    check_photos,
    check_resumable,
    is_finished,
    settings_of_run,
)

PHOTOS = r"data.train_dir='My \${photos} (1)'"  # as it is quoted for Hydra


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def run(*overrides: str, name: str = "runs/quickstart/1", stage: str = "gan") -> Path:
    """Makes the folder of a run that was started with ``overrides``."""
    folder = Path(name)
    (folder / "checkpoints" / stage).mkdir(parents=True)
    (folder / "checkpoints" / stage / "last.ckpt").touch()
    (folder / "overrides.json").write_text(json.dumps(overrides))
    (folder / "config.yaml").write_text("stages: [pretrain, gan]\ngan: {epochs: 400}\n")
    return folder


def test_a_run_brings_its_settings() -> None:
    folder = run("experiment=quickstart", PHOTOS, "gan.epochs=5", "seed=1")
    for ckpt_path in (str(folder), "last", f"{folder}/checkpoints/gan/last.ckpt"):
        given = ["seed=2", f"ckpt_path={ckpt_path}"]
        assert settings_of_run(given) == [
            *("experiment=quickstart", PHOTOS, "gan.epochs=5"),
            *given,
        ]


def test_another_choice_drops_the_settings_of_the_one_before() -> None:
    schedule = ["gan.schedule.final=0", "gan.schedule.warmup=0.1"]
    folder = run("schedule@gan.schedule=cosine", *schedule, "data=folder", "data.crop=32")
    given = ["schedule@gan.schedule=constant", "data=folder", f"ckpt_path={folder}"]
    assert settings_of_run(given) == ["gan.schedule.warmup=0.1", "data.crop=32", *given]
    folder = run("data.crop=32", "data.photos=[a]", name="runs/quickstart/2")  # of another choice
    given = ["data=folder", "data.train_dir=a", f"ckpt_path={folder}"]
    assert settings_of_run(given) == ["data.crop=32", *given]


@pytest.mark.parametrize("given", [["gan.epochs=3"], ["-m", "seed=1,2", "ckpt_path=last"], []])
def test_what_is_no_resumption_is_left_alone(given: list[str]) -> None:
    run("seed=1")
    assert settings_of_run(given) == given


def test_a_run_that_did_not_record_its_settings_needs_them_again() -> None:
    folder = run()
    (folder / "overrides.json").unlink()
    assert settings_of_run([f"ckpt_path={folder}"]) == [f"ckpt_path={folder}"]


def test_another_experiment_is_refused() -> None:
    folder = run("experiment=srgan_400ep", name="runs/srgan_400ep/1")
    with pytest.raises(UserError, match=r"experiment=photo: .* is a run of experiment=srgan_400ep"):
        settings_of_run(["experiment=photo", f"ckpt_path={folder}"])


@pytest.mark.parametrize(
    "override",
    [
        "generator._target_=os.system",
        "+callbacks.x={_target_: os.system}",
        "+callbacks.x={a: {_target_: os.system}}",
        "stages=[{_target_: os.system}]",
        "gan.loss={a: [{_args_: 1}]}",
        "seed=${oc.env:HOME}",
        "seed='${oc.create:{_target_:os.system}}'",
        r"data.train_dir='\\${oc.create:{_target_:os.system}}'",
        "hydra.run.dir=/tmp/elsewhere",
        "experiment=../../elsewhere/evil",
        "callbacks=[default,../evil]",
        "mine=/tmp/evil",
        "+hydra.callbacks.x._target_=os.system",
        "hydra/launcher=joblib",
        "seed=1,2",
    ],
)
def test_a_strangers_run_brings_plain_values_only(override: str) -> None:
    folder = run("seed=1", override)
    with pytest.raises(UserError, match=r"overrides\.json asks for .*plain values"):
        settings_of_run([f"ckpt_path={folder}"])


@pytest.mark.parametrize("content", ["5", "{}", "no json", "[5]", '["a=["]'])
def test_damaged_records_are_named(content: str) -> None:
    folder = run()
    (folder / "overrides.json").write_text(content)
    with pytest.raises(UserError, match=r"overrides\.json is damaged .*: restore it, or delete it"):
        settings_of_run([f"ckpt_path={folder}"])


def test_a_run_is_finished_when_all_is_written() -> None:
    folder = run()
    config: dict[str, Any] = {"stages": ["pretrain", "gan"], "gan": {"epochs": 400}}
    done = Checkpoint(folder / "checkpoints" / "gan" / "last.ckpt", "gan", config, 400)
    assert not is_finished(done, config, folder)
    (folder / "summary.json").touch()
    (folder / "checkpoints" / "gan" / "generator.safetensors").touch()
    assert is_finished(done, config, folder)
    assert not is_finished(done, {**config, "gan": {"epochs": 401}}, folder)


def test_a_move_is_no_other_setting() -> None:
    def config(run_dir: str) -> dict[str, Any]:
        paths = {"save": {"path": f"{run_dir}/checkpoints/{{stage}}/last.ckpt"}}
        return {"run_dir": run_dir, "stages": ["gan"], "gan": {"epochs": 4}, "callbacks": paths}

    checkpoint = Checkpoint(Path("last.ckpt"), "gan", config("runs/quickstart/1"))
    now = config("/elsewhere")
    assert check_resumable(checkpoint, now) == []
    now["callbacks"]["save"]["path"] = "/elsewhere/mine.ckpt"
    assert len(check_resumable(checkpoint, now)) == 1


def test_other_photos_are_refused_unless_they_were_asked_for() -> None:
    config = {"other_photos": False, "data": {"train_dir": "a", "workers": 2}}
    checkpoint = Checkpoint(Path("last.ckpt"), "gan", config, 1, "5 to train on (abc)")
    check_photos(checkpoint, config, "5 to train on (abc)")
    for now in (config, {**config, "data": {"train_dir": "a", "workers": 0}}):
        with pytest.raises(UserError, match=r"5 to train on \(abc\) then, 6 .* other_photos=true"):
            check_photos(checkpoint, now, "6 to train on (def)")
    for now in ({**config, "other_photos": True}, {**config, "data": {"train_dir": "b"}}):
        check_photos(checkpoint, now, "6 to train on (def)")


def test_a_folder_that_holds_a_run_is_not_written_over() -> None:
    folder = run()
    write_rows(folder / "metrics.csv", [{"stage": "gan", "epoch": "211", "loss/vgg": "1"}])
    message = (
        r"holds a run \(gan, 212 of 400 epochs\): go on with it by ckpt_path=runs/quickstart/1"
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
