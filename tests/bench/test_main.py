"""``python -m sr_gan.bench PART``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PARTS = ("train", "data", "upscale")


def bench(*arguments: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-X", "importtime", "-m", "sr_gan.bench", *arguments]
    variables = {**os.environ, "HYDRA_FULL_ERROR": "0"}
    return subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True)


def imported(errors: str) -> set[str]:
    """The packages in what ``-X importtime`` prints."""
    return {line.rpartition("|")[2].strip() for line in errors.splitlines() if "|" in line}


def without_imports(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if not line.startswith("import time:")]


@pytest.mark.parametrize("arguments", [[], ["x"]])
def test_an_unknown_part_is_one_line(arguments: list[str]) -> None:
    done = bench(*arguments)
    assert done.returncode == 1
    assert without_imports(done.stderr) == [
        "error: python -m sr_gan.bench PART [KEY=VALUE ...]: PART is one of train, data, upscale"
    ]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_its_help(part: str) -> None:
    done = bench(part, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(f"python -m sr_gan.bench {part}")
    assert "output=FILE.json" in done.stdout
    assert not {"torch", "lightning", "numpy"} & imported(done.stderr)


@pytest.mark.parametrize(
    ("part", "setting", "message"),
    [
        ("train", "bench.updates=0", "bench.updates=0: should be greater than 0"),
        ("train", "bench.round=1", "bench.round is not a setting"),
        ("data", "crop=98", "crop=98: must be a multiple of scale=4, at most 1356"),
        ("data", "crop=1360", "crop=1360: must be a multiple of scale=4, at most 1356"),
        ("data", "images=1", "images=1: should be greater than or equal to 2"),
        ("data", "seconds=0", "seconds=0: should be greater than 0"),
        ("upscale", "width=8", "width=8: should be greater than or equal to 16"),
        ("upscale", "device=tpu", "device=tpu: allowed are auto, cpu, cuda and cuda:N"),
    ],
)
def test_a_mistake_is_one_line_before_pytorch_is_imported(
    part: str, setting: str, message: str, tmp_path: Path
) -> None:
    done = bench(part, setting, folder=tmp_path)
    assert done.returncode == 1
    lines = without_imports(done.stderr)
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: {message}")
    assert not {"torch", "lightning"} & imported(done.stderr)
    assert not list(tmp_path.iterdir())
