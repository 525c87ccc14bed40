import json
from pathlib import Path

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.recorded import settings_of_run

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


def test_options_stay_in_front_of_the_settings_of_the_run() -> None:
    folder = run("generator=mine", "seed=1")
    options = ["--config-dir", "my_conf"]
    assert settings_of_run([*options, f"ckpt_path={folder}"]) == [
        *options,
        *("generator=mine", "seed=1", f"ckpt_path={folder}"),
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


def test_a_resumed_run_takes_no_other_weights() -> None:
    folder = run("init_from=psnr")
    assert settings_of_run(["init_from=psnr", f"ckpt_path={folder}"])
    with pytest.raises(UserError, match=r"^init_from=gan and ckpt_path=.*: .* give one of them"):
        settings_of_run(["init_from=gan", f"ckpt_path={folder}"])


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


def test_last_is_that_of_the_folder_that_is_given() -> None:
    run("seed=1", name="elsewhere/run")
    given = ["hydra.run.dir='elsewhere/run'", "ckpt_path='last'"]
    assert settings_of_run(given) == ["seed=1", *given]
