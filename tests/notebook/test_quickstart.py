"""The notebooks that are shipped, executed on the embedded engine as a newcomer would."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
STATIC = {"text/plain", "text/html", "image/png", "image/jpeg"}


def outputs_of(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory, monkeypatch_module):
    monkeypatch_module.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    notebook = nbformat.read(NOTEBOOKS[0].with_name("quickstart.ipynb"), 4)
    NotebookClient(notebook, timeout=110, kernel_name="python3").execute()
    return notebook


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def cell_with(notebook, words):
    return next(cell for cell in notebook.cells if words in cell.source)


@pytest.mark.model
def test_the_quickstart_runs_to_its_end_with_an_answer_in_every_cell(quickstart):
    cells = [cell for cell in quickstart.cells if cell.source.startswith("%%replicate")]
    assert len(cells) > 5
    assert [cell.source for cell in cells if not cell.outputs] == []


@pytest.mark.model
def test_json_from_the_model_becomes_a_dict(quickstart):
    shown = cell_with(quickstart, "json_schema").outputs[0].data["text/plain"]
    assert set(json.loads(shown.split("\n\nlocal/")[0])) == {"name", "age", "city"}
    [age] = cell_with(quickstart, 'person["age"]').outputs
    assert age.data["text/plain"].isdecimal()


@pytest.mark.model
def test_the_failing_cells_show_a_short_error(quickstart):
    errors = [out for out in outputs_of(quickstart) if out.output_type == "error"]
    assert [error.ename for error in errors] == ["PredictionFailed", "InputError"]
    assert all(len(error.traceback) == 1 for error in errors)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_in_the_repository_keeps_its_outputs_as_static_types(path):
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = {kind for output in outputs_of(notebook) for kind in output.get("data", ())}
    assert [cell.source for cell in code if not cell.execution_count] == []
    assert kinds <= STATIC
    assert "widgets" not in notebook.metadata
