"""The picture of when the requests of a batch ran: what it shows, and that it is only a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from made_batch import HOSTILE, ended, running, unsent, waiting

from replicate_magic.views.timings import MOST_BARS, bars_of, timings_svg

NS = "{http://www.w3.org/2000/svg}"
QUIET = {"svg", "title", "rect", "path", "text"}
GREY = "#86868680"
RED = "#e05252"


def drawn(entries):
    return ET.fromstring(timings_svg(entries))


def bars(root):
    """The bars without the squares of the legend."""
    return [one for one in root.iter(f"{NS}rect") if one.get("width") != "9"]


def words(root):
    return [one.text for one in root.iter(f"{NS}text")]


def test_each_request_waited_and_ran_by_the_clock_of_replicate():
    first, second = bars_of([ended(0), ended(1, at_s=4.0, queued_s=1.0, ran_s=3.0)])

    assert (first.created_s, first.started_s, first.ended_s) == (0.0, 0.5, 2.0)
    assert (second.created_s, second.started_s, second.ended_s) == (4.0, 5.0, 8.0)


def test_a_bar_is_as_long_as_the_time_it_stands_for():
    root = drawn([ended(0, queued_s=1.0, ran_s=3.0), ended(1, at_s=4.0, queued_s=1.0, ran_s=3.0)])
    waited, ran, *_ = bars(root)

    assert waited.get("fill") == GREY
    assert float(ran.get("width")) == pytest.approx(3 * float(waited.get("width")), abs=0.2)
    assert float(ran.get("x")) == pytest.approx(
        float(waited.get("x")) + float(waited.get("width")), abs=0.2
    )


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [ended(0)],
        [ended(0), running(1), waiting(2), unsent(3)],
        [ended(0), ended(1, age_s=60.0)],  # of another time
        [ended(0), ended(1, completed_at=None)],
        [ended(0), ended(1, completed_at="2020-01-01T00:00:00Z")],
        [ended(0), ended(1, created_at="nonsense")],
    ],
)
def test_where_fewer_than_two_have_times_there_is_no_picture(entries):
    assert timings_svg(entries) == ""


def test_what_went_wrong_is_told_by_its_colour_and_a_word():
    root = drawn([ended(0), ended(1, None, status="failed", error="no")])

    assert RED in [bar.get("fill") for bar in bars(root)]
    assert {"queued", "ran", "failed"} <= set(words(root))


def test_models_are_told_apart_by_name_and_colour():
    root = drawn([ended(n, model=f"acme/{'ab'[n % 2]}") for n in range(6)])
    colours = {bar.get("fill") for bar in bars(root)} - {GREY}

    assert len(colours) == 2
    assert {"acme/a", "acme/b"} <= set(words(root))


def test_of_one_that_never_began_only_the_wait_is_drawn():
    (bar,) = bars_of([ended(0, None, status="canceled", error="x", started_at=None)])

    assert (bar.started_s, bar.ended_s) == (2.0, 2.0)


def test_of_many_it_is_counted_how_long_they_ran():
    many = [
        ended(n, model=f"acme/{'ab'[n % 2]}", ran_s=1 + n % 7, metrics={}) for n in range(1_000)
    ]
    root = drawn(many)

    assert "500 · median 4.0 s" in words(root)
    assert len(bars(root)) < 200


@pytest.mark.parametrize("number", [2, 12, 13, MOST_BARS, MOST_BARS + 1, 100_000])
def test_the_picture_is_small_however_many_they_are(number):
    one = ended(0)
    svg = timings_svg([one] * number)
    root = ET.fromstring(svg)

    assert len(svg) < 16_000
    assert root.get("width") == "640"
    assert 40 < int(root.get("height")) < 240


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.003, 0.4, 59, 61, 3_700, 200_000, 3e7])
def test_times_of_any_length_have_an_axis_with_few_marks(seconds):
    root = drawn([ended(0, queued_s=0.0, ran_s=seconds), ended(1, queued_s=0.0, ran_s=seconds / 2)])
    marks = list(root.iter(f"{NS}path"))

    assert 1 <= len(marks) <= 7
    assert "0 s" in words(root)


def test_all_stays_within_the_picture():
    names = ["acme/" + "m" * 60, "b", "acme/other"]
    root = drawn([ended(n, model=names[n % 3], at_s=n) for n in range(50)])

    for bar in root.iter(f"{NS}rect"):
        assert float(bar.get("x")) >= 0
        assert float(bar.get("x")) + float(bar.get("width")) <= 641


@pytest.mark.parametrize("number", [4, 100])
def test_hostile_names_are_text(number):
    root = drawn(
        [
            ended(n, model=f"{HOSTILE}\uffff", params={HOSTILE: f"{HOSTILE}\0{n}"})
            for n in range(number)
        ]
    )

    assert {one.tag.removeprefix(NS) for one in root.iter()} <= QUIET
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]
    assert "href" not in timings_svg([ended(0), ended(1)])
