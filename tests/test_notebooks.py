"""The notebooks run from top to bottom, and are stored with what they print and draw."""

import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from sr_gan.settings.conf import conf_dir
from tests.conftest import ROOT, SMALL, Shell

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook")
nbclient = pytest.importorskip("nbclient", reason="needs the extra notebook")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# What stands in for the cell tagged "parameters", so that little is trained; None leaves it alone.
SHRUNK = {
    "quickstart": f"overrides = {SMALL!r}",
    "failing_gan": None,
    "loss_weights": None,
    "inside_the_network": 'photos, updates = ["brick"], 5',
}
SHOW = ["--cfg", "job"]
LARGEST = 1_000_000  # bytes
OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:root|home|tmp|Users|usr|opt|work|content)/|[A-Z]:\\")
CLUTTER = re.compile(r"it/s|%\||\r|Warning|Traceback")


def pictures(cell: Any) -> list[str]:
    """The types of the pictures that a cell has drawn."""
    kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
    return [kind for kind in kinds if kind.startswith("image/")]


def text(cell: Any) -> str:
    """What a cell has printed and written as Markdown."""
    markdown = [output.get("data", {}).get("text/markdown", "") for output in cell.outputs]
    return "".join([output.get("text", "") for output in cell.outputs] + markdown)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_in(folder: Path, notebook: Any) -> None:
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()


@each_notebook
def test_runs_and_draws_what_is_stored(path: Path, tmp_path: Path) -> None:
    stored, notebook = (nbformat.read(path, as_version=4) for _ in range(2))
    nbformat.validate(notebook)
    shrunk = SHRUNK[path.stem]
    if shrunk:
        (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
        parameters.source = shrunk
    run_in(tmp_path, notebook)
    for old, new in zip(code_cells(stored), code_cells(notebook)):
        assert (old.id, pictures(old)) == (new.id, pictures(new))
        assert bool(text(old)) == bool(text(new)), old.id
        assert shrunk or text(old) == text(new), old.id


@each_notebook
def test_is_stored_with_clean_output(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size <= LARGEST, "draw smaller figures, or JPEG of a lower quality"
    assert sum(len(pictures(cell)) for cell in cells) >= 3
    for cell in notebook.cells:
        shown = cell.source + (text(cell) if cell.cell_type == "code" else "")
        assert not OF_A_MACHINE.search(shown), shown
        assert not CLUTTER.search(shown), shown
        assert cell.metadata.keys() <= {"tags"}  # no times of execution
    for output in (output for cell in cells for output in cell.outputs):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"


@each_notebook
def test_shows_a_picture_before_much_code(path: Path) -> None:
    lines = 0
    for cell in code_cells(nbformat.read(path, as_version=4)):
        lines += len(cell.source.splitlines())
        if pictures(cell):
            break
    assert lines <= 40


@each_notebook
def test_links_lead_to_other_notebooks_or_to_the_repository(path: Path) -> None:
    """The repository has a placeholder until pyproject.toml says where its source is."""
    stated = r'^Source = "https://github\.com/([^"]+)"'
    known = re.search(stated, (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    repository = known[1].removesuffix(".git").strip("/") if known else "OWNER/sr_gan"
    cells = nbformat.read(path, as_version=4).cells
    source = "\n".join(cell.source for cell in cells)
    places = re.findall(r"(?:github\.com|google\.com/github)/([\w.-]+/[\w.-]+)", source)
    assert set(places) == ({repository} if path.stem == "quickstart" else set())
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)]+)\)", markdown):
        assert "://" in link or link in {other.name for other in NOTEBOOKS}, link


@each_notebook
def test_the_commands_that_it_names_have_these_settings(path: Path, shell: Shell) -> None:
    cells = nbformat.read(path, as_version=4).cells
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    commands = re.findall(r"`sr-gan ([^`]+)`", markdown)
    assert commands
    for name, *settings in map(str.split, commands):
        if "-m" in settings:  # excludes --cfg
            with initialize_config_dir(str(conf_dir()), version_base="1.3"):
                compose(name, [word.split(",")[0] for word in settings if word != "-m"])
        else:
            code, out, err = shell(name, *settings, *([] if "--help" in settings else SHOW))
            assert code == 0, (settings, err)
            assert out, settings
