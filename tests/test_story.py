"""What is known of a run so far, and that each snapshot is published."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicate_magic.prediction import (
    Created,
    Fetched,
    Finished,
    Log,
    Moving,
    Output,
    OutputFile,
    Prediction,
    Retry,
    fold,
)
from replicate_magic.story import Story

FIRST = Prediction(model="a/b", shape="chunks")
URLS = ["https://x/1", "https://x/2"]


class Fetching:
    """Fetches nothing; notes what it is asked for, and is at work until it is told otherwise."""

    def __init__(self):
        self.asked = []
        self.pending = True

    def fetch(self, files):
        self.asked.append([file.url for file in files])


def story(files=None, first=FIRST):
    """A story, and the snapshots that it has published."""
    published = []
    return Story(first, published.append, files), published


def finished(status="succeeded", output=None):
    return Finished(raw={"id": "abc", "status": status, "output": output}, at_s=2)


def test_nothing_is_published_before_there_is_something_to_tell():
    told, published = story()

    assert told.latest is FIRST
    assert published == []


def test_each_event_is_folded_in_and_published():
    told, published = story()
    events = [
        Created(raw={"id": "abc"}, at_s=1),
        Log(text="one\n", at_s=1),
        Output(chunks=("He",), at_s=1),
        Retry(reason="429", delay_s=1, at_s=1),
        finished(),
    ]
    for event in events:
        told.add(event)

    expected = FIRST
    for event, snapshot in zip(events, published, strict=True):
        expected = fold(expected, event)
        assert (snapshot.raw, snapshot.text, snapshot.logs, snapshot.retry) == (
            expected.raw,
            expected.text,
            expected.logs,
            expected.retry,
        )
    assert told.latest is published[-1]


def test_what_is_known_apart_from_events_is_published_too():
    told, published = story()
    told.change(shape="files")

    assert [snapshot.shape for snapshot in published] == ["files"]
    assert told.latest is published[0]
    assert FIRST.shape == "chunks"


def test_the_newest_snapshot_may_be_told_again():
    told, published = story()
    told.add(finished())
    told.tell()

    assert published[0] is published[1] is told.latest


def test_where_nothing_has_happened_the_first_snapshot_is_told():
    told, published = story()
    told.tell()

    assert published == [FIRST]


# -- files ------------------------------------------------------------------------------------


def test_files_are_fetched_as_they_become_known():
    fetching = Fetching()
    told, _ = story(fetching, replace(FIRST, shape="files"))
    told.add(Created(raw={"id": "abc"}, at_s=1))
    told.add(finished(output=URLS))

    assert fetching.asked == [[], URLS]


def test_an_end_whose_files_are_being_fetched_is_saving():
    fetching = Fetching()
    told, published = story(fetching, replace(FIRST, shape="files"))
    told.add(finished(output=URLS))
    told.add(Fetched(file=OutputFile(url=URLS[0], size_bytes=1), at_s=3))
    fetching.pending = False
    told.add(Fetched(file=OutputFile(url=URLS[1], size_bytes=2), at_s=4))

    assert [snapshot.saving for snapshot in published] == [True, True, False]
    assert [file.size_bytes for file in told.latest.files] == [1, 2]


def test_files_that_move_are_published_and_name_no_new_ones():
    fetching = Fetching()
    told, published = story(fetching, replace(FIRST, shape="files"))
    told.add(finished(output=URLS))
    told.add(
        Moving(
            direction="down", name="", files=2, done_files=0, done_bytes=1, total_bytes=None,
            fraction=None, at_s=3,
        )
    )  # fmt: skip

    assert [bool(snapshot.moving) for snapshot in published] == [False, True]
    assert published[-1].saving
    assert fetching.asked == [URLS]


@pytest.mark.parametrize("status", ["starting", "processing"])
def test_what_has_not_ended_is_not_saving_although_files_are_fetched(status):
    told, _ = story(Fetching(), replace(FIRST, shape="files"))
    told.add(finished(status=status, output=URLS[:1]))

    assert not told.latest.saving


def test_where_nobody_fetches_files_nothing_is_saving():
    told, _ = story(None, replace(FIRST, shape="files"))
    told.add(finished(output=URLS))

    assert not told.latest.saving
    assert [file.size_bytes for file in told.latest.files] == [None, None]


def test_a_price_makes_the_cost_known_at_the_end_and_in_the_same_snapshot():
    told, published = story()
    told.priced(lambda ended: 0.5 if ended.final else None)
    told.add(Created(raw={"id": "abc"}, at_s=1))
    assert told.latest.cost_usd is None
    told.add(finished())

    assert [one.cost_usd for one in published] == [None, 0.5]
