"""Which room of the package may import which, and what a command may import when it starts."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "src" / "sr_gan"
COMMANDS = {
    *("train", "prepare", "evaluate", "upscale", "interpolate", "export", "publish", "report"),
    "serve",
    "bench",
    "doctor",
}
GROUND = {
    "arguments",
    "errors",
    "signals",
    "files",
    "machine",
    "tables",
    "devices",
    "tensor_files",
    "__version__",
}
BELOW = {  # the rooms that a room may import, besides the ground floor
    "images": set(),
    "settings": set(),
    "models": set(),
    "networks": {"images"},
    "runs": {"images", "settings", "models", "networks"},
    "losses": {"images", "networks"},
    "metrics": {"images", "networks"},
    "data": {"images"},
    "modules": {"images", "networks", "losses", "metrics"},
    "loggers": set(),
    "callbacks": {"images", "runs", "metrics", "modules"},
    "inference": {"images", "settings", "models", "networks", "runs", "metrics"},
    "evaluation": {"images", "settings", "runs", "metrics", "data", "inference"},
    "exports": {"images", "settings", "models", "networks", "runs", "inference", "evaluation"},
    "sweeps": {"settings", "runs", "metrics"},
    "reports": {"images", "settings", "runs", "evaluation"},
    "resolvers": {"settings", "runs"},
    "cli": {"settings", "runs", "resolvers"},
    "__init__": {"inference"},
    "__main__": set(),
    "spandrel": {"networks"},
}
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}


def room_of(path: Path) -> str:
    place = path.relative_to(PACKAGE)
    return place.parts[0] if len(place.parts) > 1 else place.stem


def imports(path: Path) -> Iterator[str]:
    """The rooms that a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = node.module.split(".")
            names = [module] if len(module) > 1 else [[*module, a.name] for a in node.names]
        else:
            continue
        yield from (name[1] for name in names if name[0] == "sr_gan" and len(name) > 1)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_rooms_import_only_what_is_below_them(path: Path) -> None:
    room = room_of(path)
    command = room in COMMANDS or path.name == "__main__.py"
    allowed = ROOMS - COMMANDS if command else BELOW.get(room, set()) | GROUND
    assert set(imports(path)) - {room} <= allowed | ({"__version__"} if command else set())


def test_every_room_is_placed() -> None:
    assert ROOMS - {"__pycache__", "conf"} - COMMANDS <= set(BELOW) | GROUND


def loaded(code: str) -> set[str]:
    """What a fresh interpreter has imported after running some code."""
    code = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["", ".cli", ".__main__", *(f".{c}" for c in sorted(COMMANDS))])
def test_commands_start_without_slow_packages(module: str) -> None:
    slow = {"torch", "lightning", "numpy", "matplotlib", "PIL", "scipy"}
    assert not slow & loaded(f"import sr_gan{module}")


@pytest.mark.parametrize(
    "arguments",
    [
        *("--help", "gan.epoch=3", "experiment=foo", "stages=[gen]", "scale=3", "logger=null"),
        *(
            "gan.epochs=x",
            "data.batch_size=1.5",
            "gan.loss=l1",
            "loss@gan.loss=l1",
            "gan.accumulate=3",
            "generator.scale=2",
            "gan.ema=2",
            "data.crop=98",
            "callbacks.lpips.weights=missing",
            "init_from=missing",
        ),
    ],
)
def test_help_and_mistakes_do_not_wait_for_pytorch(arguments: str, tmp_path: Path) -> None:
    assert not {"torch", "lightning"} & loaded(run(["train", arguments], tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        *("upscale input=missing", "upscale input=. model=missing", "upscale input=. sigma=-1"),
        *("evaluate benchmark=missing", "evaluate benchmark=. lpips=missing", "report run=missing"),
        *("interpolate a=missing b=gan", "interpolate a=gan b=psnr alpha=7"),
        "interpolate a=gan b=psnr device=tpu",
        *("export format=onxx", "export format=onnx model=bicubic", "export format=pt2 web=true"),
        *("publish repo=a/b model=missing", "publish repo=a", "publish repo=a/b card=missing"),
        *("prepare data=folder data.train_dir=missing", "bench upscale model=missing"),
        *("export format=web runtime=missing", "serve missing", "serve port=-1"),
        *("doctor lpips=missing", "doctor device=tpu"),
    ],
)
def test_missing_files_do_not_wait_for_pytorch(words: str, tmp_path: Path) -> None:
    assert "torch" not in loaded(run(words.split(), tmp_path))


def run(words: list[str], folder: Path) -> str:
    """Code that runs a command, which fails."""
    return f"""
import contextlib, io, os, sys
sys.argv = ["sr-gan", *{words!r}]
os.chdir({str(folder)!r})
from sr_gan.__main__ import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main()
    except SystemExit as stop:
        assert stop.code == (0 if "--help" in sys.argv else 1), stop.code
"""


def test_files_of_a_run_are_read_without_pytorch() -> None:
    assert "torch" not in loaded("import sr_gan.runs.history")
    assert "lightning" not in loaded("import sr_gan.images.resize, sr_gan.losses, sr_gan.metrics")
