"""The engine's functions of plain values, and how long records are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from replicate_magic.local import predictions as records
from replicate_magic.local.bodies import parse_multipart
from replicate_magic.local.files import KEEP_BYTES, KEEP_FILES, Files, store
from replicate_magic.local.model import File, ModelError
from replicate_magic.local.predictions import Prediction, Predictions, to_json
from replicate_magic.local.problems import Problem
from replicate_magic.local.smollm2 import chat_request, figures
from replicate_magic.local.smollm2_info import INPUT
from replicate_magic.local.sse import StreamEvent, encode, next_id, parse_id
from replicate_magic.local.validate import invalid_fields, with_defaults
from replicate_magic.local.wire import (
    paginate,
    parse_duration,
    parse_timestamp,
    parse_wait,
    timestamp,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("2h30m", 9000), ("24h", 86400)],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "24h1s", "s", "1d", "30 s", "1.5m", "m5", "٣٠"])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="is not"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("prefer", "preference"),
    [
        ("wait", ("wait", 60)),
        ("wait=5", ("wait=5", 5)),
        ("Wait = 5", ("wait=5", 5)),
        ("respond-async, wait=5", ("wait=5", 5)),
        ("wait=99", ("wait=60", 60)),
        ("wait=0", None),
        ("wait=x", None),
        ("", None),
    ],
)
def test_preferences_are_read(prefer, preference):
    assert parse_wait(prefer) == preference


def test_times_have_six_digits_and_a_z():
    assert timestamp(NOON) == "2026-01-01T12:00:00.000000Z"
    assert parse_timestamp("2026-01-01T13:00:00 01:00") == NOON
    assert parse_timestamp("2026-01-01T12:00:00") == NOON


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_pages_lead_through_a_list_and_back(size):
    items = list(range(10, 0, -1))
    page = paginate(items, key=int, cursor=None, size=size)
    seen = list(page.results)
    while page.next:
        page = paginate(items, key=int, cursor=page.next, size=size)
        seen += page.results
    assert seen == items
    while page.previous:
        page = paginate(items, key=int, cursor=page.previous, size=size)
    assert page.results == items[:size]


def test_an_empty_list_is_one_empty_page():
    page = paginate([], key=int, cursor=None)
    assert (page.results, page.next, page.previous) == ([], None, None)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("a", ["a"]),
        ("a\nb", ["a", "b"]),
        ("\n", ["", ""]),
        ("a\r\nevent: done\rb", ["a", "event: done", "b"]),
        ("a\u2028b", ["a\u2028b"]),
    ],
)
def test_each_line_of_data_has_its_field(data, lines):
    wire = encode(StreamEvent(id=(1, 2), event="output", data=data))
    assert wire == "event: output\nid: 1:2\n" + "".join(f"data: {x}\n" for x in lines) + "\n"


def test_event_ids_rise_even_if_the_clock_is_set_back():
    assert next_id(None, 5) == (5, 0)
    assert next_id((5, 0), 5) == (5, 1)
    assert next_id((5, 1), 4) == (5, 2)
    assert next_id((5, 1), 6) == (6, 0)


@pytest.mark.parametrize(
    ("text", "parsed"), [("5:1", (5, 1)), ("x", None), ("", None), (None, None)]
)
def test_event_ids_are_read(text, parsed):
    assert parse_id(text) == parsed


@pytest.mark.parametrize(
    ("schema", "value", "kinds"),
    [
        ({"type": "integer"}, 3.0, []),
        ({"type": "integer"}, 3.5, ["invalid_type"]),
        ({"type": "number"}, 3, []),
        ({"type": "number"}, True, ["invalid_type"]),
        ({"type": "string", "nullable": True}, None, []),
        ({"type": "string"}, None, ["invalid_type"]),
        ({"enum": ["a"]}, "b", ["enum"]),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], ["invalid_type"]),
        ({"type": "string", "format": "uri"}, "data:,x", []),
        ({"type": "string", "format": "uri"}, "a.png", ["format"]),
        ({"type": "string", "format": "uri"}, "http://[", ["format"]),
    ],
)
def test_values_are_checked_against_schemas(schema, value, kinds):
    assert [field.type for field in invalid_fields(schema, value, "input.x")] == kinds


def test_defaults_fill_what_is_missing_or_null():
    schema = {"properties": {"a": {"default": 1}, "b": {"default": 2}, "c": {}}}
    assert with_defaults(schema, {"a": 5, "b": None, "c": None, "d": 1}) == {"a": 5, "b": 2}


def test_a_form_with_boundary_like_content_is_read():
    body = b'--X\r\nContent-Disposition: form-data; name="content"\r\n\r\n--Y\r\n\r\n\r\n--X--\r\n'
    (part,) = parse_multipart("multipart/form-data; boundary=X", body)
    assert part.content == b"--Y\r\n\r\n"


@pytest.mark.parametrize("body", [b"--X\r\n", b"--X\r\nContent-Disposition: x\r\n\r\nabc"])
def test_a_form_that_breaks_off_is_refused(body):
    with pytest.raises(Problem):
        parse_multipart("multipart/form-data; boundary=X", body)


def asked(**given):
    """What the text model is asked to go on with."""
    request = chat_request(with_defaults(INPUT, given), seed=1, reuse_prefix=False)
    return [(message["role"], message["content"]) for message in request["messages"]]


def test_a_prompt_follows_the_system_prompt_and_messages_take_the_place_of_both():
    said = [{"role": "user", "content": "Hi.", "name": "Ada"}]
    system = ("system", "You are a helpful assistant.")

    assert asked(prompt="Hi.") == asked(prompt="Hi.", messages=[]) == [system, ("user", "Hi.")]
    assert asked(prompt="Hi.", system_prompt="x")[0] == ("system", "x")
    assert asked(prompt="x", system_prompt="x", messages=said) == [("user", "Hi.")]
    with pytest.raises(ModelError, match="give a prompt, or messages"):
        asked()


def test_one_token_alone_has_no_speed():
    timings = {"prompt_n": 5, "cache_n": 2, "predicted_n": 1, "predicted_per_second": 1e6}
    assert figures(timings, first_token_s=0.5) == {
        "input_token_count": 7,
        "output_token_count": 1,
        "time_to_first_token": 0.5,
    }


def finished(kept, at):
    prediction = Prediction(
        model="local/x",
        version="0" * 64,
        input={"prompt": "Hi."},
        output_is_list=True,
        created_at=at,
    )
    kept.add(prediction)
    prediction.start(at)
    prediction.add_output("Hello")
    prediction.add_log("a line\n")
    prediction.finish("succeeded", at)
    kept.finished(prediction)
    return prediction


def kept_file(files, **changes):
    file = replace(store(File(name="x", media_type="text/plain", content=b"x")), **changes)
    files.add(file)
    return file


def test_only_so_many_files_are_kept():
    files = Files()
    kept = [kept_file(files) for _ in range(KEEP_FILES + 1)]
    assert (files.get(kept[0].id), kept[0].content.closed) == (None, True)
    assert files.get(kept[1].id) is kept[1]
    files.close()


def test_only_so_many_bytes_are_kept():
    files = Files()
    first, second = (kept_file(files, size_bytes=KEEP_BYTES) for _ in range(2))
    assert (files.get(first.id), files.get(second.id)) == (None, second)
    files.close()


def test_data_is_removed_an_hour_after_the_end(fits):
    kept = Predictions()
    prediction = finished(kept, NOON)
    kept.sweep(NOON + timedelta(minutes=59))
    assert prediction.output == ["Hello"]
    kept.sweep(NOON + timedelta(minutes=60))
    shown = to_json(prediction, "http://127.0.0.1:1")
    fits("prediction", shown)
    assert shown["data_removed"] is True
    assert (shown["input"], shown["output"], shown["logs"]) == ({}, None, "")
    assert shown["metrics"]["total_time"] == 0


def test_a_stream_ends_with_its_data():
    kept = Predictions()
    prediction = finished(kept, NOON - timedelta(days=1000))
    assert kept.by_stream(prediction.stream_token) is None
    assert kept.get(prediction.id) is prediction


def test_only_so_many_finished_predictions_are_kept():
    kept = Predictions()
    made = [finished(kept, datetime.now(UTC)) for _ in range(records.KEEP_FINISHED + 1)]
    assert kept.get(made[0].id) is None
    assert kept.get(made[1].id) is made[1]
