"""The documentation: its commands are run as they stand there, its links lead somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from skimage import data as skimage_data

from sr_gan.__main__ import main
from sr_gan.runs import health
from tests.conftest import ROOT
from tests.hub_server import Hub
from tests.page_commands import (
    PAGES,
    Command,
    Toy,
    blocks,
    check_foreign,
    check_known,
    commands,
    compose_command,
    composed_only,
    config_name,
    fresh_hydra,
)

DOCS = ROOT / "docs"
MARKDOWN = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "experiments/**/*.md", "src/sr_gan/models/*.md")
    for path in ROOT.glob(pattern)
)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^()\s>]+)>?(?: \"[^\"]*\")?\)")
_ALL = [command for page in PAGES for command in commands(page)]


def of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("command", _ALL, ids=str)
def test_every_command_is_known_and_composes(command: Command) -> None:
    check_known(command)
    if command.ours is None:
        check_foreign(command)
        return
    name, arguments = config_name(command)
    if not any("=" in word for word in arguments) or "--config-dir" in arguments:
        return  # --help, or what the test of the page runs
    compose_command(name, arguments)


@pytest.mark.parametrize("page", MARKDOWN, ids=of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    broken = []
    for target in _LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


def test_every_yaml_is_yaml() -> None:
    found = [each for page in PAGES for each in blocks(page) if each.language == "yaml"]
    assert found
    assert all(isinstance(yaml.safe_load(each.text), dict) for each in found)


def test_every_page_has_a_place_on_the_site() -> None:
    index = (DOCS / "index.md").read_text()
    listed = set(re.findall(r"^([\w/]+)$", index, re.MULTILINE))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index", "package"} <= listed
    api = (DOCS / "api" / "index.md").read_text()
    pages = {page.stem for page in (DOCS / "api").glob("*.md")} - {"index"}
    assert pages == set(re.findall(r"^(\w+)$", api, re.MULTILINE))


def test_the_page_of_the_installation_has_every_extra() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    page = (DOCS / "install.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))


def header(recipe: Path) -> dict[str, str]:
    """What the comment at the head of a recipe says of its cost and of what is expected."""
    lines = [line[1:].strip() for line in recipe.read_text().splitlines() if line[:1] == "#"]
    _, _, text = " ".join(lines[1:]).partition("command ")
    cost, _, expected = text.partition(" cost ")[2].partition(" expected ")
    return {"Cost": cost, "Expected": expected}


def normal(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


@pytest.mark.parametrize("recipe", sorted((ROOT / "conf" / "experiment").glob("*.yaml")), ids=str)
def test_the_page_of_recipes_says_what_the_recipes_say(recipe: Path) -> None:
    page = (DOCS / "recipes.md").read_text()
    section = page.partition(f"\n### {recipe.stem}\n")[2].partition("\n##")[0]
    for name, expected in header(recipe).items():
        found = re.search(rf"^- {name}: (.*?)(?=^- |\Z)", section, re.M | re.S)
        assert found, f"recipes.md lacks {name} of {recipe.stem}"
        assert normal(found[1]) == normal(expected)


def test_the_page_of_curves_has_the_rules_of_health() -> None:
    page = (DOCS / "curves.md").read_text()
    rows = re.findall(r"^\| (\d) \| ([\w ]+) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    assert tuple(name for _, name, _, _ in rows) == health.STATES
    assert [int(number) for number, *_ in rows] == list(range(len(health.STATES)))
    rules = {name: set(re.findall(r"\d+(?:\.\d+)?(?:e\d+)?", rule)) for _, name, rule, _ in rows}
    for state, numbers in {
        "discriminator winning": {health.AHEAD},
        "generator winning": {health.BEHIND},
        "saturated": {health.SATURATED},
        "healthy": {health.BEHIND, health.AHEAD},
        "oscillating": {health._SWING},
        "collapsed": {health._FADED, health._GLARING, health._TINTED},
        "diverged": {health._BEYOND},
    }.items():
        assert numbers <= {float(number) for number in rules[state]}, state


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders and files that the pages name; runs are added by ``toy``."""
    folder = tmp_path_factory.mktemp("place")
    cat, coffee = skimage_data.chelsea(), skimage_data.coffee()
    sets = {
        "PHOTOS": 4,
        "VALID": 1,
        "FOLDER": 2,
        "Set5": 2,
        "Set14": 2,
        "FRAMES": 2,
        "Scans (1)": 1,
    }
    for name, count in sets.items():
        (folder / name).mkdir()
        for i in range(count):
            picture = (cat if i % 2 else coffee)[10 + 20 * i :][:128, 40 + 30 * i :][:, :144]
            Image.fromarray(picture).save(folder / name / f"{'abcd'[i]}.png")
    shutil.copytree(folder / "Set14", folder / "results" / "Set14")
    Image.fromarray(cat[50:98, 60:124]).save(folder / "photo.jpg")
    return folder


