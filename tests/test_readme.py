"""What the README says, done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from readme_tables import README as FILE
from readme_tables import TABLES, marked
from replicate_server import Model, Replicate, become, openapi

ROOT = FILE.parent
README = FILE.read_text("utf-8")


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


PYTHON = blocks("python")


@pytest.fixture(scope="module")
def begun(model_runs, tmp_path_factory):
    """A process for each block, side by side."""
    folder = tmp_path_factory.mktemp("blocks")
    processes = []
    for number, code in enumerate(PYTHON):
        script = folder / f"block{number}.py"
        script.write_text(code, "utf-8")
        pipe = subprocess.PIPE
        processes.append(
            subprocess.Popen([sys.executable, script], stdout=pipe, stderr=pipe, text=True)
        )
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.model
@pytest.mark.parametrize("number", range(len(PYTHON)), ids=lambda n: PYTHON[n].splitlines()[0])
def test_the_python_blocks_run(begun, number):
    said, complaint = begun[number].communicate()
    assert begun[number].returncode == 0, complaint
    assert said.strip()


CELLS = [block for block in blocks("") if re.match(r"%%replicate local/|history = ", block)]
RUN_CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "replicate_magic")
made = []
for cell in json.load(sys.stdin):
    shell.run_cell(cell, store_history=True).raise_error()
    if cell.startswith("%%"):
        made.append([shell.user_ns["_"].status, shell.user_ns["_"].input])
print(json.dumps(made))
"""


@pytest.mark.model
@pytest.mark.slow
def test_the_cells_for_the_embedded_engine_run_one_after_the_other():
    done = subprocess.run(
        [sys.executable, "-c", RUN_CELLS], input=json.dumps(CELLS), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    assert [status for status, _ in made] == ["succeeded"] * 4
    (_, slogan), (_, keeper), (_, first), (_, second) = made
    assert slogan["prompt"].startswith("Write a slogan")
    assert keeper["system_prompt"].count("\n") == 1
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert second["messages"][:2] == first["messages"]
    assert [message["role"] for message in second["messages"][2:]] == ["assistant", "user"]
    assert second["messages"][3]["content"] == "What does it eat?"


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_the_parsers_own(name):
    assert marked(name) in README, "python tests/readme_tables.py writes them anew"


def test_the_files_and_pictures_that_it_links_to_are_there():
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_its_own_headings_are_there_for_each_link():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= places


def test_each_command_is_one_line():
    assert [block for block in blocks("sh") if block.count("\n") != 1] == []


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.name == "nt", reason="the command is one for POSIX shells")
def test_the_first_command_prints_the_quickstart_with_its_answers_on_a_fresh_clone(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    [command] = [block for block in blocks("sh") if "nbconvert" in block]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("succeeded") > 4
    assert "PredictionFailed" in done.stdout
    assert "8 runs" in done.stdout


LEFT = """
import replicate_magic as rm
rm.alias(painter="acme/painter")
prediction = rm.run("painter", prompt="a cat")
assert prediction.files[0].path, prediction
"""


@pytest.mark.slow
def test_what_lies_in_the_home_is_told_under_privacy(home):
    with Replicate() as replicate:
        schema = openapi({"type": "string", "format": "uri"})
        replicate.models["acme/painter"] = Model(official=True, schema=schema)
        replicate.files["cat.png"] = ("image/png", b"a picture")
        replicate.tells(become("succeeded", output=f"{replicate.other_url}/files/cat.png"))
        names = {"REPLICATE_BASE_URL": replicate.url, "REPLICATE_API_TOKEN": replicate.token}
        subprocess.run([sys.executable, "-c", LEFT], env={**os.environ, **names}, check=True)
    [told] = re.findall(r"^## Privacy\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    left = {path.name for path in home.iterdir()}
    assert {"history.db", "outputs", "schemas", "aliases.json"} <= left
    assert [name for name in left if f"`{name}" not in told] == []
