"""The words for a prediction's state."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from replicate_magic.prediction import (
    CANCELING,
    Chunks,
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
)
from replicate_magic.views.status import (
    age,
    begun,
    duration,
    live_speed,
    measured,
    moved,
    passed,
    phase,
    share,
    size,
    status_line,
    status_parts,
    waiting,
)

WEB = "https://replicate.com/p/abc"


def prediction(*, status="succeeded", model="a/b", shape=None, streamed=(), **raw):
    return Prediction(
        model=model,
        shape=shape,
        streamed=Chunks(list(streamed)),
        raw={"id": "abc", "status": status, **raw},
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.004, "0 s"),
        (0.005, "0.01 s"),
        (0.42, "0.42 s"),
        (1, "1.0 s"),
        (3.14, "3.1 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (3780, "1 h 3 min"),
        (360_000, "100 h 0 min"),
        (-1, "0 s"),
    ],
)
def test_a_duration_is_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "size unknown"),
        (0, "0 B"),
        (42, "42 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (310_400, "310 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_200_000, "4.2 MB"),
        (5_000_000_000, "5.0 GB"),
    ],
)
def test_a_size_is_short(size_bytes, text):
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("done_bytes", "total_bytes", "text"),
    [
        (34_000_000, 100_000_000, "34 of 100 MB"),
        (0, 100_000_000, "0 of 100 MB"),
        (340_000, 9_100_000, "0.3 of 9.1 MB"),
        (310_400, 999_000, "310 of 999 kB"),
        (500_000, 999_900, "0.5 of 1.0 MB"),
        (400_000_000, 1_200_000_000, "0.4 of 1.2 GB"),
        (0, 5_120, "0 of 5 kB"),
        (1, 12, "1 of 12 B"),
        (0, 0, "0 of 0 B"),
        (12_000_000_000, 34_000_000_000, "12 of 34 GB"),
    ],
)
def test_a_share_has_one_unit_and_few_digits(done_bytes, total_bytes, text):
    assert share(done_bytes, total_bytes) == text


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (Prediction(model="a/b"), "starting"),
        (prediction(status="starting"), "starting"),
        (prediction(status="processing"), "running"),
        (prediction(status="processing", streamed=["a"]), "streaming"),
        (prediction(status="succeeded", streamed=["a"]), "succeeded"),
        (prediction(status="failed"), "failed"),
        (prediction(status="canceled"), "canceled"),
        (prediction(status="aborted"), "aborted"),
        (prediction(status="queued"), "queued"),
        (prediction(status="\x1b[31mbad\n"), "␛[31mbad"),
        (
            Prediction(model="a/b", retry=Retry(reason="too many\nrequests", delay_s=2.5, at_s=0)),
            "too many requests, again in 2.5 s",
        ),
        (
            Prediction(
                model="a/b",
                raw={"status": "succeeded"},
                retry=Retry(reason="x", delay_s=1, at_s=0),
            ),
            "succeeded",
        ),
    ],
)
def test_the_state_is_a_word_or_what_is_waited_for(found, state):
    assert status_parts(found)[1] == state


def test_a_finished_run_is_told_on_one_line():
    found = prediction(
        model="meta/llama",
        shape="chunks",
        version="hidden",
        created_at="2024-01-01T00:00:00.5Z",
        started_at="2024-01-01T00:00:01.75Z",
        completed_at="2024-01-01T00:00:05Z",
        metrics={"predict_time": 3.14, "tokens_per_second": 92.345, "time_to_first_token": 0.2},
        urls={"web": WEB},
    )

    assert status_line(found) == (
        "meta/llama · succeeded · queued 1.2 s · ran 3.1 s · 92.3 tokens/s · first token 0.20 s"
        f" · {WEB}"
    )


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (None, "a/b"),
        ("hidden", "a/b"),
        ("dp-0123", "a/b"),
        ("0123456789abcdef" * 4, "a/b (01234567)"),
        (5, "a/b"),
        ([], "a/b"),
    ],
)
def test_a_version_is_shown_where_it_is_a_hash(version, name):
    assert status_parts(prediction(version=version))[0] == name


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (
            {"started_at": "2024-01-01T00:00:00Z", "completed_at": "2024-01-01T00:00:02Z"},
            "ran 2.0 s",
        ),
        (
            {"created_at": "2024-01-01T00:00:00", "started_at": "2024-01-01T00:00:01Z"},
            "queued 1.0 s",
        ),
        ({"metrics": {"predict_time": 0}}, "ran 0 s"),
        ({"metrics": {"tokens_per_second": 12_345}}, "12,345 tokens/s"),
        ({"metrics": {"tokens_per_second": 5}}, "5.0 tokens/s"),
    ],
)
def test_what_is_known_is_told(raw, part):
    assert part in status_parts(prediction(**raw))


@pytest.mark.parametrize(
    "raw",
    [
        {"started_at": "2024-01-01T00:00:02Z", "completed_at": "2024-01-01T00:00:00Z"},
        {"created_at": "2024-01-01T00:00:02Z", "started_at": "2024-01-01T00:00:00Z"},
        {"created_at": "soon", "started_at": "later"},
        *(
            {"metrics": {"predict_time": value, "tokens_per_second": value}}
            for value in (None, -1, math.nan, math.inf, 10**400, True, "5", [1], {})
        ),
        {"metrics": None},
        {"metrics": ["predict_time"]},
        {"metrics": "predict_time"},
        {"urls": ["web"]},
        {"urls": {"web": 5}},
        {"urls": {"web": "http://127.0.0.1:1/p"}},
        {"urls": {"web": "javascript:alert(1)"}},
    ],
    ids=range(19),
)
def test_what_makes_no_sense_is_left_out(raw):
    assert status_line(prediction(**raw)) == "a/b · succeeded"


@pytest.mark.parametrize(
    ("shape", "shown"), [("chunks", True), ("text", True), ("files", False), (None, False)]
)
def test_the_first_token_is_told_for_text(shape, shown):
    found = Prediction(
        model="a/b",
        shape=shape,
        raw={"status": "succeeded"},
        created_after_s=0.5,
        first_output_after_s=1.75,
    )

    assert ("first token 1.2 s" in status_parts(found)) is shown


def test_hostile_words_stay_on_one_short_line():
    hostile = "\x1b[2J\r\n\u202e\u2028" + "x" * 10_000
    line = status_line(
        prediction(model=hostile, status=hostile, urls={"web": f"https://x/{hostile}"})
    )

    assert not set(line) & set("\x1b\r\n\u202e\u2028")
    assert len(line) < 2_000


# -- while it runs ----------------------------------------------------------------------------


def folded(*events, saving=False):
    latest = Prediction(model="a/b", shape="chunks")
    for event in events:
        latest = fold(latest, event)
    return replace(latest, saving=saving)


def created(at_s=0.5):
    return Created(raw={"id": "abc", "status": "starting"}, at_s=at_s)


def processing(at_s, output=None):
    return Update(raw={"id": "abc", "status": "processing", "output": output}, at_s=at_s)


def finished(at_s, status="succeeded", **raw):
    return Finished(raw={"id": "abc", "status": status, **raw}, at_s=at_s)


def chunk(at_s, count=1):
    return Output(chunks=("x",) * count, at_s=at_s)


def moving(direction="down", **more):
    facts = {"name": "", "files": 3, "done_files": 2, "done_bytes": 0, "total_bytes": None}
    return Moving(direction=direction, fraction=None, **{**facts, "at_s": 4.0, **more})


SONG = {"name": "song.mp3", "files": 1, "done_files": 0}
FILE = Fetched(file=OutputFile(url="https://x/1"), at_s=9)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Prediction(model="a/b"), "starting"),
        (folded(created()), "starting"),
        (folded(created(), processing(1)), "running"),
        (folded(created(), chunk(1)), "streaming"),
        (folded(created(), processing(1, output=["x"])), "streaming"),
        (folded(created(), processing(1), Log(text="x", at_s=2)), "running"),
        (folded(created(), processing(1), chunk(2), finished(3)), "succeeded"),
        (folded(created(), finished(3), saving=True), "saving"),
        (folded(created(), finished(3), moving(), saving=True), "saving"),
        (folded(created(), processing(1), moving()), "running"),
        (folded(moving("up")), "sending"),
        (folded(moving("up"), moving("up", done_files=3)), "starting"),
        (folded(created(), finished(3, "failed")), "failed"),
        (folded(created(), chunk(1), finished(3, "canceled")), "canceled"),
        (prediction(status="queued\x1b[31m"), "queued␛[31m"),
    ],
    ids=range(15),
)
def test_the_phase_is_the_status_in_a_word(found, word):
    assert phase(found) == word


@pytest.mark.parametrize(
    ("found", "phases"),
    [
        (Prediction(model="a/b"), [("queued", 0)]),
        (folded(created(0.5)), [("queued", 0.5)]),
        (folded(created(), Log(text="x", at_s=4)), [("queued", 4)]),
        (folded(created(), processing(2), Log(text="x", at_s=5)), [("queued", 2), ("running", 3)]),
        (
            folded(created(), processing(2), chunk(3), chunk(7)),
            [("queued", 2), ("running", 1), ("streaming", 4)],
        ),
        (folded(created(), chunk(3), chunk(7)), [("queued", 3), ("streaming", 4)]),
        (folded(created(), chunk(3)), [("queued", 3), ("streaming", 0)]),
        (
            folded(created(), processing(2), finished(5), FILE, saving=True),
            [("queued", 2), ("running", 3), ("saving", 4)],
        ),
        (
            folded(created(), processing(2), chunk(3), finished(5), FILE, saving=True),
            [("queued", 2), ("running", 1), ("streaming", 2), ("saving", 4)],
        ),
        (folded(processing(0), chunk(0)), [("streaming", 0)]),
        (folded(moving("up")), [("sending", 4)]),
        (folded(moving("up"), moving("up", done_files=3, at_s=5)), [("sending", 5), ("queued", 0)]),
        (
            folded(moving("up", done_files=3), created(6), processing(8), chunk(9)),
            [("sending", 4), ("queued", 4), ("running", 1), ("streaming", 0)],
        ),
    ],
    ids=range(13),
)
def test_the_phases_so_far_and_how_long_each_took(found, phases):
    assert passed(found) == phases


def test_the_phases_take_as_long_as_the_whole():
    found = folded(created(), processing(2), chunk(3), finished(5), FILE, saving=True)

    assert sum(seconds for _, seconds in passed(found)) == found.seen_after_s


@pytest.mark.parametrize(
    ("found", "speed"),
    [
        (Prediction(model="a/b"), ""),
        (folded(processing(1)), ""),
        (folded(chunk(1, count=4), Log(text="x", at_s=2)), ""),
        (folded(chunk(1, count=5)), ""),
        (folded(chunk(1, count=5), chunk(1.4)), ""),
        (folded(chunk(1, count=5), chunk(1.5)), "≈ 12 tokens/s"),
        (folded(chunk(1, count=5), Log(text="x", at_s=6)), "≈ 1 tokens/s"),
        (folded(chunk(1, count=5_000), Log(text="x", at_s=2)), "≈ 5,000 tokens/s"),
        (folded(processing(1, output=["x"] * 9), Log(text="x", at_s=3)), ""),
        (folded(chunk(1, count=5), finished(3)), ""),
    ],
    ids=range(10),
)
def test_the_speed_is_told_once_there_is_enough_to_tell(found, speed):
    assert live_speed(found) == speed


@pytest.mark.parametrize(
    ("retry", "words"),
    [
        ({"reason": "rate limited"}, "rate limited, again in 2.5 s"),
        ({"reason": "connection lost", "attempt": 2}, "connection lost, try 2, again in 2.5 s"),
        ({"reason": "It broke.", "attempt": 12}, "It broke, try 12, again in 2.5 s"),
        ({"reason": "too many\n\x1b[31mrequests"}, "too many ␛[31mrequests, again in 2.5 s"),
        (
            {"reason": "No connection to http://x:1: refused. Nothing was sent.", "attempt": 3},
            "No connection to http://x:1: refused, try 3, again in 2.5 s",
        ),
        (
            {"reason": "HTTP 503.", "attempt": 2, "file": "a.png"},
            "a.png: HTTP 503, try 2, again in 2.5 s",
        ),
        ({"reason": "looking for it", "attempt": 2, "delay_s": 0.0}, "looking for it, try 2"),
        ({"reason": CANCELING}, "cancel sent"),
    ],
    ids=range(8),
)
def test_what_is_waited_for_is_told_with_which_try_it_is_and_how_long(retry, words):
    assert waiting(Retry(**{"delay_s": 2.5, "at_s": 0, **retry})) == words


def test_a_long_reason_hides_neither_the_try_nor_the_time():
    words = waiting(Retry(reason="x" * 1_000, delay_s=2.5, at_s=0, attempt=2, file="a.png"))

    assert words.endswith("…, try 2, again in 2.5 s")
    assert len(words) < 130


def test_a_file_that_is_tried_again_is_told_while_files_are_saved():
    retry = Retry(reason="connection lost", delay_s=1, at_s=9, attempt=2, file="a.png")

    assert status_parts(folded(created(), finished(3), retry, saving=True))[1] == (
        "a.png: connection lost, try 2, again in 1.0 s"
    )
    assert status_parts(folded(created(), finished(3), retry))[1] == "succeeded"


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (None, []),
        (moving("up", **SONG), ["sending song.mp3"]),
        (moving(**SONG, done_bytes=34_000_000), ["saving song.mp3", "34.0 MB"]),
        (
            moving("up", **SONG, done_bytes=34_000_000, total_bytes=100_000_000),
            ["sending song.mp3", "34 of 100 MB"],
        ),
        (
            moving(done_bytes=34_000_000, total_bytes=100_000_000),
            ["saving 2 of 3 files", "34 of 100 MB"],
        ),
        (moving(name="\x1b[31m\n.mp3", files=1), ["saving ␛[31m .mp3"]),
    ],
    ids=range(6),
)
def test_what_is_on_its_way_is_told_with_how_far_it_is(files, parts):
    assert moved(files) == parts


def test_what_has_set_out_is_told_with_how_much_it_is():
    assert begun(moving("up", **SONG)) == "sending song.mp3 …"
    assert begun(moving(total_bytes=100_000_000)) == "saving 3 files (100.0 MB) …"


def test_in_the_end_nothing_is_told_of_what_was_on_its_way():
    sent = folded(moving("up"), moving("up", done_files=3), created(), finished(5))

    assert status_line(sent, ended=True) == "a/b · succeeded"


@pytest.mark.parametrize(
    ("metrics", "parts"),
    [
        ({}, []),
        ({"tokens_per_second": 92.345}, ["92.3 tokens/s"]),
        ({"tokens_per_second": 99.99}, ["100.0 tokens/s"]),
        ({"tokens_per_second": 100}, ["100 tokens/s"]),
        ({"tokens_per_second": 12_345.6}, ["12,346 tokens/s"]),
        ({"time_to_first_token": 0.25}, ["first token 0.25 s"]),
        (
            {"tokens_per_second": 5, "time_to_first_token": 2},
            ["5.0 tokens/s", "first token 2.0 s"],
        ),
        ({"predict_time": 3.0}, []),
        ({"tokens_per_second": -1, "time_to_first_token": "soon"}, []),
    ],
    ids=range(9),
)
def test_what_was_measured_is_told(metrics, parts):
    assert measured(prediction(metrics=metrics)) == parts


def test_the_first_token_as_the_model_measured_it_comes_before_ours():
    found = folded(created(1), chunk(3), finished(5, metrics={"time_to_first_token": 0.25}))

    assert measured(found) == ["first token 0.25 s"]
    assert measured(folded(created(1), chunk(3), finished(5))) == ["first token 2.0 s"]


def test_while_it_runs_the_first_token_is_not_told():
    assert measured(folded(created(1), chunk(3))) == []


def test_a_run_that_ended_without_an_id_was_not_run():
    assert status_parts(Prediction(model="a/b"), ended=True) == ["a/b", "not run"]
    assert status_parts(Prediction(model="a/b")) == ["a/b", "starting"]
    assert status_line(prediction(status="starting"), ended=True) == "a/b · starting"


def test_what_is_logged_while_it_starts_is_told():
    assert status_parts(prediction(status="starting", logs="one\ntwo\n"))[1] == "starting: two"
    assert status_parts(prediction(status="processing", logs="one\ntwo\n"))[1] == "running"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, "0 s"), (12.0, "12 s"), (11_400.0, "3 h 10 min"), (90_000.0, "1 day"), (4e5, "4 days")],
)
def test_an_age_is_told_as_people_do(seconds, told):
    assert age(seconds) == told


def test_an_answer_of_history_says_so_and_how_old_it_is():
    prediction = Prediction(model="acme/poet", raw={"id": "abc", "status": "succeeded"}, age_s=4e5)

    assert "from history, 4 days old, nothing was sent" in status_line(prediction, ended=True)
    assert "history" not in status_line(replace(prediction, age_s=None), ended=True)


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0.0123, ["≈ $0.0123"]), (0.00001, ["< $0.0001"]), (12.5, ["≈ $12.50"]), (0, []), (None, []),
     (-1, []), (1e13, []), (math.nan, [])],
)  # fmt: skip
def test_the_line_has_the_cost_where_it_is_known_and_anything(usd, told):
    found = replace(prediction(metrics={"tokens_per_second": 40}), cost_usd=usd)

    assert status_parts(found)[2:] == ["40.0 tokens/s", *told]
