"""A tally: what changed since when, how many are how far, and what it lets go of."""

from __future__ import annotations

import threading

from made_batch import ended, running, tally_of, unsent, waiting

from replicate_magic.prediction import Prediction


def numbers(entries):
    return [entry.number for entry in entries]


def test_what_has_changed_since_a_version_comes_once_in_the_order_asked():
    tally = tally_of(waiting(n) for n in range(5))
    version = tally.version
    for number in (3, 1, 3):
        tally.change(number, phase="running")

    assert numbers(tally.changed_since(version)) == [1, 3]
    assert numbers(tally.changed_since(0)) == [0, 1, 2, 3, 4]
    assert tally.changed_since(tally.version) == []


def test_numbers_may_have_gaps():
    tally = tally_of([waiting(1), waiting(4), waiting(7)])
    version = tally.version
    tally.change(4, phase="running")

    assert numbers(tally.changed_since(version)) == [4]
    assert [tally.entry(number).phase for number in (1, 4, 7)] == ["waiting", "running", "waiting"]


def test_a_note_is_a_change_and_no_entry_s():
    tally = tally_of([waiting(0)])
    version = tally.version
    tally.tell("rate limit: next in 8 s")
    told = tally.version
    tally.tell("rate limit: next in 8 s")

    assert version < told == tally.version
    assert tally.changed_since(version) == []


def test_they_are_counted_by_their_outcome():
    tally = tally_of(
        [waiting(0), running(1), ended(2), ended(3, None, status="failed", error="no"), unsent(4)]
    )
    counts = {"waiting": 1, "running": 1, "succeeded": 1, "failed": 1, "not sent": 1}

    assert tally.counts() == counts
    assert tally.ended == 3
    tally.change(1, phase="done", error="Canceled.")
    assert "running" not in tally.counts()
    assert tally.ended == 4


def test_one_that_has_ended_lets_go_of_its_input_and_its_logs():
    tally = tally_of([running(0)])
    raw = {"id": "p0", "status": "succeeded", "output": "x", "input": {"a": 1}, "logs": "long"}
    entry = tally.change(0, phase="done", prediction=Prediction(model="a/b", raw=raw))

    assert entry.prediction.raw == {"id": "p0", "status": "succeeded", "output": "x"}


def test_what_is_left_is_told_by_the_pace_so_far():
    tally = tally_of([ended(0), ended(1), waiting(2), waiting(3), waiting(4)], began_s=100.0)

    assert tally.left_s(110.0) == 15.0
    assert tally_of([waiting(0)]).left_s(110.0) is None
    assert tally_of([ended(0)], total=None).left_s(110.0) is None


def test_another_thread_that_reads_misses_no_change():
    tally = tally_of(waiting(n) for n in range(200))
    seen, done = {}, threading.Event()

    def write():
        for n in range(2_000):
            tally.change(n % 200, error=str(n))
        done.set()

    version, writer = 0, threading.Thread(target=write)
    writer.start()
    is_over = False
    while not is_over:
        is_over = done.is_set()
        known = tally.version
        seen |= {entry.number: entry for entry in tally.changed_since(version)}
        version = known
    writer.join()

    assert [seen[n] for n in range(200)] == tally.entries
