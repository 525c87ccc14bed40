import json
from pathlib import Path
from typing import Any

from sr_gan.reports.compare import comparison_section, differing, titles
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


def test_why_there_is_no_plane(make_run: MakeRun) -> None:
    a, without = read_run(make_run("a")), read_run(make_run("b", gan_rows(BALANCED, None)))
    section = comparison_section([a, without], ["Left out: x."])
    assert not plane([a, without])
    assert section.text[0] == "Left out: x."
    assert "run 2 has no LPIPS" in section.text[1]
    rows = [{**row, "quality/psnr_y_bicubic": 20.0} for row in gan_rows(BALANCED)]
    other = read_run(make_run("c", rows))
    assert "validated on different photos" in comparison_section([a, other]).text[0]


def test_a_run_without_lpips_leaves_the_others_their_plane(make_run: MakeRun) -> None:
    better = gan_rows([(0.7, 0.3)] * 9, lpips=0.2)
    runs = [
        read_run(make_run("a", settings={"seed": 1})),
        read_run(make_run("b", better, settings={"seed": 2})),
        read_run(make_run("c", gan_rows([(0.7, 0.3)] * 9, lpips=None), settings={"seed": 3})),
        read_run(make_run("d", better, settings={"seed": 4})),
    ]
    section = comparison_section(runs)
    (table,) = section.tables
    assert {row[0]: row[-1] for row in table.rows}["3: c"] == "-"
    assert any("run 3 has no LPIPS" in text for text in section.text)
    assert any(text.startswith("The run to begin with: 2: b.") for text in section.text)
