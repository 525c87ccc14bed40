from pathlib import Path

import pytest

from sr_gan.train import train
from tests.conftest import Compose, Shell


@pytest.fixture
def trained(composed: Compose, alexnet_file: Path, tmp_path: Path) -> Path:
    """A run as train leaves it."""
    run_dir = tmp_path / "runs" / "quickstart" / "a (copy), 1"
    settings = ["callbacks.samples.size=48", f"callbacks.lpips.weights={alexnet_file}"]
    cfg = composed("quickstart", *settings)
    cfg.run_dir = str(run_dir)
    train(cfg)
    return run_dir


def test_a_trained_run_becomes_a_page(trained: Path, shell: Shell) -> None:
    code, out, errors = shell("report")  # the newest
    assert (code, errors) == (0, "")
    assert "Epochs: pretrain 2, gan 2." in out
    assert "LPIPS" in out
    folder = trained / "report"
    pictures = {path.stem for path in (folder / "figures").iterdir()}
    assert pictures >= {"losses", "discriminator", "psnr_y", "lpips"}
    assert {"samples-pretrain-0002", "samples-gan-0001", "samples-gan-0002"} < pictures
    page = (folder / "report.html").read_text()
    for part in ("MSRResNet", "torch 2.", "callbacks:", "LR | bicubic | SR | HR"):
        assert part in page
    assert "0.0317" not in page  # the original's losses are for a run that reproduces it
    for text in (page, (folder / "report.md").read_text()):
        places = [text.index(part) for part in ("LR | bicubic", "D(real) and", "Validation photos")]
        assert places == sorted(places)  # pictures come before tables


def test_epochs_and_output_are_chosen(trained: Path, shell: Shell) -> None:
    code, _, _ = shell("report", f"run={trained}", "output=my page", "epochs=[2]")
    assert code == 0
    names = sorted(path.stem for path in Path("my page/figures").glob("samples-*"))
    assert names == ["samples-gan-0002", "samples-pretrain-0002"]
    assert not (trained / "report").exists()


def test_a_damaged_one_of_several_is_left_out(trained: Path, shell: Shell) -> None:
    for name in ("b", "c"):
        other = trained.parent / name
        other.mkdir()
        for file in ("config.yaml", "metrics.csv", "environment.json"):
            (other / file).write_bytes((trained / file).read_bytes())
    (trained.parent / "c" / "metrics.csv").write_text("half")
    code, out, _ = shell("report", "run=runs/quickstart")
    assert code == 0
    assert "left out: runs/quickstart/c/metrics.csv is damaged" in out
    page = Path("runs/quickstart/report/report.html").read_text()
    for part in ("2 runs", "Left out: runs/quickstart/c", "1: a (copy), 1", "2: b"):
        assert part in page
    for table in trained.parent.glob("*/metrics.csv"):
        table.write_text("half")
    code, _, errors = shell("report", "run=runs/quickstart")
    assert code == 1
    assert "error: none of the 3 runs can be read" in errors


MISTAKES = {
    "run=none": "error: run=none does not exist",
    "epochs=[0]": "error: epochs=0",
    "rum=a": "error: rum is not a setting; did you mean run?",
}


@pytest.mark.parametrize("setting", MISTAKES)
def test_mistakes_are_one_line(setting: str, shell: Shell) -> None:
    code, _, errors = shell("report", setting)
    assert code == 1
    assert MISTAKES[setting] in errors
    assert errors.count("\n") == 1


def test_without_any_run(shell: Shell) -> None:
    code, _, errors = shell("report")
    assert code == 1
    assert "error: there is no folder runs here: train a run" in errors
