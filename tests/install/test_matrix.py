"""A small notebook with old and new kernels, shells and frames; each pair of them is there once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from packaging.requirements import Requirement

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # packages may have to be downloaded

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
KERNEL = next(
    name for name in PROJECT["optional-dependencies"]["test"] if name.startswith("ipykernel")
)
OLDEST = [str(Requirement(each)).replace(">=", "==") for each in (*PROJECT["dependencies"], KERNEL)]
OLDEST_IPYTHON = next(each for each in OLDEST if each.startswith("ipython=="))
MATRIX = {  # what is installed, and the major versions of kernel and frames that come of it
    "the oldest of all": (OLDEST, "6", "2"),
    "ipykernel 6, pandas 3": (["ipykernel<7", "pandas>=3"], "6", "3"),
    "ipykernel 7, the oldest IPython": (["ipykernel>=7", OLDEST_IPYTHON, "pandas>=3"], "7", "3"),
    "ipykernel 7, pandas 2": (["ipykernel>=7", "pandas<3"], "7", "2"),
}


VERSIONS = (
    "import ipykernel as k, IPython as i, pandas as p; print(*(m.__version__ for m in (k, i, p)))"
)


@pytest.fixture(scope="module", params=MATRIX)
def installed(request, wheel, new_environment):
    environment = new_environment("matrix")
    requirements, *majors = MATRIX[request.param]
    environment.install(wheel, *requirements)
    kernel, shell, frames = environment.run("-c", VERSIONS).split()
    print(f"{request.param}: ipykernel {kernel}, IPython {shell}, pandas {frames}")
    assert [kernel.split(".")[0], frames.split(".")[0]] == majors
    assert shell.startswith("9.0.") == (OLDEST_IPYTHON in requirements)
    return environment


@pytest.fixture
def kernel(installed, tmp_path, monkeypatch):
    """The name of the environment's kernel."""
    folder = tmp_path / "kernels" / "installed"
    folder.mkdir(parents=True)
    command = [str(installed.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": command, "display_name": "installed", "language": "python"}
    folder.joinpath("kernel.json").write_text(json.dumps(described))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return folder.name


CELLS = (
    "%%replicate acme/poet -o poem --show --tag smoke\nIn {{1 + 1}} words.",
    "df = %replicate runs\nprint(df['status'].tolist(), df['output'].tolist())\ndf",
    "%replicate runs '.status == \"succeeded\"' --map '{model, tag: .local.tag}'",
    "print(poem.jq('.output | add'), df.jq.filter('.status == \"failed\"').shape[0])",
    "%replicate stats",
    "%replicate export runs.jsonl",
)


def test_the_notebook_streams_keeps_queries_and_exports(installed, kernel, replicate):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    NotebookClient(notebook, kernel_name=kernel, timeout=60).execute(
        env=installed.variables(replicate), cwd=str(installed.away)
    )
    cell, frame, mapped, filtered, stats, _ = (one.outputs for one in notebook.cells)
    assert [request.json["input"] for request in replicate.seen("create")] == [
        {"prompt": "In 2 words."}
    ]
    assert "Hello world" in cell[-1]["data"]["text/plain"]
    assert "Hello world" in cell[-1]["data"]["text/html"]
    assert frame[0]["text"] == "['succeeded'] ['Hello world']\n"
    assert "acme/poet" in frame[1]["data"]["text/html"]
    assert "smoke" in mapped[-1]["data"]["text/plain"]
    assert filtered[0]["text"] == "Hello world 0\n"
    assert "acme/poet" in stats[-1]["data"]["text/plain"]
    [row] = installed.away.joinpath("runs.jsonl").read_text().splitlines()
    assert json.loads(row)["raw"]["output"] == ["Hello", " world"]
    told = [output for one in notebook.cells for output in one.outputs]
    assert [output for output in told if output.get("name") == "stderr"] == []


def test_a_page_is_shown_the_live_card_and_left_a_document(installed, kernel, replicate):
    variables = {**installed.variables(replicate), "JPY_SESSION_NAME": "page.ipynb"}
    manager, client = start_new_kernel(kernel_name=kernel, env=variables, cwd=str(installed.away))
    messages = []
    try:
        client.execute_interactive(CELLS[0], output_hook=messages.append, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    kinds = [message["msg_type"] for message in messages]
    assert {"comm_open", "comm_msg"} <= set(kinds)
    last = messages[len(kinds) - 1 - kinds[::-1].index("update_display_data")]["content"]["data"]
    assert "Hello world" in last["text/html"]
    assert "application/vnd.jupyter.widget-view+json" not in last
