"""What a prediction is, how events change it, and what is told when it failed."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicate_magic.chunks import Chunks
from replicate_magic.failure import short_why, why_not
from replicate_magic.prediction import (
    CANCELING,
    FINAL,
    Created,
    Fetched,
    Finished,
    Log,
    Moving,
    Output,
    OutputFile,
    Prediction,
    Retry,
    Update,
    fold,
    is_final,
)
from replicate_magic.runs import jq

WEB = "https://replicate.com/p/abc"


def prediction(output=None, *, status="succeeded", shape=None, streamed=(), **raw):
    return Prediction(
        model="a/b",
        shape=shape,
        streamed=Chunks(list(streamed)),
        raw={"id": "abc", "status": status, "output": output, **raw},
    )


def folded(*events, start=None):
    latest = start or Prediction(model="a/b")
    for event in events:
        latest = fold(latest, event)
    return latest


# -- chunks -----------------------------------------------------------------------------------


def test_an_older_snapshot_of_chunks_does_not_grow():
    first = Chunks(["a"])
    second = first.extended(["b", "c"])

    assert (first.parts(), second.parts()) == (["a"], ["a", "b", "c"])
    assert (first.text(), second.text()) == ("a", "abc")
    assert (len(first), len(second)) == (1, 3)


def test_extending_an_older_snapshot_leaves_the_newer_ones_alone():
    root = Chunks().extended(["a"])
    left = root.extended(["left"])
    right = root.extended(["right"])
    longer = right.extended(["er"])

    assert [c.text() for c in (root, left, right, longer)] == ["a", "aleft", "aright", "arighter"]


def test_two_empty_predictions_share_nothing():
    one, other = Prediction(model="a/b"), Prediction(model="a/b")
    fold(one, Output(chunks=("x",), at_s=0))

    assert other.streamed.text() == ""


def test_chunks_are_had_from_any_place_on():
    chunks = Chunks().extended(list("abcd"))

    assert chunks.parts(2) == ["c", "d"]
    assert chunks.parts(9) == []


@pytest.mark.slow
def test_two_hundred_thousand_chunks_take_linear_time():
    def took(count):
        latest = Prediction(model="a/b")
        began = time.process_time()
        for _ in range(count):
            latest = fold(latest, Output(chunks=("x",), at_s=1))
        assert len(latest.streamed) == count
        return time.process_time() - began

    shorter = max(took(20_000) for _ in range(3))
    assert took(200_000) < 40 * shorter  # squared, it would be a hundred times


# -- fold -------------------------------------------------------------------------------------


def test_a_run_is_folded_from_its_events():
    created = {"id": "abc", "status": "starting"}
    running = {"id": "abc", "status": "processing"}
    done = {"id": "abc", "status": "succeeded", "output": ["He", "y"], "logs": "one\ntwo\n"}
    snapshots = [Prediction(model="a/b", shape="chunks")]
    for event in (
        Created(raw=created, at_s=0.1),
        Log(text="one\n", at_s=0.2),
        Output(chunks=("He",), at_s=0.3),
        Retry(reason="the stream broke off", delay_s=1, at_s=0.4),
        Update(raw=running, at_s=0.5),
        Output(chunks=("y", ""), at_s=0.6),
        Finished(raw=done, at_s=0.7),
    ):
        snapshots.append(fold(snapshots[-1], event))

    last = snapshots[-1]
    assert [s.status for s in snapshots] == ["starting"] * 5 + ["processing"] * 2 + ["succeeded"]
    assert [s.text for s in snapshots] == ["", "", "", "He", "He", "He", "Hey", "Hey"]
    assert [s.id for s in snapshots] == [""] + ["abc"] * 7
    assert [bool(s.retry) for s in snapshots] == [False] * 4 + [True] + [False] * 3
    assert last.retries == 1
    assert (last.created_after_s, last.first_output_after_s, last.finished_after_s) == (
        0.1,
        0.3,
        0.7,
    )
    assert snapshots[2].logs == "one\n"
    assert last.logs == "one\ntwo\n"


def test_output_first_seen_by_polling_is_first_output_too():
    latest = folded(
        Update(raw={"status": "processing", "output": []}, at_s=1),
        Update(raw={"status": "processing", "output": ["a"]}, at_s=2),
        Update(raw={"status": "processing", "output": ["a", "b"]}, at_s=3),
    )

    assert latest.first_output_after_s == 2


def test_first_output_is_the_first():
    assert folded(*(Output(chunks=("x",), at_s=n) for n in (0.0, 1.0))).first_output_after_s == 0.0


def moving(done_files, *, files=2, at_s=1.0, **more):
    """Some files on their way down, of which some have ended."""
    facts = {"direction": "down", "name": "", "done_bytes": 5, "total_bytes": 10, "fraction": 0.5}
    return Moving(files=files, done_files=done_files, at_s=at_s, **{**facts, **more})


EVENTS = [
    Created(raw={}, at_s=3),
    Update(raw={}, at_s=3),
    Output(chunks=("x",), at_s=3),
    Log(text="x", at_s=3),
    Retry(reason="x", delay_s=1, at_s=3),
    moving(0, at_s=3),
    Fetched(file=OutputFile(url="https://x/1"), at_s=3),
    Finished(raw={}, at_s=3),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_each_event_tells_when_something_was_seen_last(event):
    assert Prediction(model="a/b").seen_after_s == 0
    assert folded(Log(text="x", at_s=2), event).seen_after_s == 3


@pytest.mark.parametrize(
    ("events", "at_s"),
    [
        ([], None),
        ([Created(raw={"status": "starting"}, at_s=1)], None),
        ([Log(text="x", at_s=1)], None),
        ([Created(raw={"status": "processing"}, at_s=1)], 1),
        (
            [
                Update(raw={"status": "starting"}, at_s=1),
                Update(raw={"status": "processing"}, at_s=2),
                Update(raw={"status": "processing"}, at_s=3),
            ],
            2,
        ),
        ([Output(chunks=("x",), at_s=2), Update(raw={"status": "processing"}, at_s=3)], 2),
        ([Output(chunks=("x",), at_s=0.0), Output(chunks=("x",), at_s=1)], 0.0),
        ([Update(raw={"status": "starting", "output": ["x"]}, at_s=2)], 2),
        ([Finished(raw={"status": "succeeded", "output": ["x"]}, at_s=2)], None),
        ([Finished(raw={"status": "aborted"}, at_s=2)], None),
    ],
    ids=range(10),
)
def test_it_is_known_when_the_model_was_first_seen_to_run(events, at_s):
    assert folded(*events).started_after_s == at_s


def test_an_output_that_is_first_seen_at_the_end_is_no_first_output():
    ended = folded(Finished(raw={"status": "succeeded", "output": ["x"]}, at_s=2))

    assert (ended.first_output_after_s, ended.finished_after_s) == (None, 2)


def test_files_are_kept_in_the_order_in_which_they_were_fetched():
    first, second = (OutputFile(url=f"https://x/{n}", size_bytes=n) for n in (1, 2))
    found = folded(Fetched(file=second, at_s=1), Fetched(file=first, at_s=2))

    assert found.fetched == (second, first)


def test_a_file_that_is_fetched_changes_nothing_else():
    before = folded(Created(raw={"id": "abc"}, at_s=1), Finished(raw={"status": "failed"}, at_s=2))
    after = fold(before, Fetched(file=OutputFile(url="https://x/1"), at_s=3))

    assert after == replace(before, fetched=after.fetched, seen_after_s=3)


@pytest.mark.parametrize(
    "event",
    [
        Created(raw={}, at_s=1),
        Update(raw={}, at_s=1),
        Output(chunks=("x",), at_s=1),
        Log(text="x", at_s=1),
        Fetched(file=OutputFile(url="https://x/1"), at_s=1),
        Finished(raw={}, at_s=1),
    ],
    ids=lambda event: type(event).__name__,
)
def test_any_news_ends_the_wait_for_a_retry(event):
    waiting = folded(Retry(reason="429", delay_s=5, at_s=0))

    assert waiting.retry.delay_s == 5
    assert fold(waiting, event).retry is None
    assert fold(waiting, event).retries == 1


def test_files_are_moving_until_all_have_ended():
    half, all_but_one, over = moving(0), moving(1), moving(2)
    found = folded(half)

    assert found.moving is half
    assert fold(found, all_but_one).moving is all_but_one
    assert fold(found, over).moving is None
    assert fold(found, Log(text="x", at_s=2)).moving is half
    assert found.retries == 0


def test_it_is_known_when_the_files_of_an_input_were_sent():
    up = {"direction": "up"}

    assert folded(moving(0, **up)).sent_after_s is None
    assert folded(moving(0, **up), moving(2, at_s=3, **up)).sent_after_s == 3
    assert folded(moving(0), moving(2, at_s=3)).sent_after_s is None


@pytest.mark.parametrize(
    ("file", "waits", "ends"),
    [("", False, False), ("", True, False), ("a.png", True, False), ("a.png", False, True)],
    ids=["a_request", "a_request_beside_a_file", "a_file", "a_file_that_goes_on"],
)
def test_files_that_move_end_the_wait_for_a_file_alone(file, waits, ends):
    waiting = folded(Retry(reason="broke", delay_s=5, at_s=0, file=file))

    assert (fold(waiting, moving(0, waits=waits)).retry is None) is ends


def test_folding_changes_no_snapshot():
    before = folded(Created(raw={"id": "abc"}, at_s=1), Output(chunks=("a",), at_s=2))
    shown = (before.text, before.raw, before.retries)
    folded(
        Output(chunks=("b",), at_s=3),
        Retry(reason="x", delay_s=1, at_s=4),
        Finished(raw={"status": "failed"}, at_s=5),
        start=before,
    )

    assert (before.text, before.raw, before.retries) == shown


# -- statuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "final"),
    [
        *(({"status": status}, True) for status in sorted(FINAL)),
        ({}, False),
        ({"status": None}, False),
        ({"status": "starting"}, False),
        ({"status": "processing"}, False),
        ({"status": "processing", "completed_at": "2024-01-01T00:00:00Z"}, False),
        ({"status": "starting", "completed_at": "2024-01-01T00:00:00Z"}, False),
        ({"status": "queued"}, False),
        ({"status": "queued", "completed_at": None}, False),
        ({"status": "expired", "completed_at": "2024-01-01T00:00:00Z"}, True),
    ],
)
def test_a_prediction_ends_with_a_final_status_or_an_unknown_one_that_is_complete(raw, final):
    assert is_final(raw) is final
    assert Prediction(model="a/b", raw=raw).final is final


@pytest.mark.parametrize("status", ["starting", "processing", "failed", "canceled", "aborted", "x"])
def test_only_what_succeeded_is_ok(status):
    assert not prediction(status=status).ok
    assert prediction(status="succeeded").ok


def test_before_there_is_an_id_a_prediction_is_starting_and_empty():
    new = Prediction(model="a/b")

    assert (new.id, new.status, new.output, new.error, new.logs) == ("", "starting", None, None, "")
    assert (new.input, new.metrics, new.urls, new.url, new.version) == ({}, {}, {}, None, None)
    assert (new.created_at, new.started_at, new.completed_at) == (None, None, None)
    assert (new.text, str(new), new.files, new.final, new.data_removed) == (
        "",
        "",
        (),
        False,
        False,
    )


def test_what_replicate_says_is_read_from_its_json():
    raw = {
        "id": "abc",
        "version": "hidden",
        "status": "succeeded",
        "input": {"prompt": "x"},
        "output": "y",
        "error": None,
        "logs": "log",
        "metrics": {"predict_time": 1.5},
        "urls": {"web": WEB, "get": "https://api.replicate.com/v1/predictions/abc"},
        "data_removed": True,
    }
    found = Prediction(model="a/b", raw=raw)

    assert {name: getattr(found, name) for name in raw} == raw
    assert found.url == found.page == WEB


@pytest.mark.parametrize("value", [None, [], ["a"], "text", 5, True])
@pytest.mark.parametrize("name", ["input", "metrics", "urls"])
def test_what_should_be_an_object_and_is_none_reads_as_empty(name, value):
    found = prediction(**{name: value})

    assert getattr(found, name) == {}
    assert found.page is None


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, None), ("bad", "bad"), ("", ""), ({"detail": "x"}, '{"detail": "x"}'), (5, "5")],
)
def test_an_error_is_text(error, shown):
    assert prediction(status="failed", error=error).error == shown


def test_the_page_is_one_for_people():
    assert prediction(urls={"web": "http://127.0.0.1:5000/p"}).page is None
    assert prediction(urls={"web": "javascript:alert(1)"}).page is None
    assert prediction(urls={"web": f"{WEB}\x1b[31m\n"}).page == f"{WEB}␛[31m"


# -- time stamps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2024-05-06T07:08:09Z", 0),
        ("2024-05-06T07:08:09.123Z", 123_000),
        ("2024-05-06T07:08:09.12345Z", 123_450),
        ("2024-05-06T07:08:09.123456Z", 123_456),
        ("2024-05-06T07:08:09.123456789Z", 123_456),
        ("2024-05-06T07:08:09.123456+00:00", 123_456),
        ("2024-05-06T09:08:09.5+02:00", 500_000),
        ("2024-05-06T07:08:09.5", 500_000),
        ("2024-05-06 07:08:09", 0),
    ],
)
def test_a_time_stamp_is_utc_whatever_its_digits_and_zone(text, microsecond):
    found = prediction(created_at=text).created_at

    assert found == datetime(2024, 5, 6, 7, 8, 9, microsecond, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value", [None, "", "soon", "2024-13-01T00:00:00Z", 1714979289, [], "0001-01-01T00:00:00+09:00"]
)
def test_what_is_no_time_is_none(value):
    found = prediction(created_at=value, started_at=value, completed_at=value)

    assert (found.created_at, found.started_at, found.completed_at) == (None, None, None)


# -- text and files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "shape", "streamed", "text"),
    [
        ("as it is\n", None, [], "as it is\n"),
        ("as it is", "text", ["as", " it"], "as it is"),
        ("", "text", [], ""),
        (["a", "b"], "chunks", [], "ab"),
        (["a", "b"], "chunks", ["x"], "ab"),
        ([], "chunks", [], ""),
        (["a", "b"], None, ["a", "b"], "ab"),
        (["a", "b"], None, ["a"], '["a", "b"]'),
        (["a", "b"], None, [], '["a", "b"]'),
        (["a", "b"], "json", [], '["a", "b"]'),
        (["https://x/1", "https://x/2"], "files", [], '["https://x/1", "https://x/2"]'),
        ("https://x/1", "file", [], "https://x/1"),
        ([], None, [], "[]"),
        (["a", 5], "chunks", [], '["a", 5]'),
        ({"größe": 1.5}, None, [], '{"größe": 1.5}'),
        (5, None, [], "5"),
        (False, None, [], "false"),
        (None, None, [], ""),
        (None, "chunks", ["a", "b"], "ab"),  # failed, or its data is removed
    ],
)
def test_the_text_of_a_final_output(output, shape, streamed, text):
    found = prediction(output, shape=shape, streamed=streamed)

    assert (found.text, str(found)) == (text, text)


@pytest.mark.parametrize(
    ("output", "shape", "streamed", "text"),
    [
        (None, None, [], ""),
        (None, "chunks", ["a", "b"], "ab"),
        (["a"], "chunks", ["a", "b"], "ab"),
        (["a", "b", "c"], "chunks", ["a", "b"], "abc"),
        ("abc", "text", ["a"], "abc"),
        (["a", "b"], None, [], "ab"),
        (["https://x/1"], "files", [], ""),
        ({"a": 1}, "json", [], ""),
        (["a", 5], None, [], ""),
    ],
)
def test_the_text_while_it_runs_is_the_longest_that_was_seen(output, shape, streamed, text):
    assert prediction(output, status="processing", shape=shape, streamed=streamed).text == text


@pytest.mark.parametrize(
    ("output", "shape", "urls"),
    [
        ("https://x/1.png", "file", ["https://x/1.png"]),
        (["https://x/1", "https://x/2"], "files", ["https://x/1", "https://x/2"]),
        (["https://x/1", None, 5], "files", ["https://x/1"]),
        (None, "file", []),
        ({"a": "https://x/1"}, "file", []),
        ("https://replicate.delivery/a/1.png", None, ["https://replicate.delivery/a/1.png"]),
        ("https://a.b.replicate.delivery/1", None, ["https://a.b.replicate.delivery/1"]),
        (
            ["https://pbxt.replicate.delivery/1", "text"],
            None,
            ["https://pbxt.replicate.delivery/1"],
        ),
        ("data:image/png;base64,AAAA", None, ["data:image/png;base64,AAAA"]),
        ("data:text/html,<script>", None, []),
        ("https://replicate.delivery/1", "text", []),
        ("https://replicate.delivery/1", "json", []),
        ("see https://replicate.delivery/1", None, []),
        ("http://replicate.delivery/1", None, []),
        ("https://evilreplicate.delivery/1", None, []),
        ("https://replicate.delivery.evil.com/1", None, []),
        ("https://evil.com/replicate.delivery/", None, []),
        ("https://evil.com?.replicate.delivery/1", None, []),
        ("https://evil.com#.replicate.delivery/1", None, []),
        ("https://evil.com\\.replicate.delivery/1", None, []),
        ("https://replicate.delivery@evil.com/1", None, []),
        ("https://[replicate.delivery/1", None, []),
        ("hello", None, []),
    ],
)
def test_the_files_among_an_output(output, shape, urls):
    assert prediction(output, shape=shape).files == tuple(OutputFile(url=url) for url in urls)


def test_streamed_text_is_no_file_where_no_schema_says_so():
    url = "https://replicate.delivery/1"

    assert prediction([url], streamed=[url]).files == ()


def test_fetched_files_stand_in_their_places_among_the_bare_urls():
    file = OutputFile(url="https://x/2", media_type="image/png", size_bytes=3, preview=b"abc")
    raw = {"output": ["https://x/1", "https://x/2", "https://x/3"]}
    found = fold(Prediction(model="a/b", shape="files", raw=raw), Fetched(file=file, at_s=1))

    assert found.files == (OutputFile(url="https://x/1"), file, OutputFile(url="https://x/3"))
    assert "abc" not in repr(file)


@pytest.mark.parametrize(
    ("program", "value"),
    [
        (".metrics.predict_time", 1.5),
        (".output[]", ["a", "b"]),
        ("empty", None),
        (".id", "abc"),
        ("$n + 1", 3),
    ],
)
def test_jq_gives_one_output_as_its_value_none_as_none_several_as_a_list(program, value):
    found = prediction(["a", "b"], metrics={"predict_time": 1.5})

    try:
        assert found.jq(program, args={"n": 2}) == value
    finally:
        jq.close()


# -- what is told -----------------------------------------------------------------------------


def failed(error, **raw):
    return prediction(status="failed", error=error, urls={"web": WEB}, **raw)


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        (failed("CUDA out of memory (E1001)"), "a/b failed: CUDA", "It ran out of memory"),
        (
            failed("Prediction interrupted; please retry (code: PA)"),
            "a/b failed: Pre",
            "It was int",
        ),
        (failed("NSFW content detected. Try again."), "a/b failed: NSFW", "The model refused"),
        (failed("The input was flagged as sensitive. (E005)"), "a/b failed", "The model refused"),
        (failed("Director: unexpected error (E6716)"), "a/b failed", "It did not start in time"),
        (failed("Director: unexpected error"), "a/b failed", "A fault on Replicate's side"),
        (failed(None), "a/b failed: no reason was given", "Prediction abc · https"),
        (failed(""), "a/b failed: no reason was given", "Prediction abc · https"),
        (failed({"detail": "x"}), 'a/b failed: {"detail": "x"}', "Prediction abc · https"),
        (failed("ordinary"), "a/b failed: ordinary", f"Prediction abc · {WEB}"),
        (prediction(status="canceled"), "a/b was canceled.", "Prediction abc"),
        (
            prediction(status="aborted"),
            "a/b was aborted. Its deadline passed before it",
            "Prediction abc",
        ),
        (prediction(status="expired"), "a/b ended with the status expired.", "Prediction abc"),
    ],
)
def test_a_failure_says_what_happened_and_what_to_try(found, first, second):
    lines = why_not(found).splitlines()

    assert lines[0].startswith(first)
    assert lines[1].startswith(second)


def test_a_failure_names_the_prediction_and_its_page():
    assert f"Prediction abc · {WEB}" in why_not(failed("E1001")).splitlines()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("canceled", "was canceled: its time was over."),
        ("processing", "could not be canceled.\nIt may still be running, and be billed."),
    ],
)
def test_a_timeout_says_whether_it_still_runs(status, words):
    assert words in why_not(prediction(status=status), cut="deadline")


ONE_TOO_MANY = "It ran out of memory: the same input will again; try a smaller one."
WITHOUT_ID = (
    "If it is created all the same, it is canceled as soon as its id is known, while this process "
    "lives; after that its own deadline ends it."
)
RUNNING = prediction(status="processing")
CANCELED = prediction(status="canceled")
TOLD_TO_STOP = fold(RUNNING, Retry(reason=CANCELING, delay_s=1, at_s=1))
NEW = Prediction(model="a/b")


@pytest.mark.parametrize(
    ("found", "cut", "why"),
    [
        (failed("CUDA out of memory (E1001)"), "", f"CUDA out of memory (E1001)\n{ONE_TOO_MANY}"),
        (failed("ordinary"), "", "ordinary"),
        (failed("a\n\x1b[31mb"), "", "a ␛[31mb"),
        (failed("x" * 5_000), "", "x" * 999 + "…"),
        (failed(None), "", "No reason was given."),
        (failed("x", logs="one\ntwo\n"), "", "x"),
        (CANCELED, "", ""),
        (CANCELED, "cancel", ""),
        (
            CANCELED,
            "deadline",
            "Was canceled: its time was over. --timeout (in Python timeout=) gives it more.",
        ),
        (
            prediction(status="aborted"),
            "",
            "Its deadline passed before it started. It is not billed.",
        ),
        (prediction(status="expired"), "", "Ended with the status expired."),
        (
            RUNNING,
            "deadline",
            (
                "Took longer than it was given (--timeout), and could not be canceled.\n"
                "It may still be running, and be billed."
            ),
        ),
        (
            RUNNING,
            "cancel",
            "Could not be canceled.\nIt may still be running, and be billed.",
        ),
        (
            TOLD_TO_STOP,
            "deadline",
            "Took longer than it was given (--timeout), and was told to stop; its end is not seen.",
        ),
        (TOLD_TO_STOP, "cancel", "Was told to stop; its end is not seen."),
        (NEW, "cancel", f"Was canceled before it had an id.\n{WITHOUT_ID}"),
        (
            NEW,
            "deadline",
            f"Took longer than it was given (--timeout), before it had an id.\n{WITHOUT_ID}",
        ),
    ],
    ids=range(17),
)
def test_below_its_state_a_failure_is_told_in_short(found, cut, why):
    assert short_why(found, cut=cut) == why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("was canceled.", "was canceled."),
        ("was aborted: by the scheduler", "was aborted: by the scheduler"),
    ],
)
def test_what_a_model_says_of_its_failure_is_told_as_it_is(error, why):
    assert short_why(failed(error)) == why


def test_the_short_form_says_no_name_and_no_status():
    told = short_why(failed("E1001 x", logs="a line"))

    assert not any(word in told for word in ("a/b", "failed", "abc", WEB, "a line"))


def test_the_last_log_lines_are_told_and_no_more():
    told = why_not(failed("x", logs="\n".join(f"line {n}" for n in range(1000)) + "\n\n"))

    assert told.splitlines()[-6:] == [
        "Its last log lines:",
        *(f"  line {n}" for n in range(995, 1000)),
    ]


def test_streamed_logs_are_told_where_the_json_has_none():
    latest = folded(Log(text="one\ntwo", at_s=1), Finished(raw={"status": "failed"}, at_s=2))

    assert why_not(latest).endswith("Its last log lines:\n  one\n  two")


HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\u202egnp\u2066\r\x00" + "x" * 100_000


@pytest.mark.parametrize(
    "found",
    [failed("x", logs=HOSTILE), failed(HOSTILE), prediction(status=HOSTILE)],
    ids=["logs", "error", "status"],
)
def test_hostile_words_are_made_visible_and_cut(found):
    told = why_not(found)

    assert not set(told) & set("\x1b\x07\x9b\u202e\u2066\r\0")
    assert "␛[2J␛]0;title␇" in told
    assert len(told) < 2_000


def test_a_prediction_is_not_shown_with_its_data_in_a_repr():
    found = prediction("secret output", input={"prompt": "secret"}, streamed=["secret"])

    assert "secret" not in repr(found)
    assert "a/b" in repr(found)


def test_the_json_is_kept_as_it_came():
    raw = json.loads('{"id": "abc", "status": "succeeded", "big": 12345678901234567890, "new": []}')

    assert Prediction(model="a/b", raw=raw).raw is raw
