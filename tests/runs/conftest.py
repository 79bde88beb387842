"""What the tests of jq share: no helper outlives its module, and processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from replicate_magic.runs import jq

ROOT = Path(jq.__file__).parents[2]


@pytest.fixture(autouse=True, scope="module")
def _no_helper_is_left():
    yield
    jq.close()


@pytest.fixture
def script(tmp_path):
    """Starts Python code in a process of its own; it is killed when the test is over."""
    started = []

    def start(code):
        path = tmp_path / "script.py"
        path.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{textwrap.dedent(code)}")
        process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
