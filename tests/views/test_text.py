"""The text view: what it prints, and when; and making text safe to print."""

from __future__ import annotations

import io
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.plain import one_line, printable
from replicate_magic.prediction import (
    Chunks,
    Created,
    Finished,
    Log,
    Moving,
    Output,
    OutputFile,
    Prediction,
    Update,
    fold,
)
from replicate_magic.views import Answer, Look, NoView, choose
from replicate_magic.views.text import TextView

STATUS = "a/b · succeeded\n"


def prediction(output=None, *, status="succeeded", shape="chunks", streamed=(), **raw):
    return Prediction(
        model="a/b",
        shape=shape,
        streamed=Chunks(list(streamed)),
        raw={"id": "abc", "status": status, "output": output, **raw},
    )


def printed(*snapshots, made=None, live=True, **look):
    """What is printed for snapshots of which the last closes the view."""
    out = io.StringIO()
    view = TextView(out, Look(**look), live=live)
    for snapshot in snapshots[:-1]:
        view.update(snapshot)
    view.close(snapshots[-1], made)
    return out.getvalue()


def running(*streamed, **more):
    return prediction(status="processing", streamed=streamed, **more)


# -- as it comes ------------------------------------------------------------------------------


def test_chunks_are_printed_when_they_come():
    out = io.StringIO()
    view = TextView(out, Look(), live=True)
    seen = []
    for streamed in ([], ["He"], ["He"], ["He", "y", "!"]):
        view.update(running(*streamed))
        seen.append(out.getvalue())

    assert seen == ["", "He", "He", "Hey!"]


def test_what_was_streamed_is_not_printed_again():
    text = printed(running("He"), running("He", "y"), prediction(["He", "y"], streamed=["He", "y"]))

    assert text == f"Hey\n\n{STATUS}"


def test_the_rest_of_a_stream_that_broke_off_is_printed():
    assert printed(running("He"), prediction(["He", "y"], streamed=["He"])) == f"Hey\n\n{STATUS}"


def test_an_answer_that_differs_from_the_stream_is_printed_whole_and_named():
    text = printed(running("Hi"), prediction(["Hey"], streamed=["Hi"]))

    assert text == f"Hi\n\n[the final answer:]\nHey\n\n{STATUS}"


def test_a_final_newline_is_not_doubled():
    assert printed(running("a\n"), prediction(["a\n"], streamed=["a\n"])) == f"a\n\n{STATUS}"
    assert printed(prediction(["a\n"])) == f"a\n\n{STATUS}"


def test_the_text_of_a_failed_run_stays_and_is_not_repeated():
    assert printed(running("He"), prediction(status="failed", streamed=["He"])) == (
        "He\n\na/b · failed\n"
    )


def test_the_same_snapshots_may_come_twice_and_in_any_order():
    old, new = running("a"), running("a", "b")

    assert printed(old, new, old, new, prediction(["a", "b"], streamed=["a", "b"])) == (
        f"ab\n\n{STATUS}"
    )


def test_where_nobody_watches_only_the_end_is_printed():
    assert printed(running("He"), prediction(["Hey"]), live=False) == f"Hey\n\n{STATUS}"


def test_a_run_that_was_never_created_leaves_a_line_end_at_most():
    assert printed(None) == ""
    assert printed(running("He"), None) == "He\n"


@pytest.mark.parametrize("shape", ["files", "file", "json"])
def test_what_is_no_text_is_not_streamed(shape):
    assert printed(running("https://x/1", shape=shape), prediction(None, shape="json")) == STATUS


@pytest.mark.parametrize("form", ["json", "html", "image"])
def test_a_form_that_is_no_text_is_not_streamed(form):
    out = io.StringIO()
    TextView(out, Look(format=form), live=True).update(running("He"))

    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("look", "text"),
    [
        ({"answer": False}, STATUS),
        ({"status": False}, "Hey\n\n"),
        ({"answer": False, "status": False}, ""),
    ],
)
def test_only_what_was_asked_for_is_printed(look, text):
    assert printed(running("He"), prediction(["Hey"]), **look) == text


@pytest.mark.parametrize("split", range(1, 7))
def test_line_ends_may_be_split_anywhere(split):
    text = "a\r\nb\r\r\n"
    chunks = [text[:split], text[split:]]

    assert printed(running(chunks[0]), running(*chunks), prediction([text], streamed=chunks)) == (
        f"a\nb\n\n\n{STATUS}"
    )


def test_an_answer_that_is_polled_is_printed_when_it_comes():
    out = io.StringIO()
    view = TextView(out, Look(), live=True)
    seen = []
    for output in (None, ["He"], ["He", "y"], ["He", "y"], ["He", "y", "!"]):
        view.update(running(output=output))
        seen.append(out.getvalue())

    assert seen == ["", "He", "Hey", "Hey", "Hey!"]


