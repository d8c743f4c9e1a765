"""Every notebook runs from top to bottom, in a smaller form where it trains."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SMALLER = {"1_quickstart": ("T = 3_000", "T = 300")}
"""Notebooks that train, with what is shortened in the cell tagged ``parameters``."""

MOST_BYTES = 250_000


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "1_quickstart",
        "2_anatomy_of_a_pruned_actor",
        "3_reading_a_sweep",
    ]


def shortened(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    if path.stem in SMALLER:
        before, after = SMALLER[path.stem]
        (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
        assert before in cell.source
        cell.source = cell.source.replace(before, after)
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path) -> None:
    notebook = shortened(path)
    context = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, resources=context).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_there_and_small(path: Path) -> None:
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    assert path.stat().st_size < MOST_BYTES
    assert not any(word in path.read_text() for word in ("/home/", "/root/", "/work/", "/tmp/"))
