"""The benches' one table; what they measure is looked at by people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.figure import Figure

ROOT = Path(__file__).parents[1]


def test_a_figure_is_missed_where_its_ratio_or_itself_is_more_than_is_asked():
    beside = {"name": "x", "ours": 3.0, "unit": "s", "beside": "a peer", "peer": 2.0}
    assert Figure(**beside).ratio == 1.5
    assert [Figure(**beside, asked=most).missed for most in (1.4, 1.5, None)] == [
        True,
        False,
        False,
    ]
    alone = {"name": "x", "ours": 3.0, "unit": "ms"}
    assert [Figure(**alone, asked=most).missed for most in (2.9, 3.0)] == [True, False]


@pytest.mark.slow
def test_benches_run_one_after_the_other_into_one_table_and_one_that_fails_is_told():
    command = [sys.executable, "-m", "tests.bench", "schema", "nothing", "many"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing failed:" in done.stderr
    assert "No module named 'nothing'" in done.stderr
    head, names, *rows, end = done.stdout.splitlines()
    assert "processors" in head
    assert names.split() == ["ours", "peer", "ratio", "asked"]
    assert rows[0].startswith("typing and checking a call: ")
    assert rows[-1].startswith("10,000 requests of ")
    assert end.endswith("nothing failed")


@pytest.mark.slow
def test_the_memory_of_a_batch_can_be_measured():
    command = [sys.executable, "tests/bench/batch_memory.py", "10", "20", "100"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of it in the result" in done.stdout
