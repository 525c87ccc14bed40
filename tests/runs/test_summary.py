import re
from pathlib import Path

import pytest

from sr_gan.runs.summary import as_text, summarise

HEADER = "stage,epoch,loss/discriminator,loss/generator,quality/psnr_y,quality/ssim_y,"
HEADER += "quality/psnr_y_bicubic,quality/ssim_y_bicubic"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [f"pretrain,{i},,0.1,{30 + i}.5,0.8,29.0,0.7" for i in range(3)]
    scores = {0: "28.0,0.7,29.0,0.7", 100: "27.5,0.6,29.0,0.7"}
    rows += [f"gan,{i},{1 / (i + 1)},{2 + i},{scores.get(i, ',,,')}" for i in range(102)]
    (tmp_path / "metrics.csv").write_text("\n".join([HEADER, *rows, ""]))
    return tmp_path


def test_reports_each_stage_and_the_loss_table(run: Path) -> None:
    summary = summarise(run)
    assert summary["pretrain"]["epochs"] == 3
    assert summary["pretrain"]["last"]["psnr_y"] == 32.5
    assert summary["gan"]["last"] == {
        "epoch": 100,
        "psnr_y": 27.5,
        "ssim_y": 0.6,
        "psnr_y_bicubic": 29.0,
        "ssim_y_bicubic": 0.7,
    }
    assert summary["gan"]["best"]["epoch"] == 0
    losses = summary["gan"]["losses"]
    assert [row["epoch"] for row in losses] == [0, 99, 101]  # of the table, and the last
    assert losses[1] == {"epoch": 99, "discriminator": 0.01, "generator": 101.0}


def test_describes_what_is_there(run: Path) -> None:
    (run / "checkpoints" / "gan").mkdir(parents=True)
    (run / "checkpoints" / "gan" / "generator.safetensors").touch()
    text = as_text(summarise(run), run)
    assert "pretrain       3      32.50    29.00  0.8000   0.7000" in text
    assert re.search(r"^99 +0\.01 +101$", text, re.MULTILINE)
    assert "generator.safetensors" in text
    assert "picture" not in text


def test_describes_a_run_in_the_folder_of_the_command(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "tensorboard").mkdir()
    monkeypatch.chdir(run)
    assert "tensorboard --logdir .  (" in as_text(summarise(run), run)
