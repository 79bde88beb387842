"""Bytes of an event stream, cut anywhere, become the same events."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicate_magic.api.sse import EventDecoder, ServerEvent

STREAM = (
    "\ufeff: hi\n\n"
    "event: output\nid: 1690212292:0\ndata: Grüße 🎉\n\n"
    "event: output\r\nid: 1690212292:1\r\ndata: two\r\ndata: lines\r\n\r\n"
    "event: output\rid: 1690212292:2\rdata:  led by a blank\r\r"
    "id: 1690212292:3\nevent: done\ndata: {}\n\n"
).encode()
EVENTS = [
    ServerEvent(name="output", data="Grüße 🎉", id="1690212292:0"),
    ServerEvent(name="output", data="two\nlines", id="1690212292:1"),
    ServerEvent(name="output", data=" led by a blank", id="1690212292:2"),
    ServerEvent(name="done", data="{}", id="1690212292:3"),
]


def decoded(*pieces):
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def data_of(*pieces):
    return [event.data for event in decoded(*pieces)]


def split(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def test_a_whole_stream_gives_its_events():
    assert decoded(STREAM) == EVENTS


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_stream_cut_at_any_byte_gives_the_same_events(at):
    assert decoded(STREAM[:at], STREAM[at:]) == EVENTS


def test_a_stream_that_comes_byte_by_byte_gives_the_same_events():
    assert decoded(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS


@given(cuts=st.lists(st.integers(min_value=0)))
def test_a_stream_cut_anywhere_gives_the_same_events(cuts):
    assert decoded(*split(STREAM, cuts)) == EVENTS


fragments = st.sampled_from([b"data", b":", b" ", b"id", b"\r", b"\n", b"x"])


@given(data=st.lists(fragments).map(b"".join), cuts=st.lists(st.integers(min_value=0)))
def test_any_bytes_cut_anywhere_give_the_same_events(data, cuts):
    assert decoded(*split(data, cuts)) == decoded(data)


@given(st.binary())
def test_no_bytes_at_all_raise_an_error(data):
    decoded(data)


def test_empty_pieces_change_nothing():
    assert decoded(b"", b"data: a\r", b"", b"\n", b"", b"data: b\r\n\r", b"", b"\n") == decoded(
        b"data: a\r\ndata: b\r\n\r\n"
    )


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_at_lf_cr_and_crlf(end):
    assert data_of(end.join([b"data: a", b"data: b", b"", b""])) == ["a\nb"]


@pytest.mark.parametrize(
    "char", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x00"]
)
def test_other_separators_are_no_line_ends(char):
    assert data_of(f"data: a{char}data: b\n\n".encode()) == [f"a{char}data: b"]


def test_a_byte_order_mark_is_passed_over_at_the_beginning_only():
    mark = "\ufeff".encode()
    assert data_of(mark + b"data: a\n\n" + mark + b"data: lost\n\ndata: " + mark + b"\n\n") == [
        "a",
        "\ufeff",
    ]


def test_a_newline_token_is_two_empty_data_lines():
    assert data_of(b"data:\ndata:\n\n") == ["\n"]


def test_an_empty_data_line_is_an_event_with_no_text():
    assert data_of(b"data\n\n", b"data:\n\n", b"data: \n\n") == ["", "", ""]


def test_one_blank_after_the_colon_is_no_part_of_the_data():
    assert data_of(b"data:a\n\n", b"data: a\n\n", b"data:  a\n\n") == ["a", "a", " a"]


def test_colons_in_the_data_stay():
    assert data_of(b"data: https://example.com:80\n\n") == ["https://example.com:80"]


def test_comments_and_unknown_fields_are_passed_over():
    assert data_of(b": hi\n:\nretry: 10\nnovelty: x\ndata: a\n: 408 Request Timeout\n\n") == ["a"]


def test_an_unknown_event_is_given_with_its_name():
    assert decoded(b"event: metric\ndata: 1\n\n") == [ServerEvent(name="metric", data="1", id="")]


def test_an_event_without_a_name_is_a_message():
    assert decoded(b"data: 1\n\n")[0].name == "message"


def test_a_name_holds_for_one_event():
    assert [one.name for one in decoded(b"event: done\n\ndata: 1\n\n")] == ["message"]


def test_an_event_without_its_blank_line_is_not_given():
    assert decoded(b"data: a\n\ndata: lost\n") == [ServerEvent(name="message", data="a", id="")]


def test_broken_utf8_is_replaced():
    assert data_of(b"data: a\xff\xe2\x82\n\n") == ["a\ufffd\ufffd"]


# -- ids ----------------------------------------------------------------------------------------


def last_id(data):
    decoder = EventDecoder()
    decoder.feed(data)
    return decoder.last_id


def test_a_stream_without_ids_has_no_last_id():
    assert last_id(b"data: a\n\n") == ""


def test_an_id_holds_until_the_next():
    events = decoded(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n")
    assert [event.id for event in events] == ["1", "1", "2"]


def test_an_empty_id_takes_the_last_id_away():
    assert last_id(b"id: 1\ndata: a\n\nid\ndata: b\n\n") == ""


def test_an_id_with_nul_is_passed_over():
    assert last_id(b"id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n") == "1"


def test_the_id_of_an_event_that_was_not_completed_is_not_the_last():
    assert last_id(b"id: 1\ndata: a\n\nid: 2\ndata: b\n") == "1"


def test_an_id_counts_without_data_too():
    assert last_id(b"id: 1\n\n") == "1"


# -- cost ---------------------------------------------------------------------------------------


def seconds_for(size_bytes):
    """The least of three tries to take one token of this size in pieces of 16 bytes."""
    data = b"data: " + b"x" * size_bytes + b"\n\n"
    pieces = [data[at : at + 16] for at in range(0, len(data), 16)]
    times = []
    for _ in range(3):
        began_s = time.perf_counter()
        assert len(data_of(*pieces)[0]) == size_bytes
        times.append(time.perf_counter() - began_s)
    return min(times)


def test_the_cost_of_a_megabyte_token_in_many_pieces_is_linear():
    large_s, small_s = (min(map(seconds_for, [size] * 3)) for size in (1_000_000, 100_000))
    assert large_s < 30 * small_s
