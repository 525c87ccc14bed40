import re
import shlex
from pathlib import Path

import pytest

from sr_gan.runs.metrics_table import read_rows, write_rows
from sr_gan.runs.summary import as_text, summarise

HEADER = "stage,epoch,loss/discriminator,loss/generator,quality/psnr_y,quality/ssim_y,"
HEADER += "quality/psnr_y_bicubic,quality/ssim_y_bicubic"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [f"pretrain,{i},,0.1,{29 + i}.5,0.8,29.0,0.7" for i in range(1, 4)]
    scores = {1: "28.0,0.7,29.0,0.7", 101: "27.5,0.6,29.0,0.7"}
    rows += [f"gan,{i},{1 / i},{1 + i},{scores.get(i, ',,,')}" for i in range(1, 103)]
    (tmp_path / "metrics.csv").write_text("\n".join([HEADER, *rows, ""]))
    return tmp_path


def test_reports_each_stage_and_the_loss_table(run: Path) -> None:
    summary = summarise(run)
    assert summary["pretrain"]["epochs"] == 3
    assert summary["pretrain"]["last"]["psnr_y"] == 32.5
    assert summary["gan"]["last"] == {
        "epoch": 101,
        "psnr_y": 27.5,
        "ssim_y": 0.6,
        "psnr_y_bicubic": 29.0,
        "ssim_y_bicubic": 0.7,
    }
    assert summary["gan"]["best"]["epoch"] == 1
    losses = summary["gan"]["losses"]
    assert [row["epoch"] for row in losses] == [1, 100, 102]  # of the table, and the last
    assert losses[1] == {"epoch": 100, "discriminator": 0.01, "generator": 101.0}


def test_describes_what_is_there(run: Path) -> None:
    (run / "checkpoints" / "gan").mkdir(parents=True)
    (run / "checkpoints" / "gan" / "generator.safetensors").touch()
    text = as_text(summarise(run), run)
    assert "pretrain       3      32.50    29.00  0.8000   0.7000" in text
    assert re.search(r"^100 +0\.01 +101$", text, re.MULTILINE)
    assert "generator.safetensors" in text
    assert "picture" not in text


def test_describes_a_run_in_the_folder_of_the_command(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "gan").mkdir()
    (run / "gan" / "events.out.tfevents.1.host.1.0").touch()
    monkeypatch.chdir(run)
    assert as_text(summarise(run), run).endswith(
        "\n\nenlarge   sr-gan upscale model=. input=PHOTO\nreport    sr-gan report run=.\n"
        "curves    tensorboard --logdir ."
    )


def test_what_comes_next_can_be_copied(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run.rename(run.with_name("my run (1)"))
    monkeypatch.chdir(run.parent)
    enlarge, report = as_text(summarise(run), run).splitlines()[-2:]
    assert shlex.split(enlarge)[1:] == ["sr-gan", "upscale", "model=my run (1)", "input=PHOTO"]
    assert shlex.split(report)[1:] == ["sr-gan", "report", "run=my run (1)"]


def test_nothing_comes_next_after_a_divergence(run: Path) -> None:
    with (run / "metrics.csv").open("a") as table:
        table.write("gan,103,nan,nan,,,,\n")
    assert "sr-gan" not in as_text(summarise(run), run)


def test_a_pretrain_below_bicubic_is_told(run: Path) -> None:
    assert "worse than bicubic" not in as_text(summarise(run), run)
    table = run / "metrics.csv"
    rows = read_rows(table)
    rows = [{**row, "quality/psnr_y_bicubic": "33"} for row in rows if row["stage"] == "pretrain"]
    write_rows(table, rows)
    assert "worse than bicubic's, PSNR-Y 32.50 and 33.00 dB:" in as_text(summarise(run), run)
