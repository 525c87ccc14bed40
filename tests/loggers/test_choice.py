import csv
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from sr_gan.errors import UserError
from sr_gan.settings.check import check
from sr_gan.train import train
from tests.conftest import Compose, Shell


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (None, ["tensorboard"]),
        ("csv", ["csv"]),
        ("[csv]", ["csv"]),
        ("[tensorboard,csv,mlflow,wandb]", ["tensorboard", "csv", "mlflow", "wandb"]),
        ("none", []),
    ],
)
def test_one_several_or_none(composed: Compose, choice: str | None, names: list[str]) -> None:
    cfg = composed("quickstart", *([f"logger={choice}"] if choice else []))
    assert list(cfg.logger) == names
    check(cfg)


def test_csv_beside_the_runs_own_table(composed: Compose) -> None:
    cfg = composed("quickstart", "logger=csv", "gan.epochs=1", "pretrain.epochs=1")
    train(cfg)
    train(composed("quickstart", "logger=csv", "gan.epochs=2", "ckpt_path=last"))
    folder = Path(cfg.run_dir) / "csv" / "gan"
    files = [folder / f"version_{n}" / "metrics.csv" for n in (0, 1)]
    tables = [list(csv.DictReader(file.read_text().splitlines())) for file in files]
    epochs = [{row["epoch"] for row in table} for table in tables]
    assert epochs == [{"1.0"}, {"2.0"}]  # a resumed run leaves the first table alone
    assert any(row["loss/discriminator"] for row in tables[1])
    assert not list(Path(cfg.run_dir).rglob("*tfevents*"))


def test_none_leaves_the_table_and_the_samples(composed: Compose) -> None:
    cfg = composed("quickstart", "logger=none", "stages=[gan]", "gan.epochs=1")
    train(cfg)
    assert {path.name for path in Path(cfg.run_dir).iterdir()} == {
        ".lock",
        "checkpoints",
        "config.yaml",
        "environment.json",
        "metrics.csv",
        "samples",
        "summary.json",
    }


@pytest.mark.parametrize("found", [None, ModuleSpec("wandb", None)])  # a folder named wandb
def test_a_missing_package_is_one_line(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    monkeypatch.setattr("sr_gan.machine.find_spec", lambda _: found)
    with pytest.raises(UserError) as error:
        check(composed("quickstart", "logger=[csv,wandb]"))
    assert str(error.value) == "logger=wandb needs wandb: pip install 'sr_gan[wandb]'"
    check(composed("quickstart", "logger=[csv,tensorboard]"))


def test_a_wrong_choice_is_one_line(shell: Shell) -> None:
    code, _, errors = shell("train", "logger=[csv,wadb]")
    complaint = "logger=wadb: no such choice (allowed: csv, mlflow, none, tensorboard, wandb)"
    assert (code, errors.strip()) == (1, f"error: {complaint}")


def test_no_choice_is_one_line(composed: Compose) -> None:
    with pytest.raises(UserError, match=r"^logger is missing: choose logger=CHOICE, see --help$"):
        check(composed("quickstart", "logger=[]"))
