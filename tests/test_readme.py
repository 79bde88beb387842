"""What the README says, done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


@pytest.mark.model
@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[0][:40])
def test_the_python_blocks_run(code, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


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
