"""The notebooks run from top to bottom, with the smallest training that their code can show."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, SMALL

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebook")
nbclient = pytest.importorskip("nbclient", reason="needs the extra notebook")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What stands in for the cell tagged "parameters", the pictures that come out, and what is printed.
SHRUNK = {
    "quickstart": (f"overrides = {SMALL!r}", 4, "gan epoch 2/2: PSNR-Y"),
    "failing_gan": ("my_run = None", 7, "Saturated: the discriminator tells"),
    "loss_weights": ("sweep = None", 3, "on the front"),
    "inside_the_network": ('photos, updates = ["brick"], 5', 12, "D prefers the photograph to gan"),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    source, pictures, printed = SHRUNK[path.stem]
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source = source
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures
    assert printed in str(outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_the_quickstart_is_kept_with_its_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert path.stem == "quickstart" or not any(cell.get("outputs") for cell in cells)
