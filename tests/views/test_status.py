"""The words for a prediction's state."""

from __future__ import annotations

import math

import pytest

from replicate_magic.prediction import Chunks, Prediction, Retry
from replicate_magic.views.status import duration, size, status_line, status_parts

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
        (5_000_000_000, "5000.0 MB"),
    ],
)
def test_a_size_is_short(size_bytes, text):
    assert size(size_bytes) == text


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
