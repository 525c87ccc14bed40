"""What the commands write where nothing else is said is no part of the repository."""

import subprocess

import pytest
import yaml

from sr_gan.runs.folder import RUNS
from sr_gan.settings.conf import conf_dir
from tests.conftest import ROOT


def default_outputs() -> list[str]:
    """The outputs in conf/, and those that the commands work out."""
    found: list[str | None] = [str(RUNS), "evaluations", "report", "data/DIV2K"]
    for file in sorted(conf_dir().glob("*.yaml")):
        top = yaml.safe_load(file.read_text())
        found += [node.get("output") for node in (top, top.get("bench", {}))]
    return [output for output in found if output]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no repository")
@pytest.mark.parametrize("output", default_outputs())
def test_default_outputs_are_ignored(output: str) -> None:
    path = output if output.endswith(".json") else f"{output}/file"
    done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
    assert done.returncode == 0
