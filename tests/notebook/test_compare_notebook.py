"""The notebook of many requests: as a whole, and with its kernel killed within a batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

PATH = Path(__file__).parents[2] / "notebooks" / "compare.ipynb"
EACH = {
    (f"Write one short sentence about the {thing}.", temperature, seed)
    for thing in (
        "otter", "owl", "heron", "hedgehog", "ship", "lighthouse", "river", "forest", "violin",
        "clock",
    )
    for temperature in (0.2, 1.0)
    for seed in (1, 2)
}  # fmt: skip


def cell_with(words):
    """The code of the notebook's cell that has these words."""
    cells = nbformat.read(PATH, 4).cells
    return next(cell.source for cell in cells if cell.cell_type == "code" and words in cell.source)


class Engine:
    """The embedded engine, started by hand as a process of its own."""

    def __init__(self):
        command = [sys.executable, "-m", "replicate_magic.local"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        told = [self.process.stdout.readline().strip() for _ in range(3)]
        exports = [line.removeprefix("export ").split("=", 1) for line in told[1:]]
        self.environment = dict(exports)

    def predictions(self):
        """All that it ever created."""
        base, token = self.environment.values()
        found, url = [], f"{base}/v1/predictions"
        with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
            while url:
                page = client.get(url).raise_for_status().json()
                found += page["results"]
                url = page["next"]
        return found

    def succeeded(self):
        return [one for one in self.predictions() if one["status"] == "succeeded"]


@pytest.fixture
def by_hand():
    engine = Engine()
    yield engine
    engine.process.terminate()
    engine.process.wait(10)
    engine.process.stdout.close()


@pytest.fixture
def environment(by_hand, tmp_path):
    """The environment of a kernel that talks to that engine, and has no history."""
    return {
        **os.environ, **by_hand.environment,
        "REPLICATE_MAGIC_HOME": str(tmp_path / "home"), "IPYTHONDIR": str(tmp_path / "ipython"),
    }  # fmt: skip


@pytest.mark.model
@pytest.mark.slow
def test_a_kernel_killed_in_the_middle_leaves_a_batch_that_the_next_one_ends(
    page, execute, by_hand
):
    page.run(cell_with("things = "))
    number = int(page.value("__import__('os').getpid()"))
    page.start(cell_with("--tag compare"))
    until_s = time.monotonic() + 60
    while len(by_hand.succeeded()) < 8:
        assert time.monotonic() < until_s
        time.sleep(0.1)
    os.kill(number, signal.SIGKILL)
    time.sleep(1)
    created = len(by_hand.predictions())
    resumed, told, jq = execute(
        "df = %replicate resume",
        "print(df.status.value_counts().to_dict(), df.id.is_unique, sorted(df.id))",
        cell_with("df.jq.all"),
    )

    assert 8 <= created < 40
    assert resumed.error is None
    assert told.printed.startswith("{'succeeded': 40} True ")
    every = by_hand.predictions()
    inputs = [one["input"] for one in every]
    assert told.printed.rstrip().endswith(str(sorted(one["id"] for one in every)))
    assert len(inputs) == 40
    assert {(one["prompt"], one["temperature"], one["seed"]) for one in inputs} == EACH
    assert [line.split()[:3] for line in jq.text.splitlines()[1:]] == [
        ["0", "0.2", "20"], ["1", "1.0", "20"],
    ]  # fmt: skip


@pytest.mark.model
@pytest.mark.slow
def test_the_notebook_runs_to_its_end_with_the_tables_and_the_picture(environment, by_hand):
    notebook = nbformat.read(PATH, 4)
    NotebookClient(notebook, timeout=110, kernel_name="python3").execute(env=environment)

    def shown(words):
        return next(
            cell for cell in notebook.cells if words in cell.source and "outputs" in cell
        ).outputs[-1]

    table = shown("--tag compare").data
    assert shown("--dry-run").text.startswith("40 requests.")
    assert "40 requests · 40 succeeded" in table["text/plain"]
    assert '<img src="data:image/svg+xml;base64,' in table["text/html"]
    assert "12 succeeded" in shown("--cached").data["text/plain"]
    assert "from history" in shown("--cached").data["text/plain"]
    assert shown("rm.batch(").data["text/plain"].count("succeeded") == 3
    assert len(by_hand.predictions()) == 43