def test_an_answer_that_is_polled_after_the_stream_broke_off_is_printed_once():
    latest = prediction(status="processing")
    out = io.StringIO()
    view = TextView(out, Look(), live=True)
    for event in (
        Output(chunks=("He",), at_s=1),
        Update(raw={"status": "processing", "output": ["He", "y"]}, at_s=2),
        Finished(raw={"id": "abc", "status": "succeeded", "output": ["He", "y", "!"]}, at_s=3),
    ):
        latest = fold(latest, event)
        view.update(latest)
    view.close(latest)

    assert out.getvalue().startswith("Hey!\n\na/b · succeeded")


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab\r\n\x1b\t\u202e\ud83d😀"), max_size=6))
def test_a_stream_and_its_end_print_the_answer_once(chunks):
    final = "".join(chunks)
    snapshots = [running(*chunks[:n]) for n in range(len(chunks) + 1)]

    text = printed(*snapshots, prediction([final], streamed=chunks), status=False)

    assert text.rstrip("\n") == printable(final).rstrip("\n")
    assert "final answer" not in text


# -- what is printed --------------------------------------------------------------------------


def test_json_is_pretty():
    output = {"a": [1, None], "größe": "x"}

    assert printed(prediction(output, shape="json")) == (
        f"{json.dumps(output, indent=2, ensure_ascii=False)}\n\n{STATUS}"
    )


def test_text_that_holds_json_is_pretty_where_json_is_asked_for():
    text = printed(prediction(['{"a":', "1}"]), format="json", status=False)

    assert text == '{\n  "a": 1\n}\n\n'


def test_text_that_holds_no_json_is_shown_as_a_json_string():
    assert printed(prediction(["no"]), format="json", status=False) == '"no"\n\n'


@pytest.mark.parametrize("depth", [100, 900])
def test_json_of_any_depth_is_shown(depth):
    output = json.loads("[" * depth + "]" * depth)

    assert printed(prediction(output, shape="json"), status=False).count("[") == depth


def test_files_are_a_line_each_with_kind_and_size():
    files = (
        OutputFile(url="https://x/1.png", media_type="image/png", size_bytes=310_000),
        OutputFile(url="https://x/2\x1b[31m\n.bin"),
        OutputFile(
            url="data:image/png;base64," + "A" * 9_999, media_type="image/png", size_bytes=7
        ),
    )
    found = Prediction(
        model="a/b",
        shape="files",
        raw={"status": "succeeded", "output": [file.url for file in files]},
        fetched=files,
    )

    first, second, third = printed(found, status=False).rstrip("\n").splitlines()
    assert first == "https://x/1.png (image/png, 310 kB)"
    assert second == "https://x/2␛[31m .bin"
    assert third == "data:image/png;base64," + "A" * 37 + "… (image/png, 7 B)"


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ((), "jq gave no output: None"),
        ((None,), "null"),
        ((5,), "5"),
        (("text\x1b",), "text␛"),
        (([],), "[]"),
        ((1, "a"), '[\n  1,\n  "a"\n]'),
    ],
)
def test_what_jq_made_is_shown_in_place_of_the_answer(outputs, text):
    assert printed(prediction(["Hey"]), made=Answer(outputs=outputs)) == f"{text}\n\n{STATUS}"


@pytest.mark.parametrize(
    ("outputs", "value"), [((), None), ((5,), 5), ((1, 2), [1, 2]), (([],), [])]
)
def test_the_value_of_an_answer(outputs, value):
    assert Answer(outputs=outputs).value == value


# -- safe to print ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
        ("\x00\x08\x0b\x0c\x7f", "␀␈␋␌␡"),
        ("\x9b31m\x90", "31m"),
        ("a\u202eb\u2066c\u2069d", "abcd"),
        ("größe 😀 שלום", "größe 😀 שלום"),
        ("half \ud83d a \udc00 pair", "half � a � pair"),
    ],
)
def test_control_characters_are_made_visible_or_removed(text, shown):
    assert printable(text) == shown
    printable(text).encode()


@settings(deadline=None)
@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_of_a_limited_length(text, limit):
    line = one_line(text, limit=limit)

    assert len(line.splitlines()) <= 1
    assert len(line) <= limit


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "utf-16"])
def test_any_answer_is_printed_to_any_stream(encoding):
    bytes_out = io.BytesIO()
    out = io.TextIOWrapper(bytes_out, encoding=encoding, newline="\n")
    view = TextView(out, Look(), live=True)
    view.update(running("half \ud83d \x1b größe 😀"))
    view.close(prediction(["half \ud83d \x1b größe 😀"]))

    shown = bytes_out.getvalue().decode(encoding)
    assert shown.startswith("half ")
    assert "succeeded" in shown
    assert "\x1b" not in shown


