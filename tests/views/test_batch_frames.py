"""What the page is sent of a batch: what has changed, once, and never too much at a time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from made_batch import HOSTILE, ended, running, tally_of, unsent, waiting

from replicate_magic.prediction import Chunks, Output, Prediction, Retry, fold
from replicate_magic.tally import Entry
from replicate_magic.views.batch_answers import ANSWER_CHARS, MOST_LOOKED
from replicate_magic.views.batch_frames import MOST_ROWS, Frames

NOW = 110.0


def units(text):
    return len(text.encode("utf-16-le")) // 2


def rows(frame):
    """The rows of a frame by number, each by names."""
    names = (
        "number", "model", "params", "prompt", "kind", "word", "line", "seconds", "begun", "speed",
    )  # fmt: skip
    found = (dict(zip(names, row, strict=True)) for row in frame.get("rows", []))
    return {row["number"]: row for row in found}


def row(frame):
    (found,) = rows(frame).values()
    return found


def streams(entry, *chunks):
    """A request of which a stream has brought more."""
    prediction = entry.prediction
    for chunk in chunks:
        prediction = fold(prediction, Output(chunks=(chunk,), at_s=2.0))
    return replace(entry, prediction=prediction)


# -- rows -------------------------------------------------------------------------------------


def test_a_row_is_told_whole_once_and_then_what_changes():
    tally = tally_of([waiting(0, temperature=0.5)])
    frames = Frames()
    first = row(frames.new(tally, NOW))
    tally.change(0, phase="running")
    second = row(frames.new(tally, NOW))

    assert first == {
        "number": 0, "model": "acme/poet", "params": {"temperature": "0.5"}, "prompt": "Write.",
        "kind": "waiting", "word": "waiting", "line": "", "seconds": None, "begun": None,
        "speed": "",
    }  # fmt: skip
    assert (second["model"], second["params"], second["prompt"]) == (None, None, None)
    assert (second["kind"], second["word"], second["begun"]) == ("running", "starting", 10.0)


def test_nothing_is_told_twice():
    tally = tally_of([waiting(0), running(1, text="Once")])
    frames = Frames()
    frames.new(tally, NOW)
    tally.change(1, prediction=replace(tally.entries[1].prediction, seen_after_s=9.0))

    assert frames.new(tally, NOW + 1) == {}
    assert frames.new(tally, NOW + 2) == {}


def test_frames_are_counted_and_say_of_which_version_they_are():
    tally = tally_of([waiting(0)])
    frames = Frames()
    first = frames.new(tally, NOW)
    tally.change(0, phase="running")
    second = frames.new(tally, NOW)

    assert (first["number"], second["number"]) == (1, 2)
    assert (first["version"], second["version"]) == (1, 2)


@pytest.mark.parametrize(
    ("entry", "kind", "word", "line"),
    [
        (waiting(0), "waiting", "waiting", ""),
        (running(0, text="One\ntwo "), "running", "running", "two"),
        (ended(0, "One\ntwo"), "succeeded", "succeeded", "One two"),
        (ended(0, {"a": 1}, shape="json"), "succeeded", "succeeded", '{ "a": 1 }'),
        (ended(0, None, status="failed", error="E1: no"), "failed", "failed", "E1: no"),
        (ended(0, None, status="canceled", error="Canceled."), "canceled", "canceled", "Canceled."),
        (ended(0, None, status="aborted", error="late"), "canceled", "aborted", "late"),
        (ended(0, None, status="processing", error="lost"), "failed", "processing", "lost"),
        (unsent(0), "canceled", "not sent", "Not sent: it was interrupted."),
        (ended(0, age_s=60.0), "succeeded", "from history", "Hello world"),
    ],
)
def test_a_row_says_how_far_it_is_and_the_end_of_what_came(entry, kind, word, line):
    told = row(Frames().new(tally_of([entry]), NOW))

    assert (told["kind"], told["word"], told["line"]) == (kind, word, line)


def test_what_is_waited_for_stands_where_the_answer_will():
    retry = Retry(reason="rate limited", delay_s=8, at_s=1.0, attempt=2)
    prediction = replace(running(0).prediction, retry=retry)
    told = row(Frames().new(tally_of([replace(running(0), prediction=prediction)]), NOW))

    assert told["line"] == "rate limited, try 2, again in 8.0 s"


def test_times_and_speed_are_told_where_they_are_known():
    good = ended(0, ran_s=1.5, metrics={"predict_time": 1.5, "tokens_per_second": 42.0})
    bad = ended(1, ran_s=2.5, metrics={"tokens_per_second": float("nan")})
    going = running(2, at_s=3.0)
    told = rows(Frames().new(tally_of([good, bad, going]), NOW))

    assert (told[0]["seconds"], told[0]["speed"]) == (1.5, "42.0")
    assert (told[1]["seconds"], told[1]["speed"]) == (2.5, "")
    assert (told[2]["seconds"], told[2]["begun"]) == (None, 7.5)  # began 3 s ago, ran 0.5 s later


def test_while_tokens_come_their_speed_is_told_about():
    prediction = running(0).prediction
    for n in range(12):
        prediction = fold(prediction, Output(chunks=("x",), at_s=2 + n / 10))
    told = row(Frames().new(tally_of([replace(running(0), prediction=prediction)]), NOW))

    assert (told["word"], told["speed"]) == ("streaming", "≈ 11")


def test_a_frame_has_so_many_rows_and_the_rest_follows():
    tally = tally_of(ended(n) for n in range(2 * MOST_ROWS + 5))
    frames = Frames()
    parts = [rows(frames.new(tally, NOW)) for _ in range(3)]

    assert [len(part) for part in parts] == [MOST_ROWS, MOST_ROWS, 5]
    assert sorted(number for part in parts for number in part) == list(range(2 * MOST_ROWS + 5))
    assert frames.new(tally, NOW) == {}


def test_of_a_large_batch_those_that_wait_are_not_told_one_by_one():
    tally = tally_of(waiting(n) for n in range(5_000))
    frames = Frames()
    told = set()
    while frame := frames.new(tally, NOW):
        told |= set(rows(frame))
    tally.change(4_999, phase="running")

    assert told == set(range(1_000))
    assert rows(frames.new(tally, NOW))[4_999]["model"] == "acme/poet"


def test_frames_are_bounded_however_long_everything_is():
    params = {f"{'name' * 50}{n}": "value" * 10_000 for n in range(50)}
    error = "x" * 1_000_000
    entries = [
        replace(
            ended(n, None, status="failed", error=error), params=params, prompt=error, model=error
        )
        for n in range(MOST_ROWS)
    ]
    frame = Frames().new(tally_of(entries), NOW)

    assert len(json.dumps(frame)) < 200_000


def test_answers_that_nobody_is_to_see_are_not_sent():
    tally = tally_of([running(0, text="secret"), ended(1, "secret"), unsent(2, error="why")])
    frame = Frames(answers=False).new(tally, NOW)

    assert "secret" not in json.dumps(frame)
    assert rows(frame)[2]["line"] == "why"


def test_text_is_made_safe_to_print():
    entry = replace(ended(0, HOSTILE + "\x1b[2J"), model=HOSTILE, prompt=HOSTILE)
    entry = replace(entry, params={HOSTILE: HOSTILE})
    told = json.dumps(Frames().new(tally_of([entry]), NOW), ensure_ascii=False)

    assert "<script>" in told  # it is the page that writes no markup
    assert not {"\u202e", "\u2066", "\x1b"} & set(told)


# -- all of them ------------------------------------------------------------------------------


def test_all_are_counted_by_how_far_they_are():
    tally = tally_of(
        [waiting(0), running(1), ended(2), ended(3, None, status="aborted", error="late"),
         unsent(4), ended(5, None, status="failed", error="no")],
        total=9,
    )  # fmt: skip
    tally.note = "rate limit: next in 8 s"
    facts = Frames().new(tally, NOW)["facts"]

    assert facts["counts"] == {
        "succeeded": 1, "failed": 1, "canceled": 2, "running": 1, "waiting": 1,
    }  # fmt: skip
    assert (facts["total"], facts["known"], facts["ended"]) == (9, 6, 4)
    assert (facts["elapsed_s"], facts["left_s"]) == (10.0, 12.5)
    assert facts["note"] == "rate limit: next in 8 s"
    assert not facts["over"]


def test_a_batch_of_unknown_length_has_no_total_and_no_end_in_sight():
    facts = Frames().new(tally_of([ended(0)], total=None), NOW)["facts"]

    assert (facts["total"], facts["left_s"]) == (None, None)


def test_what_is_left_is_told_again_where_nothing_ends_for_a_while():
    frames, tally = Frames(), tally_of([ended(0), running(1)])
    frames.new(tally, NOW)

    assert frames.new(tally, NOW + 1) == {}
    assert frames.new(tally, NOW + 6)["facts"]["left_s"] == 16.0
    assert frames.new(tally, NOW + 7, over=True)["facts"]["over"]
    assert frames.new(tally, NOW + 60, over=True) == {}


# -- a page that comes late -------------------------------------------------------------------


def test_a_late_page_is_told_all_in_pieces():
    tally = tally_of([*(ended(n) for n in range(250)), running(250), waiting(251)])
    frames = Frames()
    frames.new(tally, NOW)
    first = frames.from_number(tally, 0, NOW)
    second = frames.from_number(tally, first["next"], NOW)
    third = frames.from_number(tally, second["next"], NOW)

    assert [len(one["rows"]) for one in (first, second, third)] == [100, 100, 52]
    assert third["next"] is None
    assert rows(first)[0]["model"] == "acme/poet"
    assert rows(third)[250]["begun"] == 9.5
    assert (first["whole"], first["facts"]["known"]) == (1, 252)


def test_a_late_page_is_spared_those_that_wait():
    tally = tally_of(waiting(n) for n in range(5_000))
    tally.change(4_500, phase="running")
    found, first = [], 0
    while first is not None:
        frame = Frames().from_number(tally, first, NOW)
        found, first = [*found, *rows(frame)], frame["next"]

    assert found == [*range(1_000), 4_500]


@pytest.mark.parametrize("first", [-5, 7, 10**9])
def test_a_page_may_ask_for_whatever_it_likes(first):
    frame = Frames().from_number(tally_of([ended(0)]), first, NOW)

    assert frame["next"] is None


# -- answers that are looked at ---------------------------------------------------------------


def answers(frame):
    return {one["number"]: one for one in frame.get("answers", [])}


def values(*frames):
    """The text a page has that was told all of these frames of one answer."""
    text, edition = "", 0
    for frame in frames:
        for told in frame.get("answers", []):
            if told["edition"] != edition:
                text, edition = "", told["edition"]
            assert told["offset"] <= units(text)
            known = units(text) - told["offset"]
            text += told["text"].encode("utf-16-le")[2 * known :].decode("utf-16-le")
    return text


def test_only_answers_that_are_looked_at_are_sent():
    tally = tally_of([running(0, text="A"), running(1, text="B")])
    frames = Frames()
    assert "answers" not in frames.new(tally, NOW)
    reply, left = frames.look(tally, 1, 0)

    assert answers(reply)[1]["text"] == "B"
    assert left == []
    assert "answers" not in frames.new(tally, NOW)


def test_an_answer_grows_by_what_is_new():
    tally = tally_of([running(0)])
    frames = Frames()
    told = [frames.look(tally, 0, 0)[0]]
    for chunk in ("Once 😀", " upon", " a time 🎉"):
        tally.change(0, prediction=streams(tally.entries[0], chunk).prediction)
        told.append(frames.new(tally, NOW))
    sent = [one["text"] for frame in told for one in frame["answers"]]
    tally.change(0, phase="done", prediction=ended(0, "Once 😀 upon a time 🎉").prediction)
    told.append(frames.new(tally, NOW))

    assert sent == ["", "Once 😀", " upon", " a time 🎉"]
    assert values(*told) == "Once 😀 upon a time 🎉"
    assert answers(told[-1])[0]["text"] == ""
    assert answers(told[-1])[0]["ended"]
    assert "answers" not in frames.new(tally, NOW)


def test_an_answer_that_ends_as_another_begins_anew():
    tally = tally_of([running(0, text="Onec")])
    frames = Frames()
    first, _ = frames.look(tally, 0, 0)
    tally.change(0, phase="done", prediction=ended(0, "Once upon").prediction)
    second = frames.new(tally, NOW)

    assert values(first, second) == "Once upon"
    assert answers(second)[0]["edition"] == 1


def test_of_a_failure_the_whole_error_is_told_with_what_had_come():
    entry = ended(0, "Once upon", status="failed", error="line 1\nline 2")
    reply, _ = Frames().look(tally_of([entry]), 0, 0)

    assert answers(reply)[0]["text"] == "line 1\nline 2\n\nOnce upon"


def test_with_an_answer_its_prompt_and_its_page_are_told():
    entry = replace(ended(0, urls={"web": "https://replicate.com/p/p0"}), prompt="Say\nit")
    told = answers(Frames().look(tally_of([entry]), 0, 0)[0])[0]

    assert (told["prompt"], told["page"]) == ("Say\nit", "https://replicate.com/p/p0")
    assert told["facts"] == ["p0", "queued 0.50 s", "ran 1.5 s"]


def test_one_that_waits_can_be_looked_at_too():
    tally = tally_of([waiting(0, prompt="Later")])
    frames = Frames()
    told = answers(frames.look(tally, 0, 0)[0])[0]
    tally.change(0, phase="running", prediction=running(0, text="Now").prediction)

    assert (told["text"], told["ended"], told["prompt"]) == ("", False, "Later")
    assert answers(frames.new(tally, NOW))[0]["text"] == "Now"


@pytest.mark.parametrize("known", [0, 3, 7, 10**6, -1, None, "x"])
def test_a_page_is_told_what_it_lacks(known):
    frames, tally = Frames(), tally_of([ended(0, "a😀bcdef")])
    frames.look(tally, 0, 0)
    told = answers(frames.look(tally, 0, known)[0])[0]
    offset = told["offset"]

    assert offset == (known if known in {3, 7} else 0)
    assert told["text"] == "a😀bcdef".encode("utf-16-le")[2 * offset :].decode("utf-16-le")
    assert told["length"] == 8


def test_a_long_answer_is_cut_and_said_to_be():
    told = answers(Frames().look(tally_of([ended(0, "x" * 1_000_000)]), 0, 0)[0])[0]

    assert len(told["text"]) < ANSWER_CHARS + 200
    assert "the beginning" in told["text"]


def test_a_stream_that_is_long_is_sent_no_further_than_that():
    tally = tally_of([running(0)])
    frames, told = Frames(), 0
    frames.look(tally, 0, 0)
    for _ in range(10):
        tally.change(0, prediction=streams(tally.entries[0], "x" * 50_000).prediction)
        told += sum(len(one["text"]) for one in frames.new(tally, NOW).get("answers", []))

    assert told == ANSWER_CHARS


def test_several_answers_share_the_room_of_a_frame():
    tally = tally_of(running(n) for n in range(4))
    frames = Frames()
    for n in range(4):
        frames.look(tally, n, 0)
        tally.change(n, prediction=streams(tally.entries[n], "😀" * 35_000).prediction)
    told = []
    while frame := frames.new(tally, NOW):
        told.append(frame)

    assert all(len(json.dumps(frame, ensure_ascii=False)) < 120_000 for frame in told)
    for n in range(4):
        of_it = [{"answers": [answers(frame)[n]]} for frame in told if n in answers(frame)]
        assert values(*of_it) == "😀" * 35_000


def test_only_so_many_are_followed_at_once():
    tally = tally_of(running(n) for n in range(MOST_LOOKED + 2))
    frames = Frames()
    left = [frames.look(tally, n, 0)[1] for n in range(MOST_LOOKED + 2)]

    assert left == [*([[]] * MOST_LOOKED), [0], [1]]


def test_what_is_looked_at_no_more_is_sent_no_more():
    tally = tally_of([running(0, text="A")])
    frames = Frames()
    frames.look(tally, 0, 0)
    frames.look_away(0)
    tally.change(0, prediction=streams(tally.entries[0], "more").prediction)

    assert "answers" not in frames.new(tally, NOW)


def test_the_last_line_of_a_long_stream_is_found_at_its_end():
    prediction = Prediction(
        model="a/b",
        raw={"id": "p", "status": "processing"},
        shape="chunks",
        streamed=Chunks([f"line {n}\n" for n in range(10_000)]),
    )
    entry = Entry(number=0, model="a/b", phase="running", prediction=prediction)

    assert row(Frames().new(tally_of([entry]), NOW))["line"] == "line 9999"


def test_a_page_is_told_all_rows_also_where_numbers_have_gaps():
    tally = tally_of(ended(2 * n + 1) for n in range(MOST_ROWS + 3))
    frames = Frames()
    first = frames.from_number(tally, 0, NOW)
    second = frames.from_number(tally, first["next"], NOW)

    told = [row[0] for row in [*first["rows"], *second["rows"]]]
    assert told == [entry.number for entry in tally.entries]
    assert second["next"] is None
