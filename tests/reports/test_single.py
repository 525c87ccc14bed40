import io
import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from sr_gan.reports.single import run_section
from sr_gan.runs.history import read_run
from tests.conftest import Compose
from tests.made_runs import BALANCED, MakeRun, gan_rows


def test_what_came_out_is_said_first(make_run: MakeRun) -> None:
    section = run_section(read_run(make_run("a")), [])
    assert section.text[0] == "Epochs: gan 3."
    assert "PSNR-Y 27.20 dB (bicubic 26.00), LPIPS 0.3000 (bicubic 0.5000)." in section.text[1]
    assert "Healthy: neither player is far ahead" in section.text[2]
    assert {plot.name for plot in section.curves} == {"losses", "discriminator", "psnr_y", "lpips"}
    assert "SRResNet" in str(section.details[0].rows)
    assert "epochs: 3" in section.settings


def test_the_loss_table_stands_beside_the_originals(make_run: MakeRun, composed: Compose) -> None:
    rows = gan_rows([(0.7, 0.3)] * 101)
    recipe = OmegaConf.to_container(composed("srgan_400ep", small=()), resolve=True)
    run = read_run(make_run("a", rows, recipe))
    (table,) = (t for t in run_section(run, []).tables if "Losses" in t.caption)
    assert table.rows == [
        ["1", "1.6", "0.5", "0.0317", "1.34"],
        ["100", "1.6", "0.5", "6.98e-05", "0.972"],
        ["101", "1.6", "0.5", "-", "-"],
    ]
    other = read_run(make_run("b", rows))
    (table,) = (t for t in run_section(other, []).tables if "Losses" in t.caption)
    assert list(table.header) == ["epoch", "D loss", "G loss"]
    assert table.rows[-1] == ["101", "1.6", "0.5"]


def test_the_words_agree_with_the_answers(make_run: MakeRun) -> None:
    """As in the quickstart, whose curves show who leads."""
    run = read_run(make_run("a", gan_rows([(0.87, 0.12)] * 9)))
    (text,) = (text for text in run_section(run, []).text if "0.870" in text)
    assert text.startswith("Healthy, D leads: the discriminator usually tells photographs from")
    assert "0.120" in text


def test_unfinished_unvalidated_and_broken_runs_are_reported(make_run: MakeRun) -> None:
    begun = run_section(read_run(make_run("begun", rows=[])), [1])
    assert begun.text == ["No epoch of this run was finished."]
    settings = {"stages": ["pretrain", "gan"], "pretrain": {"epochs": 4}, "gan": {"epochs": 3}}
    rows = [{"stage": "pretrain", "epoch": i, "loss/generator": 0.1} for i in (1, 2)]
    stopped = run_section(read_run(make_run("stopped", rows, settings)), [1])
    assert stopped.text[0].startswith(
        "Epochs: pretrain 2 of 4, gan 0 of 3. The run is not finished"
    )
    assert "pretrain was not validated" in stopped.text[1]
    rows = [{"stage": "gan", "epoch": 1, "loss/discriminator": "nan", "loss/generator": "nan"}]
    broken = run_section(read_run(make_run("broken", rows)), [1])
    assert "Diverged: in epoch 1 of gan, " in broken.text[2]
    assert broken.tables[0].rows == [["1", "NaN", "NaN"]]


def test_the_scores_of_a_stage_stay_when_the_next_one_was_not_validated(make_run: MakeRun) -> None:
    rows = [{**row, "stage": "pretrain"} for row in gan_rows(BALANCED)]
    rows.append({"stage": "gan", "epoch": 1, "loss/discriminator": 1.0, "loss/generator": 0.5})
    tables = run_section(read_run(make_run("a", rows)), []).tables
    names = [row[0] for row in tables[0].rows]
    assert names == ["pretrain, last", "pretrain, best PSNR-Y", "bicubic"]
    assert tables[0].rows[-1][2] == "26.00"


def test_artefacts_stand_beside_the_scores(make_run: MakeRun) -> None:
    rows = [{**row, "quality/grain": -0.5, "quality/grid": 1.634} for row in gan_rows(BALANCED)]
    table = run_section(read_run(make_run("a", rows)), []).tables[0]
    assert list(table.header)[-2:] == ["grain", "grid"]
    assert [row[-2:] for row in table.rows] == [["-0.50", "1.63"], ["-0.50", "1.63"], ["-", "-"]]


def test_benchmarks_stand_beside_what_is_published(make_run: MakeRun) -> None:
    path = make_run("a")
    (path / "evaluation").mkdir()
    mean = {"psnr_y": 29.5, "lpips": 0.09}
    scores = {"model": "m", "scale": 4, "mean": mean, "bicubic": {"psnr_y": 28.43}}
    for name in ("Set5", "holidays"):
        (path / "evaluation" / f"{name}.json").write_text(json.dumps(scores))
    known, other = (t for t in run_section(read_run(path), []).tables if "evaluate" in t.caption)
    if "holidays" in known.caption:
        known, other = other, known
    assert known.rows[0] == ["m", "29.50", "0.0900"]
    assert ["SRGAN-VGG54 (Ledig et al. 2017) [srgan]", "29.40", "-"] in known.rows
    assert [row[0] for row in other.rows] == ["m", "bicubic"]


@pytest.mark.parametrize(
    ("wanted", "shown"), [([], [9]), ([1, 4], [1, 5, 9]), ([99], [9]), ([9], [9]), ([6, 5], [5, 9])]
)
def test_samples_of_the_nearest_epochs(
    wanted: list[int], shown: list[int], make_run: MakeRun
) -> None:
    run = read_run(make_run("a", grids=(1, 5, 9)))
    pictures = run_section(run, wanted).pictures
    assert [int(picture.name[-4:]) for picture in pictures] == shown


def test_the_panels_are_those_of_the_samples_or_of_the_original(
    make_run: MakeRun, composed: Compose
) -> None:
    recipe = OmegaConf.to_container(composed("srgan_400ep", small=()), resolve=True)
    for settings, titles, levels in (
        ({}, "LR | bicubic | SR | HR", [0, 50, 107, 255]),
        (recipe, "real(hr) | lr | bicubic | gen(hr)", [255, 0, 50, 107]),
    ):
        run = read_run(make_run(str(bool(settings)), settings=settings, grids=(7,)))
        (picture,) = run_section(run, []).pictures
        assert picture.caption == f"{titles} after epoch 7 of gan"
        image = np.asarray(Image.open(io.BytesIO(picture.png)))
        assert image.shape == (16 + 32 + 4 + 32, 4 * 24 + 3 * 4, 3)
        assert [int(image[30, x, 0]) for x in (10, 38, 66, 94)] == levels


def test_a_damaged_picture_does_not_stop_the_report(make_run: MakeRun) -> None:
    path = make_run("a", rows=gan_rows(BALANCED), grids=(1, 3))
    (path / "samples/gan/epoch_0001.png").write_bytes(b"no PNG")
    Image.new("RGB", (50, 40)).save(path / "samples/gan/epoch_0003.png")
    section = run_section(read_run(path), [1])
    assert not section.pictures
    assert "epoch_0001.png cannot be read" in section.text[-2]
    assert "epoch_0003.png is not a picture of the columns LR" in section.text[-1]
