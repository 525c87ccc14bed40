import json
from pathlib import Path
from typing import Any

from sr_gan.reports.compare import comparison_section, differing, numbers, titles
from sr_gan.runs.history import Run, read_run
from tests.made_runs import BALANCED, MakeRun, gan_rows


def weighted(weight: float) -> dict[str, Any]:
    loss = {"weights": {"adversarial": weight}}
    return {"gan": {"epochs": 3, "loss": loss}, "seed": 1, "copy": {"adversarial": weight}}


def test_what_differs_is_found(make_run: MakeRun) -> None:
    runs = [read_run(make_run(str(w), settings=weighted(w))) for w in (0.1, 0.2)]
    assert differing(runs) == {"copy.adversarial": ["0.1", "0.2"]}  # not the longer key, too


def test_where_runs_lie_and_stages_not_run_do_not_count(make_run: MakeRun) -> None:
    both = {"stages": ["pretrain", "gan"], "pretrain": {"epochs": 5}}
    alone = {"stages": ["gan"], "pretrain": {"epochs": 9}}
    runs = [read_run(make_run(name, settings=s)) for name, s in {"a": both, "b": alone}.items()]
    assert differing(runs) == {"stages": ["[pretrain,gan]", "[gan]"]}
    assert titles(runs) == ["1: a", "2: b"]


def test_the_table_has_settings_and_scores(make_run: MakeRun) -> None:
    netted = [{**row, "quality/grid": 1.634} for row in gan_rows([(0.99, 0.0)] * 9, lpips=0.2)]
    runs = [
        read_run(make_run("a", settings={"seed": 1})),
        read_run(make_run("b", netted, settings={"seed": 2})),
        read_run(make_run("c", [], settings={"seed": 3})),
    ]
    (table,) = comparison_section(runs).tables
    assert list(table.header)[:3] == ["", "seed", "PSNR-Y dB"]
    assert [row[:5] for row in table.rows] == [
        ["2: b", "2", "27.80", "0.8000", "0.2000"],
        ["1: a", "1", "27.20", "0.8000", "0.3000"],
        ["3: c", "3", "-", "-", "-"],
    ]
    grid = table.header.index("grid")
    assert [row[grid] for row in table.rows] == ["1.63", "-", "-"]
    health = table.header.index("discriminator")
    assert [row[health] for row in table.rows] == ["saturated", "healthy", "-"]
    assert [row[-1] for row in table.rows] == ["1", "2", "-"]  # the front


def test_what_a_jobs_name_says_is_no_column(make_run: MakeRun) -> None:
    runs = [
        read_run(
            make_run(f"gan.ema={ema},seed={seed}", settings={"gan": {"ema": ema}, "seed": seed})
        )
        for ema, seed in ((0.9, 1), (0.99, 2))
    ]
    (table,) = comparison_section(runs).tables
    assert list(table.header)[:2] == ["", "PSNR-Y dB"]
    assert sorted(row[0] for row in table.rows) == ["1: ema=0.9, seed=1", "2: ema=0.99, seed=2"]


def test_the_table_keeps_its_order_without_a_plane(make_run: MakeRun) -> None:
    runs = [read_run(make_run(name, gan_rows(BALANCED, None))) for name in "ab"]
    (table,) = comparison_section(runs).tables
    assert [row[0] for row in table.rows] == ["1: a", "2: b"]
    assert table.header[-1] == "epochs"


def test_many_settings_have_a_table_of_their_own(make_run: MakeRun) -> None:
    runs = [
        read_run(make_run(str(i), settings={f"k{j}": i * j for j in range(1, 9)})) for i in (1, 2)
    ]
    outcome, settings = comparison_section(runs).tables
    assert list(outcome.header)[1] == "PSNR-Y dB"
    assert settings.rows[2] == ["k3", "3", "6"]


def plane(runs: list[Run]) -> list[str]:
    return [p.name for p in comparison_section(runs).curves if "perception" in p.name]


def test_the_plane_is_of_what_all_runs_share(make_run: MakeRun) -> None:
    paths = [make_run("a"), make_run("b")]
    assert plane([read_run(path) for path in paths]) == [
        "runs-perception-distortion-validation-photos"
    ]
    for path, sets in zip(paths, (("Set5", "Set14"), ("Set5",))):
        evaluate(path, *sets)
    assert plane([read_run(path) for path in paths]) == ["runs-perception-distortion-Set5"]


def evaluate(path: Path, *sets: str) -> None:
    (path / "evaluation").mkdir()
    scores = {"psnr_y": 29.0, "lpips": 0.1}
    for name in sets:
        content = {"mean": scores, "bicubic": {"psnr_y": 28.4, "lpips": 0.34}}
        (path / "evaluation" / f"{name}.json").write_text(json.dumps(content))


def scored(psnr_y: float, lpips: float | None, bicubic: float = 26.0) -> list[dict[str, Any]]:
    """Rows of a GAN with these scores."""
    own = {"quality/psnr_y": psnr_y, "quality/psnr_y_bicubic": bicubic}
    return [{**row, **own} for row in gan_rows(BALANCED, lpips)]


