import logging
from pathlib import Path

import pytest

from sr_gan.errors import UserError
from sr_gan.runs.metrics_table import read_rows, read_stages, write_rows

ROWS = [{"stage": "gan", "epoch": str(i), "loss/generator": f"0.{i}5"} for i in range(1, 4)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "metrics.csv", ROWS)
    assert read_rows(tmp_path / "metrics.csv") == ROWS
    assert read_rows(tmp_path / "none.csv") == []


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 8])
def test_a_last_line_that_is_cut_off_is_left_out(
    tmp_path: Path, lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a number that is still one may have lost digits."""
    path = tmp_path / "metrics.csv"
    write_rows(path, ROWS)
    path.write_bytes(path.read_bytes()[:-lost])
    with caplog.at_level(logging.WARNING):
        assert read_rows(path) == ROWS[:2]
    assert f"{path} is cut off: its last line is left out" in caplog.text
    assert read_stages(path)["gan"].epochs == 2


def test_other_damage_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("stage,epoch\ngan,0\ngan\ngan,2\n")
    with pytest.raises(UserError, match=r"metrics\.csv is damaged: line 3 has not as many cells"):
        read_rows(path)
