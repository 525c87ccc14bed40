"""``python -m sr_gan.bench PART``."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("arguments", [[], ["x"]])
def test_an_unknown_part_is_one_line(arguments: list[str]) -> None:
    line = [sys.executable, "-m", "sr_gan.bench", *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "PART is one of train" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("part", ["train", "data", "upscale"])
def test_every_part_has_its_help(part: str) -> None:
    line = [sys.executable, "-m", "sr_gan.bench", part, "--help"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(f"python -m sr_gan.bench {part}")