@pytest.fixture
def toy(
    place: Path,
    tmp_path: Path,
    vgg_file: Path,
    alexnet_file: Path,
    squeezenet_file: Path,
    vgg16_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Toy:
    """A copy of the place in the current folder, with a small run."""
    folder = tmp_path / "place"
    shutil.copytree(place, folder)
    monkeypatch.chdir(folder)
    weights = {"vgg19": vgg_file, "alexnet": alexnet_file}
    toy = Toy(folder, weights | {"squeezenet": squeezenet_file, "vgg16": vgg16_file})
    if not (place / "RUN").exists():
        words = ("hydra.run.dir=RUN", "data=folder", "data.train_dir=PHOTOS")
        run(toy, Command(Path("fixture"), words, "train"), monkeypatch, capsys)
        words = ("model=RUN", "format=basicsr", "output=exported")
        run(toy, Command(Path("fixture"), words, "export"), monkeypatch, capsys)
        (file,) = (folder / "exported").glob("*.pth")
        file.rename(place / "4x_Someone.pth")
        shutil.copytree(folder / "RUN", place / "RUN")
        shutil.copy(place / "4x_Someone.pth", folder)
    shutil.copytree(folder / "RUN", folder / "runs" / "quickstart" / "2026-01-31-120000")
    return toy


def run(
    toy: Toy,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """Runs a command of this package in this process; returns what it prints."""
    help_only = not command.ours or command.ours.startswith("-")
    settings = [] if help_only else toy.settings(command)
    bench = [command.words[0]] if command.ours == "bench" else []
    monkeypatch.setattr(sys, "argv", ["sr-gan", str(command.ours), *bench, *settings])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    code = 0
    try:
        with fresh_hydra():
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    printed = "".join(capsys.readouterr())
    assert code == 0, f"{command}\nwith {settings}\n{printed}"
    assert "Traceback" not in printed
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_command_of_a_page_runs(
    page: Path,
    toy: Toy,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    for command in commands(page):
        if command.ours and not composed_only(command):
            run(toy, command, monkeypatch, capsys)
            if command.ours == "publish" and hub.commits:
                hub.names["me/quickstart"]["v1"] = hub.names["me/quickstart"]["main"]


# What the reader of a page has before its Python begins.
GIVEN = """
from PIL import Image
from sr_gan import Upscaler
image = Image.open("photo.jpg")
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "own_network.md"], ids=of)
def test_every_python_of_a_page_runs(page: Path, toy: Toy, hub: Hub) -> None:
    from huggingface_hub import constants

    run_folder = toy.folder / "runs" / "quickstart"
    weights = next(run_folder.rglob("generator.safetensors")).read_bytes()
    hub.commit("me/quickstart", {"generator.safetensors": weights})
    hub.names["me/quickstart"]["v1"] = hub.names["me/quickstart"]["main"]
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": constants.HF_HUB_CACHE}
    for block in blocks(page):
        if block.language == "python":
            code = [sys.executable, "-c", GIVEN + block.text]
            done = subprocess.run(code, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, block.text + done.stderr


@pytest.mark.slow
def test_a_network_of_ones_own(tmp_path: Path, photos: Path) -> None:
    """This page is one story: its files are written, and its commands are run, in their order."""
    (tmp_path / "PHOTOS").mkdir()
    shutil.copy(photos / "a.png", tmp_path / "PHOTOS")
    sr_gan = f'{sys.executable} -m sr_gan "$@"'
    shell = ["set -e", f"sr_gan() {{ {sr_gan}; }}", f'python() {{ {sys.executable} "$@"; }}']
    for block in blocks(DOCS / "own_network.md"):
        if block.name:
            (tmp_path / block.name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.name).write_text(block.text)
        elif block.language == "sh":
            source = block.text.replace("$PWD", f"$PWD:{ROOT / 'src'}")
            shell.append(re.sub(r"^(python -m sr_gan[ .]|sr-gan )", "sr_gan ", source, flags=re.M))
        else:
            (tmp_path / "example.py").write_text(block.text)
            shell.append("python example.py")
    done = subprocess.run(
        [shutil.which("bash") or "sh", "-c", "\n".join(shell)],
        cwd=tmp_path,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert Image.open(tmp_path / "larger.png").size == (85 * 16, 70 * 16)
    assert "Small of 9,728 parameters" in done.stdout
    assert (tmp_path / "interpolated" / "alpha_0.50.safetensors").exists()


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(package, reason="needs the extra docs")
    build = ["--quiet", "--fail-on-warning", "--keep-going", "-c", "docs", ".", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *build], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "docs" / "index.html").exists()
    assert (tmp_path / "notebooks" / "quickstart.html").exists()
    assert "docs/index.html" in (tmp_path / "index.html").read_text()
    api = (tmp_path / "docs" / "api" / "upscaler.html").read_text()
    assert "from_pretrained" in api