def test_why_there_is_no_plane(make_run: MakeRun) -> None:
    a, without = read_run(make_run("a")), read_run(make_run("b", gan_rows(BALANCED, None)))
    section = comparison_section([a, without], ["Left out: x."])
    assert not plane([a, without])
    assert section.text[0] == "Left out: x."
    assert "run 2 has no LPIPS of its validation photos. Training with" in section.text[1]
    more = [without, read_run(make_run("c", gan_rows(BALANCED, None)))]
    (text,) = comparison_section([a, *more]).text
    assert "runs 2 and 3 have no LPIPS of their validation photos" in text


def test_different_photos_are_told_with_and_without_lpips(make_run: MakeRun) -> None:
    runs = [read_run(make_run(name, scored(27.0, None))) for name in "ab"]
    assert "bicubic dB" not in comparison_section(runs).tables[0].header
    other = read_run(make_run("c", scored(24.0, 0.3, bicubic=20.0)))
    section = comparison_section([*runs, other])
    warning, missing = section.text
    assert warning.startswith("The runs were validated on different photos")
    assert warning.endswith("26.00 dB in runs 1 and 2; 20.00 dB in run 3.")
    assert "runs 1 and 2 have no LPIPS" in missing
    assert "callbacks.lpips" not in missing  # it would not make them comparable
    assert ". Measure each on the same images with" in missing
    (table,) = section.tables
    bicubic = table.header.index("bicubic dB")
    assert [row[bicubic] for row in table.rows] == ["26.00", "26.00", "20.00"]
    measured = read_run(make_run("d", scored(27.0, 0.3)))
    warning, missing = comparison_section([measured, other]).text
    assert warning.endswith("26.00 dB in run 1; 20.00 dB in run 2.")
    assert "bicubic's scores on the validation photos are not the same" in missing


def test_a_run_without_lpips_leaves_the_others_their_plane(make_run: MakeRun) -> None:
    better = gan_rows([(0.7, 0.3)] * 9, lpips=0.2)
    runs = [
        read_run(make_run("a", settings={"seed": 1})),
        read_run(make_run("b", better, settings={"seed": 2})),
        read_run(make_run("c", scored(33.0, None), settings={"seed": 3})),
        read_run(make_run("d", gan_rows([(0.7, 0.3)] * 9, 0.25), settings={"seed": 4})),
    ]
    section = comparison_section(runs)
    (table,) = section.tables
    assert {row[0]: row[-1] for row in table.rows}["3: c"] == "-"
    assert any("run 3 has no LPIPS" in text for text in section.text)
    (text,) = (text for text in section.text if "begin with" in text)
    assert text.startswith(f"The run to begin with: 2: b ({runs[1].name}). Of the runs with LPIPS ")
    assert "Without LPIPS, run 3 is left out." in text
    del runs[2]
    (text,) = comparison_section(runs).text
    assert "Of the runs within 0.3 dB of the highest PSNR-Y it has the lowest LPIPS" in text


def test_runs_with_the_same_printed_scores_do_not_differ(make_run: MakeRun) -> None:
    runs = [
        read_run(make_run(str(i), scored(28.16 + i * 1e-4, 0.3 + i * 1e-6), {"seed": i}))
        for i in range(3)
    ]
    section = comparison_section(runs)
    assert section.text == [
        "Runs 1, 2 and 3 do not differ in PSNR-Y and LPIPS, to the digits of the table."
    ]
    assert [row[-1] for row in section.tables[0].rows] == ["1", "1", "1"]


def test_runs_below_bicubic_are_to_be_trained_longer(make_run: MakeRun) -> None:
    worse = [scored(24.0, 0.6), scored(27.0, 0.7), scored(25.0, None)]
    runs = [read_run(make_run(str(i), rows)) for i, rows in enumerate(worse)]
    text = comparison_section(runs).text[0]
    assert text.startswith("Every run is worse than bicubic")
    runs[2] = read_run(make_run("better", scored(27.0, None)))
    assert not any("worse than" in text for text in comparison_section(runs).text)


def test_jobs_of_a_sweep_keep_their_numbers(make_run: MakeRun) -> None:
    names = [f"{i}_gan.loss.weights.adversarial={w}" for i, w in ((0, 0.1), (2, 0.2), (10, 0.3))]
    scores = [scored(27.0, 0.3), scored(27.1, 0.2), scored(27.2, 0.4)]
    runs = [
        read_run(make_run(name, rows, {"seed": i, **{f"k{j}": i for j in range(6)}}))
        for i, (name, rows) in enumerate(zip(names, scores))
    ]
    assert numbers(runs) == ["0", "2", "10"]
    assert titles(runs)[1] == "2: adversarial=0.2"
    section = comparison_section(runs)
    assert f"begin with: 2: adversarial=0.2 ({runs[1].name})." in section.text[0]
    outcome, settings = section.tables
    assert {row[0].partition(":")[0]: row[-1] for row in outcome.rows} == {
        "2": "1",
        "10": "1",
        "0": "2",
    }
    assert list(settings.header) == ["setting", "0", "2", "10"]
    elsewhere = read_run(make_run("other/3_gan.ema=0.9"))
    assert numbers([*runs, elsewhere]) == ["1", "2", "3", "4"]
    assert numbers([runs[0], read_run(make_run("plain"))]) == ["1", "2"]
