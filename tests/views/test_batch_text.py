"""A batch in a terminal: a bar on stderr while it runs, the table on stdout at the end."""

from __future__ import annotations

import threading
import time

import pytest
from made_batch import HOSTILE, ended, running, tally_of, waiting
from tqdm import tqdm

from replicate_magic.views import Look
from replicate_magic.views.batch_text import StaticBatchView, TextBatchView


@pytest.fixture
def tally():
    requests = [ended(0, "Bonjour"), running(1), waiting(2), waiting(3)]
    return tally_of(requests, began_s=time.monotonic() - 10)


def end(tally):
    for entry in list(tally.entries):
        if entry.phase != "done":
            tally.change(entry.number, phase="done", prediction=ended(entry.number).prediction)
    tally.ended_s = tally.began_s + 3


def test_a_bar_says_how_many_are_done_and_what_holds_it_up(tally, capsys):
    view = TextBatchView(Look(), bar=True)
    view.update(tally)
    tally.note = "rate limit, again in 8 s"
    view.update(tally)
    told = capsys.readouterr()
    view.close(None)

    assert "1/4" in told.err
    assert ", 10" in told.err  # seconds a run: it began 10 s ago
    assert "1 running" in told.err
    assert "rate limit, again in 8 s" in told.err
    assert told.out == ""


def test_a_bar_leaves_no_thread(tally, monkeypatch):
    monkeypatch.setattr(tqdm, "monitor", None)  # as in a process that has had no bar
    before = set(threading.enumerate())
    view = TextBatchView(Look(), bar=True)
    view.update(tally)
    view.close(None)

    assert set(threading.enumerate()) <= before


def test_a_batch_of_unknown_length_has_a_count(capsys):
    view = TextBatchView(Look(), bar=True)
    view.update(tally_of([ended(0), running(1)], total=None))
    told = capsys.readouterr().err
    view.close(None)

    assert "1run" in told


def test_at_the_end_the_bar_goes_and_the_table_is_printed(tally, capsys):
    view = TextBatchView(Look(), bar=True)
    view.update(tally)
    end(tally)
    view.close(tally, why="one did not succeed")
    told = capsys.readouterr()

    assert told.err.endswith("\r")  # nothing stays of it
    assert told.out.startswith("status")
    assert "Bonjour" in told.out
    assert told.out.endswith("batch 3f9ac0d1e2b4\none did not succeed\n")


def test_where_there_is_no_terminal_only_the_table_is_printed(tally, capsys):
    view = TextBatchView(Look(), bar=False)
    view.update(tally)
    assert capsys.readouterr() == ("", "")
    end(tally)
    view.close(tally)

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("look", "told", "untold"),
    [({"status": False}, "Bonjour", "requests"), ({"answer": False}, "4 requests", "Bonjour")],
)
def test_as_much_is_printed_as_is_asked_for(tally, capsys, look, told, untold):
    view = TextBatchView(Look(**look), bar=True)
    view.update(tally)
    end(tally)
    view.close(tally)
    printed = capsys.readouterr()

    assert told in printed.out
    assert untold not in printed.out
    assert bool(printed.err) is look.get("status", True)


def test_nothing_that_a_terminal_obeys_is_printed(capsys):
    hostile = f"{HOSTILE}\x1b[2J\x07"
    tally = tally_of([ended(0, hostile, params={hostile: hostile}), running(1, model=hostile)])
    tally.note = hostile
    view = TextBatchView(Look(), bar=True)
    view.update(tally)
    told = capsys.readouterr().err
    end(tally)
    view.close(tally, why=hostile)
    printed = capsys.readouterr()

    assert not {"\u202e", "\x1b", "\x07"} & set(told + printed.out)


def test_where_nobody_watches_one_display_stays(tally, displayed):
    view = StaticBatchView(Look())
    view.update(tally)
    assert displayed() == []
    end(tally)
    view.close(tally)
    (only,) = displayed()

    assert set(only.data) == {"text/plain", "text/html"}
    assert "Bonjour" in only.data["text/plain"]
