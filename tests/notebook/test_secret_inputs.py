"""A secret input in a real kernel: it is in no saved notebook, and in no file of ours."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient
from replicate_server import CONCATENATED, Model, answer, openapi

pytestmark = pytest.mark.slow

KEY = "hunter2-and-more"
PASSWORD = {"type": "string", "format": "password", "x-cog-secret": True}
CELLS = (
    "import os\nkey = os.environ['VAULT_KEY']",
    "%%replicate acme/vault key={{key}}\nName a fruit.",
    "print(repr(_), _.raw, _.jq('.input'))",
    "_",
    "%%replicate acme/vault key={{key}} --jq .\nName a fruit.",
    "%%replicate acme/vault key={{key}} -o p --show\nName a fruit.",
    "%%replicate acme/vault key={{key}}\nName a fruit.",  # refused by the API
    "%%replicate acme/vault key={{key}} --dry-run\nName a fruit.",
    "%%replicate acme/vault key={{[key]}}\nName a fruit.",
    "%%replicate acme/vault key={{key}} steps=many\nName a fruit.",
    "%replicate runs",
    "_.jq.all('.')",
    "%replicate info acme/vault",
    "%replicate export runs.jsonl",
    "%tb",
)


@pytest.fixture
def notebook(environment, replicate, tmp_path):
    """The notebook's cells as they are once it was run, and saved."""
    inputs = {"prompt": {"type": "string"}, "key": PASSWORD, "steps": {"type": "integer"}}
    replicate.models["acme/vault"] = Model(official=True, schema=openapi(CONCATENATED, **inputs))
    quotes = answer(422, {"title": "Input validation failed", "detail": f"- key: {KEY} is wrong"})
    replicate.fails("create", None, None, None, quotes, quotes)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, allow_errors=True, resources=resources, timeout=60)
    env = {"REPLICATE_MAGIC_HOME": str(tmp_path / "home"), "VAULT_KEY": KEY}
    client.execute(env={**environment, **env})
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    return [json.dumps(cell.outputs) for cell in notebook.cells]


def test_a_secret_is_in_no_saved_notebook_and_in_no_file(notebook, replicate, tmp_path):
    sent = [request.json["input"]["key"] for request in replicate.seen("create")]
    files = {one.relative_to(tmp_path): one for one in tmp_path.rglob("*") if one.is_file()}
    names = {str(name) for name in files}
    told = {code.split("\n")[0]: output for code, output in zip(CELLS, notebook, strict=True)}

    assert sent == [KEY] * 4
    assert {"saved.ipynb", "runs.jsonl", "home/history.db"} <= names
    assert [name for name in names if name.startswith("home/schemas/")]
    assert [name for name, one in files.items() if KEY.encode() in one.read_bytes()] == []
    for code in ("print(repr(_), _.raw, _.jq('.input'))", "_.jq.all('.')"):
        assert "(secret)" in told[code]
    assert "(secret)" in notebook[4]
    assert "key: (secret) is wrong" in notebook[6]
    assert '\\"key\\": \\"(secret)\\"' in notebook[7]
    assert "key=(secret): expected string" in notebook[8]
    assert "steps=many: expected integer" in notebook[9]