def test_a_hostile_answer_cannot_steer_a_terminal():
    hostile = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202e"
    found = prediction([hostile], error=hostile, version=hostile, logs=hostile)

    for form in ("auto", "markdown", "text", "json", "html", "image"):
        text = printed(running(hostile), found, format=form)
        assert not set(text) & set("\x1b\x07\x9b\u202e")


# -- who is watching --------------------------------------------------------------------------


def test_nothing_to_show_is_no_view():
    view = choose(Look(answer=False, status=False))

    assert isinstance(view, NoView)
    view.update(prediction())
    view.close(prediction())
    view.close(None)


@pytest.mark.parametrize("place", ["terminal", "plain", "auto"])
def test_a_script_and_a_terminal_get_text(place):
    assert isinstance(choose(Look(), place), TextView)


@pytest.mark.parametrize("place", ["browser", "headless"])
def test_a_page_gets_more_than_text(place):
    assert choose(Look(), place).wants_previews
    assert not choose(Look(answer=False), place).wants_previews
    assert not choose(Look(format="text"), place).wants_previews


def test_a_terminal_tells_what_is_waited_for_on_one_line_that_goes():
    out = io.StringIO()
    view = TextView(out, Look(), live=True, rewrites=True)
    view.update(prediction(status="starting", logs="Downloading 31 %\n"))
    view.update(running("Hello"))
    view.close(prediction(["Hello"]))

    assert "starting: Downloading 31 % · 0 s\r\x1b[K" in out.getvalue()
    assert out.getvalue().split("\r\x1b[K")[-1].startswith("Hello\n\n")


def test_a_stream_that_cannot_rewrite_tells_nothing_of_waiting():
    out = io.StringIO()
    TextView(out, Look(), live=True).update(prediction(status="starting"))

    assert out.getvalue() == ""


