"""The notebooks that are shipped, executed on the embedded engine as a newcomer would."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
STATIC = {"text/plain", "text/html", "image/png", "image/jpeg"}


def outputs_of(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def executed(name, tmp_path_factory):
    """A notebook of the repository, executed by a newcomer without any history."""
    home = tmp_path_factory.mktemp("home")
    models = Path(os.environ["REPLICATE_MAGIC_HOME"]) / "models"
    home.joinpath("models").symlink_to(models, target_is_directory=True)
    own = {"REPLICATE_MAGIC_HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
    notebook = nbformat.read(NOTEBOOKS[0].with_name(f"{name}.ipynb"), 4)
    client = NotebookClient(notebook, timeout=110, kernel_name="python3")
    client.execute(env={**os.environ, **own})
    return notebook


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    return executed("quickstart", tmp_path_factory)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return executed("analysis", tmp_path_factory)


def cell_with(notebook, words):
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    return next(cell for cell in code if words in cell.source)


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


@pytest.mark.model
def test_the_quickstart_ends_with_its_own_runs_as_a_table(quickstart):
    *_, table, mapped = [cell for cell in quickstart.cells if cell.cell_type == "code"]
    assert "8 runs" in table.outputs[0].data["text/plain"]
    assert "The prompt has" in table.outputs[0].data["text/plain"]
    assert mapped.outputs[0].data["text/plain"].count("succeeded") == 7


@pytest.mark.model
@pytest.mark.slow
def test_the_analysis_shows_a_table_figures_a_picture_and_the_explorers_runs(analysis):
    shown = {
        words: cell_with(analysis, words).outputs[-1].data
        for words in ("%replicate runs tag=analysis", "%replicate stats", "%replicate plot",
                      "%replicate explore", "--all", ".jq.map(")
    }  # fmt: skip
    assert "10 runs" in shown["%replicate runs tag=analysis"]["text/plain"]
    assert "90 %" in shown["%replicate stats"]["text/plain"]
    assert "image/png" in shown["%replicate plot"]
    assert "5 runs" in shown["%replicate explore"]["text/plain"]
    assert "temperature" in shown["--all"]["text/plain"]
    assert shown[".jq.map("]["text/plain"].count("Write ") == 5  # the slowest, whichever they are


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return executed("inputs-and-outputs", tmp_path_factory)


@pytest.mark.model
@pytest.mark.slow
def test_a_picture_goes_in_and_the_larger_one_is_on_disk_and_goes_on(pictures):
    def plain(words, at=-1):
        return cell_with(pictures, words).outputs[at].data["text/plain"]

    assert "image/png" in cell_with(pictures, "larger = %replicate").outputs[-1].data
    assert plain("[file] = larger.files") == "((192, 192), 'image/png', True)"
    assert plain("twice = %replicate") == "(384, 384)"
    assert plain("x.metrics") == "('succeeded', 1)"
    assert cell_with(pictures, "stile=art").outputs[0].evalue.count("\n") >= 3
    assert plain(".local.files[]").count("image/png") == 3


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    return executed("around-a-run", tmp_path_factory)


@pytest.mark.model
@pytest.mark.slow
def test_a_run_is_read_run_compared_and_taken_along(around):
    shown = {
        command: cell_with(around, f"%replicate {command}").outputs[-1].data["text/plain"]
        for command in ("info", "stats", "rerun", "diff", "code")
    }
    models = cell_with(around, "models = %replicate").outputs[-1].data["text/plain"]
    assert "local/waifu2x" in models
    assert "max_tokens: integer; 1 to 2048" in shown["info"]
    assert "$" in shown["stats"]
    assert "temperature  0.2 → 1.1" in shown["diff"]
    assert "predict_time" in shown["diff"]
    assert "http://127.0.0.1:8000/v1/models/local/smollm2-135m-instruct" in shown["code"]
    *_, last = [cell for cell in around.cells if cell.cell_type == "code"]
    assert "Did you mean" in last.outputs[0].evalue


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_in_the_repository_keeps_its_outputs_as_static_types(path):
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = {kind for output in outputs_of(notebook) for kind in output.get("data", ())}
    assert [cell.source for cell in code if not cell.execution_count] == []
    assert kinds <= STATIC
    assert "widgets" not in notebook.metadata
