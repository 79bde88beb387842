"""The text view: what it prints, and when; and making text safe to print."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicate_magic.plain import one_line, printable
from replicate_magic.prediction import Chunks, OutputFile, Prediction
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