# -- a terminal -------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch):
    """A view of a terminal that is 40 columns wide, and what it has been sent."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    return TextView(out, Look(), live=True, rewrites=True), out


def moving(direction, *, done_files=0, done_bytes=0):
    return Moving(
        direction=direction, name="cat.mp4", files=1, done_files=done_files,
        done_bytes=done_bytes, total_bytes=100_000_000, fraction=None, at_s=4.0,
    )  # fmt: skip


def line(out):
    """The line that is to be written over."""
    return out.getvalue().split("\r\x1b[K")[-1]


def seconds(out):
    return float(re.search(r"· ([\d.]+) s", line(out))[1])


def test_the_time_that_is_waited_goes_on_with_the_same_snapshot(terminal):
    view, out = terminal
    latest = fold(Prediction(model="a/b"), Created(raw={"id": "abc"}, at_s=1.5))
    view.update(latest)
    at_first = seconds(out)
    time.sleep(0.3)
    view.update(latest)

    assert at_first >= 1.5
    assert at_first + 0.2 <= seconds(out) < 9


def test_a_new_snapshot_brings_its_own_time(terminal):
    view, out = terminal
    latest = fold(Prediction(model="a/b"), Created(raw={"id": "abc"}, at_s=1.5))
    view.update(latest)
    time.sleep(0.3)
    view.update(fold(latest, Update(raw={"id": "abc", "status": "processing"}, at_s=1.8)))

    assert line(out).startswith("a/b · running · ")
    assert seconds(out) < 1


def test_each_waiting_line_is_cleared_before_the_next(terminal):
    view, out = terminal
    for _ in range(3):
        view.update(prediction(status="starting"))

    told = out.getvalue().split("\r\x1b[K")
    assert len(told) == 3
    assert all(one.startswith("a/b · starting · 0") for one in told)


@pytest.mark.parametrize(
    ("logged", "cut"),
    [
        ("x" * 100, "a/b · starting: " + "x" * 23),
        ("漢" * 100, "a/b · starting: " + "漢" * 11),
        ("x漢" * 100, "a/b · starting: " + "x漢" * 7 + "x"),
        ("\uff21" * 100, "a/b · starting: " + "\uff21" * 11),
        ("🎉" * 100, "a/b · starting: " + "🎉" * 11),
    ],
    ids=["narrow", "wide", "mixed", "full_width", "emoji"],
)
def test_a_waiting_line_is_cut_to_what_the_terminal_shows(terminal, logged, cut):
    view, out = terminal
    view.update(prediction(status="starting", logs=logged))

    assert line(out) == cut


def test_once_the_answer_comes_nothing_is_told_of_waiting(terminal):
    view, out = terminal
    view.update(running("He"))
    view.update(running("He", "y"))

    assert out.getvalue() == "Hey"


def test_how_fast_the_tokens_come_is_told_where_the_answer_is_not_printed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    view = TextView(out, Look(format="json"), live=True, rewrites=True)
    latest = prediction(status="processing")
    for number in range(11):
        latest = fold(latest, Output(chunks=("x",), at_s=1 + number / 10))
    view.update(latest)

    assert line(out).startswith("a/b · streaming · 1.")
    assert line(out).endswith(" s · ≈ 11 tokens/s")


@pytest.mark.parametrize(
    ("status", "colour"), [("succeeded", 32), ("failed", 31), ("canceled", 33), ("aborted", 33)]
)
def test_a_terminal_gets_the_status_in_colour(terminal, status, colour):
    view, out = terminal
    view.close(prediction(status=status))

    assert out.getvalue() == f"a/b · \x1b[{colour}m{status}\x1b[0m\n"


def test_a_status_that_is_not_known_has_no_colour(terminal):
    view, out = terminal
    view.close(prediction(status="expired", completed_at="2024-01-01T00:00:00Z"))

    assert out.getvalue() == "a/b · expired\n"


def test_a_run_that_never_began_has_no_colour(terminal):
    view, out = terminal
    view.close(Prediction(model="a/b", raw={"status": "failed"}))

    assert out.getvalue() == "a/b · not run\n"


def test_who_wants_no_colour_gets_none(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    view, out = terminal
    view.close(prediction())

    assert out.getvalue() == STATUS


def test_an_empty_wish_for_no_colour_is_none(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")
    view, out = terminal
    view.close(prediction())

    assert "\x1b[32m" in out.getvalue()


def test_what_cannot_be_written_over_gets_no_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert printed(prediction(["Hey"])) == f"Hey\n\n{STATUS}"


def test_a_name_that_is_a_status_is_not_coloured(terminal):
    view, out = terminal
    view.close(Prediction(model="a/failed", raw={"id": "abc", "status": "failed"}))

    assert out.getvalue() == "a/failed · \x1b[31mfailed\x1b[0m\n"


def test_files_on_their_way_are_told_on_the_line_that_is_written_over(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    view = TextView(out, Look(), live=True, rewrites=True)
    latest = fold(Prediction(model="a/b"), moving("up", done_bytes=34_000_000))
    view.update(latest)
    assert line(out).startswith("a/b · sending cat.mp4 · 34 of 100 MB · 4.0 s")

    latest = fold(fold(latest, moving("up", done_files=1)), Created(raw={"id": "abc"}, at_s=5))
    latest = fold(latest, Update(raw={"id": "abc", "status": "processing"}, at_s=6))
    view.update(fold(latest, moving("down", done_bytes=3_000_000)))
    assert line(out).startswith("a/b · running · saving cat.mp4 · 3 of 100 MB · ")

    view.update(latest)
    assert line(out).startswith("a/b · running · 0")
    assert "\n" not in out.getvalue()


def test_where_no_line_can_be_written_over_files_are_told_once_a_direction():
    out = io.StringIO()
    view = TextView(out, Look(), live=True)
    latest = Prediction(model="a/b")
    for direction in ("up", "down"):
        for done_bytes in range(0, 100_000_000, 1_000_000):
            latest = fold(latest, moving(direction, done_bytes=done_bytes))
            view.update(latest)

    assert out.getvalue() == "sending cat.mp4 (100.0 MB) …\nsaving cat.mp4 (100.0 MB) …\n"


@pytest.mark.parametrize(("live", "status"), [(False, True), (True, False)])
def test_where_nothing_is_told_of_a_run_files_are_not_either(live, status):
    out = io.StringIO()
    view = TextView(out, Look(status=status), live=live)
    view.update(fold(Prediction(model="a/b"), moving("up")))

    assert out.getvalue() == ""


def test_an_answer_that_came_whole_clears_the_waiting_line_first(terminal):
    view, out = terminal
    view.update(prediction(status="starting"))
    view.close(prediction(["Hey"]))

    assert line(out).startswith("Hey\n\n")


def test_a_run_that_was_never_created_clears_the_waiting_line(terminal):
    view, out = terminal
    view.update(Prediction(model="a/b"))
    view.close(None)

    assert out.getvalue().endswith("\r\x1b[K")


def test_without_a_status_line_nothing_is_told_of_waiting():
    out = io.StringIO()
    view = TextView(out, Look(status=False), live=True, rewrites=True)
    view.update(fold(prediction(status="starting"), Log(text="x", at_s=1)))

    assert out.getvalue() == ""
