"""What stays of a batch, and the picture of its timings."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest

from replicate_magic.prediction import Prediction
from replicate_magic.tally import Entry, Tally
from replicate_magic.views.comparison import bundle, live_html, summary, table_text
from replicate_magic.views.timings import bars_of, timings_svg

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e & <img src=x onerror=y>"


def stamp(seconds):
    return (BEGAN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def entry(number, *, model="acme/poet", output="Hello", status="succeeded", **values):
    raw = {
        "id": f"id{number}", "status": status, "output": output,
        "metrics": {"predict_time": 1.5, "tokens_per_second": 40.0},
        "created_at": stamp(number), "started_at": stamp(number + 1),
        "completed_at": stamp(number + 2.5),
    }  # fmt: skip
    prediction = Prediction(model=model, raw=raw)
    params = {"temperature": number / 10}
    given = {"prompt": f"prompt {number}", "params": params, "phase": "done", **values}
    return Entry(number=number, model=model, prediction=prediction, **given)


def tally_of(*entries, total=None):
    tally = Tally("abc123", len(entries) if total is None else total, 100.0)
    for one in entries:
        tally.add(one)
    return tally


def test_the_line_tells_how_far_it_is_and_when_it_ends():
    tally = tally_of(entry(0), entry(1, phase="running"), entry(2, phase="waiting"), total=4)
    tally.tell("rate limit, again in 8 s")

    told = summary(tally, 110.0)
    assert told.startswith("1 of 4 done · 1 succeeded · 1 running · 1 waiting · about 30 s left")
    assert told.endswith("rate limit, again in 8 s")


def test_a_batch_without_a_number_tells_no_end():
    tally = Tally("abc123", None, 100.0)
    tally.add(entry(0))

    assert summary(tally, 110.0) == "1 done · 1 succeeded"


def test_the_table_has_a_row_a_request():
    text = table_text(tally_of(entry(0), entry(1, status="failed", error="No.")))

    assert text.splitlines()[0].split() == ["status", "temperature", "prompt", "answer", "ran"]
    assert "Hello" in text
    assert "No." in text


def test_models_stand_side_by_side():
    same = {"prompt": "hi", "params": {}}
    both = tally_of(
        entry(0, model="acme/a", output="from a", **same),
        entry(1, model="acme/b", output="from b", **same),
    )
    markup = bundle(both, "", answers=True, status=True)["text/html"]
    head, body = markup.split("<tbody>")

    assert head.index("acme/a") < head.index("acme/b")
    assert body.count("<tr>") == 1
    assert body.index("from a") < body.index("from b")


def test_what_is_too_much_is_cut_and_what_failed_is_among_what_is_shown():
    entries = [entry(n) for n in range(300)]
    entries[299] = entry(299, status="failed", error="The last one failed.")
    shown = bundle(tally_of(*entries), "1 of 300 failed", answers=True, status=True)

    assert "The last one failed." in shown["text/html"]
    assert "276 more rows" in shown["text/html"]
    assert "276 more rows" in shown["text/plain"]
    assert len(shown["text/html"]) < 60_000


@pytest.mark.parametrize("field", ["output", "model", "prompt", "error", "param", "why"])
def test_hostile_text_is_text(field):
    values = {"prompt": HOSTILE} if field == "prompt" else {}
    if field == "output":
        values["output"] = HOSTILE
    if field == "model":
        values["model"] = HOSTILE
    if field == "error":
        values |= {"status": "failed", "error": HOSTILE}
    if field == "param":
        values["params"] = {HOSTILE: HOSTILE}
    tally = tally_of(entry(0, **values), entry(1))
    why = HOSTILE if field == "why" else ""
    shown = bundle(tally, why, answers=True, status=True)
    live = live_html(tally_of(entry(0, **{**values, "phase": "running"}), entry(1)), 110.0)

    for markup in (shown["text/html"], live):
        assert "<script" not in markup
        assert "<img src=x" not in markup
    assert "\x1b" not in shown["text/plain"]


def test_an_answer_that_is_long_can_be_opened():
    markup = bundle(tally_of(entry(0, output="word " * 1_000)), "", answers=True, status=False)

    assert "<details>" in markup["text/html"]
    assert len(markup["text/html"]) < 6_000


def test_what_history_answered_says_so():
    from dataclasses import replace

    one = entry(0)
    one = replace(one, prediction=replace(one.prediction, age_s=4e5), reused=True)

    assert "from history, 4 days old" in table_text(tally_of(one))


def test_the_picture_has_a_bar_a_request_in_the_times_of_the_api():
    entries = [entry(0), entry(1), entry(2, status="failed", error="No.")]
    bars = bars_of(entries)
    picture = ET.fromstring(timings_svg(entries))

    assert [(one.created_s, one.started_s, one.ended_s) for one in bars] == [
        (0.0, 1.0, 2.5), (1.0, 2.0, 3.5), (2.0, 3.0, 4.5),
    ]  # fmt: skip
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}rect")) == 6


def test_a_model_with_a_hostile_name_stays_a_title_in_the_picture():
    picture = timings_svg([entry(0, model='"><script>x</script>'), entry(1)])

    assert ET.fromstring(picture) is not None
    assert "<script" not in picture


@pytest.mark.parametrize("many", [0, 1, 61])
def test_there_is_no_picture_of_nothing_or_of_too_many(many):
    assert timings_svg([entry(n) for n in range(many)]) == ""


def test_what_has_no_times_has_no_bar():
    assert bars_of([entry(0, phase="waiting"), Entry(number=1, model="acme/poet")]) == bars_of(
        [entry(0, phase="waiting")]
    )
