"""The examples in docs/ are run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, random_photo

# A name of a file, if the block is one; the language; the text.
BLOCK = re.compile(r"(?:^`([^`]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_network_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "PHOTOS").mkdir()
    Image.fromarray(random_photo(48, 64)).save(tmp_path / "PHOTOS" / "a.png")
    commands = ["set -e", f'python() {{ {sys.executable} "$@"; }}']
    for name, language, text in BLOCK.findall((ROOT / "docs" / "own_network.md").read_text()):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        elif language == "sh":
            commands.append(text.replace("$PWD", f"$PWD:{ROOT / 'src'}"))
        else:
            (tmp_path / "example.py").write_text(text)
            commands.append("python example.py")
    environment = {**os.environ, "HYDRA_FULL_ERROR": "0"}
    bash = shutil.which("bash") or "sh"
    done = subprocess.run(
        [bash, "-c", "\n".join(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert Image.open(tmp_path / "larger.png").size == (64 * 16, 48 * 16)
    assert "Small of 9,728 parameters" in done.stdout
    assert (tmp_path / "interpolated" / "alpha_0.50.safetensors").exists()
