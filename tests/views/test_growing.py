"""What of a growing answer, and of growing logs, is new."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicate_magic.plain import printable
from replicate_magic.prediction import (
    Created,
    Finished,
    Log,
    Output,
    Prediction,
    Retry,
    Update,
    fold,
)
from replicate_magic.views.growing import GrowingAnswer, GrowingLogs


def streamed(*chunks):
    return Output(chunks=chunks, at_s=1)


def polled(output=None, status="processing", **raw):
    return Update(raw={"id": "abc", "status": status, "output": output, **raw}, at_s=1)


def finished(output=None, status="succeeded", **raw):
    return Finished(raw={"id": "abc", "status": status, "output": output, **raw}, at_s=2)


def snapshots(*events, shape="chunks"):
    """The snapshot after each event; the events of a tuple make one snapshot."""
    latest = Prediction(model="a/b", shape=shape)
    for several in events:
        for event in several if isinstance(several, tuple) else (several,):
            latest = fold(latest, event)
        yield latest


def answered(*events, shape="chunks"):
    """What is new with each event."""
    growing = GrowingAnswer()
    return [growing.more(snapshot) for snapshot in snapshots(*events, shape=shape)]


def logged(*events):
    """The lines that are new with each event, and what is left at the end."""
    growing = GrowingLogs()
    return [*map(growing.more, snapshots(*events)), growing.rest()]


def log(text):
    return Log(text=text, at_s=1)


def pieces(text, cuts):
    ends = sorted({cut for cut in cuts if 0 < cut < len(text)})
    return [text[start:end] for start, end in pairwise([0, *ends, len(text)])]


# -- answers ----------------------------------------------------------------------------------


def test_of_a_stream_each_chunk_is_new_once():
    assert answered(streamed("He"), streamed("y", "!"), streamed(" you")) == ["He", "y!", " you"]


def test_of_a_polled_answer_what_has_grown_is_new():
    assert answered(polled(["He"]), polled(["He", "y"]), polled(["He", "y", "!"])) == [
        "He",
        "y",
        "!",
    ]


def test_a_polled_answer_that_is_one_string_grows_too():
    assert answered(polled("He"), polled("Hey"), finished("Hey!"), shape="text") == ["He", "y", "!"]


def test_a_polled_answer_goes_on_where_the_stream_broke_off():
    assert answered(streamed("He"), polled(["He", "y"]), finished(["He", "y", "!"])) == [
        "He",
        "y",
        "!",
    ]


def test_a_stream_goes_on_where_the_polled_answer_ended():
    assert answered(polled(["He", "y"]), streamed("He", "y"), streamed("!")) == ["Hey", "", "!"]


def test_a_stream_that_is_behind_the_polled_answer_adds_nothing_until_it_leads():
    found = answered(polled(["Hey you"]), streamed("He"), streamed("y"), streamed(" you there"))

    assert found == ["Hey you", "", "", " there"]


def test_a_polled_answer_that_is_behind_the_stream_adds_nothing():
    assert answered(streamed("Hey"), polled(["He"]), streamed("!")) == ["Hey", "", "!"]


def test_stream_and_polling_may_take_turns():
    found = answered(
        streamed("a"),
        polled(["a", "b"]),
        streamed("b", "c"),
        polled(["a", "b", "c", "d"]),
        streamed("d", "e"),
        finished(["a", "b", "c", "d", "e", "f"]),
    )

    assert found == ["a", "b", "c", "d", "e", "f"]


def test_what_is_handed_twice_is_new_once():
    growing = GrowingAnswer()
    (snapshot,) = snapshots((streamed("He"), polled(["He"])))

    assert [growing.more(snapshot), growing.more(snapshot)] == ["He", ""]


def test_an_older_snapshot_adds_nothing():
    growing = GrowingAnswer()
    old, new = snapshots(streamed("a"), streamed("b"))

    assert [growing.more(each) for each in (new, old, new)] == ["ab", "", ""]


@pytest.mark.parametrize(
    "event",
    [
        Created(raw={"id": "abc", "status": "starting"}, at_s=1),
        polled(None),
        polled(["He"]),
        log("x\n"),
        Retry(reason="429", delay_s=1, at_s=1),
        finished(["He"]),
        finished(None, status="failed"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_brings_no_text_adds_none(event):
    assert answered(streamed("He"), event) == ["He", ""]


def test_a_polled_answer_that_was_changed_adds_nothing():
    assert answered(streamed("He"), polled(["Ha", "llo", " you"]), polled(["Ho", "ho ho"])) == [
        "He",
        "",
        "",
    ]


def test_a_final_answer_that_was_changed_adds_nothing():
    assert answered(streamed("draft"), finished(["the answer"])) == ["draft", ""]


def test_the_rest_of_a_stream_that_broke_off_is_told_although_a_chunk_came_in_the_same_frame():
    assert answered((streamed("He"), finished(["He", "y"]))) == ["Hey"]


@pytest.mark.parametrize("first", ["a\r", "a\r\nb\r", "\r"])
def test_a_line_end_of_two_characters_may_be_split(first):
    assert "".join(answered(streamed(first), streamed("\nc"))) == f"{first}\nc".replace(
        "\r\n", "\n"
    )


def test_a_return_is_held_back_until_it_is_known_what_follows():
    assert answered(streamed("a\r"), streamed("b")) == ["a", "\nb"]


def test_half_a_character_waits_for_its_other_half():
    assert answered(streamed("a\ud83d"), streamed("\ude00b")) == ["a", "😀b"]


def test_half_a_character_of_a_stream_may_be_completed_by_polling():
    assert answered(streamed("a\ud83d"), polled(["a\ud83d", "\ude00b"])) == ["a", "😀b"]


def test_half_a_polled_character_may_be_completed_by_the_stream():
    assert answered(polled(["a\ud83d"]), streamed("a\ud83d"), streamed("\ude00b")) == [
        "a",
        "",
        "😀b",
    ]


@pytest.mark.parametrize("other", ["x", "xy", "xyz"])
def test_half_a_character_waits_although_polling_tells_another_text(other):
    assert answered(streamed("a\ud83d"), polled([other]), streamed("\ude00b")) == ["a", "", "😀b"]


def test_half_a_character_that_stays_alone_is_made_visible():
    assert answered(streamed("a\ud83d"), streamed("b")) == ["a", "�b"]


@pytest.mark.parametrize("shape", ["file", "files", "json"])
def test_what_is_no_text_does_not_grow(shape):
    files = ["https://x/1", "https://x/2"]
    found = answered(polled(files[:1]), streamed(files[0]), finished(files), shape=shape)

    assert found == ["", "", ""]


@pytest.mark.parametrize(
    "output",
    [
        "https://replicate.delivery/a/1.png",
        ["https://replicate.delivery/a/1.png"],
        {"a": 1},
        ["a", "b"],
        5,
    ],
)
def test_a_final_output_that_no_schema_calls_text_does_not_grow(output):
    assert answered(finished(output), shape=None) == [""]


def test_what_is_new_is_safe_to_print():
    assert answered(streamed("\x1b[2J\u202e"), polled(["\x1b[2J\u202e", "\x07"])) == ["␛[2J", "␇"]


def test_ten_thousand_chunks_are_told_in_good_time():
    began_s = time.monotonic()
    found = answered(*(streamed(f"{n} ") for n in range(10_000)))

    assert "".join(found) == "".join(f"{n} " for n in range(10_000))
    assert time.monotonic() - began_s < 5


TEXTS = st.text(alphabet="ab\r\n\x1b\ud83d\ude00😀", max_size=12)
CUTS = st.lists(st.integers(1, 12), max_size=6)
PREFIXES = st.integers(0, 12)  # of which polling tells
DRAWN = st.booleans()  # whether there is a frame after an event
STEPS = st.lists(st.tuples(st.none() | PREFIXES, DRAWN), max_size=12)


@st.composite
def runs(draw):
    """A text, its chunks, and when it is streamed (`None`), polled up to a length, and drawn."""
    text = draw(TEXTS)
    return text, pieces(text, draw(CUTS)), draw(STEPS)


def frames_of(text, chunks, steps):
    """The events of a run, those of a frame together; the end has one of its own."""
    left, events, frames = iter(chunks), [], []
    for length, drawn in steps:
        if length is not None:
            events.append(polled([text[:length]]))
        elif chunk := next(left, ""):
            events.append(streamed(chunk))
        if drawn and events:
            frames.append(tuple(events))
            events = []
    return [*frames, tuple(events), finished([text])]


@pytest.mark.slow
@settings(deadline=None, max_examples=1_000)
@given(runs())
@example(("a\r\nb", ["a\r", "\nb"], [(None, True), (1, True), (None, True)]))
@example(("ab\ud83d\ude00", ["a", "b\ud83d", "\ude00"], [(3, True), (None, True), (None, True)]))
def test_no_text_is_told_twice_and_none_is_lost(run):
    text, chunks, steps = run
    whole, told = printable(text), ""
    for new in answered(*frames_of(text, chunks, steps)):
        told += new
        assert whole.startswith(told)

    held = text.removesuffix("\r") if text.endswith("\r") else text.rstrip("\ud83d")
    assert len(told) >= len(printable(held))


# -- logs -------------------------------------------------------------------------------------


def test_lines_are_told_once_and_when_they_have_ended():
    assert logged(log("one\ntw"), log("o\n"), log("three"), log("\n")) == [
        "one\n",
        "two\n",
        "",
        "three\n",
        "",
    ]


def test_of_polled_logs_the_lines_that_have_come_are_told():
    found = logged(
        polled(logs="one\n"), polled(logs="one\ntwo\nthr"), finished(logs="one\ntwo\nthree\n")
    )

    assert found == ["one\n", "two\n", "three\n", ""]


def test_polled_logs_go_on_where_the_stream_broke_off_and_back():
    found = logged(log("one\n"), polled(logs="one\ntwo\n"), log("two\n"), log("three\n"))

    assert found == ["one\n", "two\n", "", "three\n", ""]


def test_output_adds_no_line():
    assert logged(log("one\n"), streamed("x"), polled(["x"])) == ["one\n", "", "", ""]


def test_a_line_that_has_not_ended_is_told_at_the_end():
    assert logged(log("one\ntwo")) == ["one\n", "two\n"]


def test_after_the_rest_nothing_is_left():
    growing = GrowingLogs()
    for snapshot in snapshots(log("half a line"), log(" 50%|##  |")):
        growing.more(snapshot)

    assert [growing.rest(), growing.rest()] == ["half a line 50%|##  |\n", ""]


def test_colours_are_removed_also_where_they_are_split():
    assert logged(log("\x1b[31mred\x1b[0m \x1b]0;title\x07x\n")) == ["red x\n", ""]
    assert "".join(logged(log("\x1b[3"), log("1mred\x1b"), log("[0m\n"))) == "red\n"


def test_what_else_is_no_text_is_made_visible():
    assert logged(log("a\x07\u202e\x00b\n")) == ["a␇␀b\n", ""]


@pytest.mark.parametrize(
    "text",
    ["one\rtwo\n", "one\rtwo\r\n", "\rone\r\rtwo\n", "one\r\x1b[K\rtwo\n"],
)
def test_of_a_line_that_is_drawn_again_the_last_state_stays(text):
    assert "".join(logged(log(text))) == "two\n"
    assert "".join(logged(*map(log, text))) == "two\n"


def test_a_line_end_of_two_characters_is_no_line_that_is_drawn_again():
    assert "".join(logged(log("one\r"), log("\ntwo\r\n"))) == "one\ntwo\n"


def bar(percent, done, name="", rate="1.52it/s"):
    """A line as tqdm draws it."""
    return f"{name}{percent:3d}%|{'█' * (percent // 10):10}| {done}/50 [00:01<00:09, {rate}]"


def test_of_a_bar_that_is_drawn_line_by_line_the_last_state_stays():
    bars = [bar(2 * n, n) for n in range(51)]

    assert "".join(logged(log("begin\n"), *(log(f"{one}\n") for one in bars), log("end\n"))) == (
        f"begin\n{bars[-1]}\nend\n"
    )


def test_of_a_bar_that_is_drawn_over_itself_the_last_state_stays():
    bars = [bar(2 * n, n) for n in range(51)]

    assert "".join(logged(*(log(f"\r{one}") for one in bars), log("\n"))) == f"{bars[-1]}\n"


def test_a_bar_is_told_where_another_line_follows_it():
    assert logged(log(f"{bar(50, 25)}\n"), log("saved\n")) == ["", f"{bar(50, 25)}\nsaved\n", ""]


def test_a_bar_that_stands_last_is_told_at_the_end():
    assert logged(log(f"{bar(50, 25)}\n{bar(100, 50)}\n")) == ["", f"{bar(100, 50)}\n"]


def test_bars_of_two_kinds_both_stay():
    first = [bar(percent, percent // 2, "weights: ") for percent in (0, 50, 100)]
    second = [bar(percent, percent // 2, "image: ") for percent in (0, 50, 100)]
    text = "".join(f"{one}\n" for one in [*first, *second])

    assert "".join(logged(log(text))) == f"{first[-1]}\n{second[-1]}\n"


def test_of_each_run_of_a_bar_the_last_state_stays():
    run = "".join(f"{bar(percent, percent // 2)}\n" for percent in (0, 50, 100))

    assert "".join(logged(log(f"{run}next\n{run}"))) == f"{bar(100, 50)}\nnext\n{bar(100, 50)}\n"


@pytest.mark.parametrize(
    "rates",
    [("?it/s", "1.02s/it", "1.52it/s"), ("980kB/s", "1.1MB/s"), ("?B/s", "12.0kB/s", "3.1MB/s")],
    ids=["iterations", "bytes", "from_unknown"],
)
def test_a_bar_whose_rate_changes_its_unit_is_one_bar(rates):
    bars = [bar(10 * n, n, rate=rate) for n, rate in enumerate(rates)]

    assert "".join(logged(log("".join(f"{one}\n" for one in bars)))) == f"{bars[-1]}\n"


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("", None),
        ("a line\n", None),
        (f"{bar(2, 1)}\n", 2),
        (f"\r{bar(2, 1)}\r{bar(42, 21)}", 42),
        (f"{bar(2, 1)}\r{bar(42, 21)}\r", 42),
        (f"{bar(2, 1)}\nsaved\n", None),
        (f"saved\n{bar(100, 50)}\n", 100),
        ("Downloading 31 %\n", 31),
        ("Downloading 31.7% of 4 GB\n", 31),
        ("\x1b[32m 31%\x1b[0m\n", 31),
        ("0.5%\n", 0),
        ("140%\n", None),
        ("1234%\n", None),
        ("1.234.5%\n", None),
    ],
)
def test_it_is_known_how_far_the_bar_is_that_stands_last(text, percent):
    growing = GrowingLogs()
    for snapshot in snapshots(log(text)):
        growing.more(snapshot)

    assert growing.percent == percent


def test_how_far_the_bar_is_stays_known_while_nothing_is_logged():
    growing = GrowingLogs()
    for snapshot in snapshots(log(f"{bar(42, 21)}\n"), streamed("x")):
        growing.more(snapshot)

    assert growing.percent == 42


@pytest.mark.parametrize(
    "line", ["line {}\n", "\r{}%|##", "{}%|##\n"], ids=["lines", "over", "bars"]
)
def test_ten_thousand_lines_are_told_in_good_time(line):
    began_s = time.monotonic()
    told = "".join(logged(*(log(line.format(n % 101)) for n in range(10_000))))

    assert told.endswith(line.format(9_999 % 101).strip() + "\n")
    assert time.monotonic() - began_s < 5


def test_the_rest_of_logs_that_broke_off_is_told_although_a_line_came_in_the_same_frame():
    assert "".join(logged((log("one\n"), finished(logs="one\ntwo\n")))) == "one\ntwo\n"


@pytest.mark.parametrize("blank", [" ", "\x1b[K"], ids=["blanks", "erase"])
def test_a_line_that_is_drawn_over_by_nothing_is_the_same_in_one_piece_and_in_two(blank):
    assert logged(log(f"one\r{blank}"), log("\n")) == ["", *logged(log(f"one\r{blank}\n"))]


STATES = st.lists(st.text(alphabet="ab1%", min_size=1, max_size=4), max_size=4)
LINES = st.lists(st.tuples(STATES, st.sampled_from(["\n", "\r\n"])), max_size=4)


@settings(deadline=None, max_examples=500)
@given(LINES, st.lists(st.integers(1, 60), max_size=8))
def test_lines_are_the_same_however_they_are_split(lines, cuts):
    text = "".join("\r".join(states) + end for states, end in lines)

    assert "".join(logged(*map(log, pieces(text, cuts)))) == "".join(logged(log(text)))


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab 1", min_size=1).filter(str.strip), max_size=8), CUTS)
def test_lines_without_bars_are_all_told(lines, cuts):
    text = "".join(f"{line}\n" for line in lines)

    assert "".join(logged(*map(log, pieces(text, cuts)))) == text
