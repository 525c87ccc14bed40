import re
from pathlib import Path

from sr_gan.reports.write import write_report
from tests.made_runs import MakeRun


def test_jobs_of_a_sweep_stand_in_the_order_of_their_numbers(
    make_run: MakeRun, tmp_path: Path
) -> None:
    paths = [make_run(f"{number}_seed={number}") for number in (10, 2)]
    write_report(paths, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Comparison", "2: seed=2", "10: seed=10"]
    assert (tmp_path / "report" / "figures" / "10-losses.png").is_file()
