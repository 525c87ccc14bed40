import re
import subprocess
import sys

import pytest

from sr_gan.inference.pretrained import load_pretrained
from sr_gan.models import PURPOSES, bundled_models
from sr_gan.models.__main__ import main


def test_an_argument_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["models", "foo"])
    with pytest.raises(SystemExit, match=r"^error: foo: this command has no settings, see --help$"):
        main()


def test_every_model_is_listed_with_its_purpose(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["models"])
    monkeypatch.setattr("sr_gan.models.__main__._SECONDS", 0.0)
    main()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == len(bundled_models()) == len(PURPOSES)
    for line, (name, path) in zip(lines, bundled_models().items()):
        words = line.split(maxsplit=7)
        count = sum(p.numel() for p in load_pretrained(name).generator.parameters())
        assert words[:3] == [name, "4", f"{count:,}"]
        assert abs(float(words[3]) - path.stat().st_size / 1e6) < 0.06
        assert path.stat().st_size < 3.1e6
        assert float(words[5]) > 0
        assert words[7] == PURPOSES[name]
        assert load_pretrained(name).describe().endswith(PURPOSES[name])


def test_the_command_has_help() -> None:
    command = [sys.executable, "-m", "sr_gan.models", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"what each is\s+for", run.stdout)
