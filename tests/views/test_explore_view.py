"""The explorer's page: what it is sent of a table, what it says back, what a saved file shows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from replicate_magic.errors import CellError, HistoryError
from replicate_magic.views.explore import (
    MOST_ROWS,
    ExploreView,
    Findings,
    Question,
    opened,
    static_bundle,
)

WIDGET = "application/vnd.jupyter.widget-view+json"
HOSTILE = '<img src=x onerror="alert(1)">'
RUN = {
    "id": "abc",
    "model": "acme/poet",
    "status": "succeeded",
    "input": {"prompt": "Write."},
    "output": ["Once ", "upon"],
    "metrics": {"predict_time": 2.5},
    "urls": {"web": "https://replicate.com/p/abc"},
}


class Asked:
    """Who stands behind the view, and what was asked of it."""

    def __init__(self):
        self.questions, self.more = [], 0

    def open_row(self, position):
        if position > 9:
            raise HistoryError("it is gone")
        return json.dumps({**RUN, "id": f"run{position}"})

    def keep(self, name):
        if not name:
            raise CellError("it has no name")
        return f"`{name}` holds 1 run"

    def add_more(self):
        self.more += 1


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def view(asked, comms, displayed):
    shown = ExploreView(
        ask=asked.questions.append,
        more=asked.add_more,
        open_row=asked.open_row,
        keep=asked.keep,
    )
    yield shown
    shown.close()
    assert not comms.are_open


@pytest.fixture
def page(view, comms):
    [comm] = comms.cards
    return comm


def found(*names, number=0, **more):
    rows = tuple((position, ("succeeded", name)) for position, name in enumerate(names))
    given = {"columns": ("status", "model"), "matched": len(rows), "total": 9, **more}
    return Findings(number=number, rows=rows, **given)


def tables(page):
    return [content["table"] for content, _ in page.frames if "table" in content]


def last(page):
    content, _ = page.frames[-1]
    return content


# -- frames -----------------------------------------------------------------------------------


def test_a_table_is_sent_once_and_then_what_is_new_of_it(view, page):
    view.draw(found("a", "b", matched=3, done=False, searched=5))
    view.draw(found("a", "b", "c", searched=9))
    first, second = tables(page)
    assert first["rows"] == [0, [[0, ["succeeded", "a"]], [1, ["succeeded", "b"]]]]
    assert (first["matched"], first["searched"], first["done"]) == (3, 5, False)
    assert second["rows"] == [2, [[2, ["succeeded", "c"]]]]
    assert (second["base"], second["edition"]) == (first["edition"], first["edition"] + 1)


def test_another_table_is_sent_whole(view, page):
    view.draw(found("a", "b"))
    view.draw(found("b"))
    assert tables(page)[-1]["rows"] == [0, [[0, ["succeeded", "b"]]]]


def test_an_old_answer_is_dropped(view, page):
    view.draw(found("a", number=2))
    view.draw(found("b", number=1))
    assert len(tables(page)) == 1


def test_no_trait_is_sent_by_itself(view, page):
    view.draw(found("a"))
    assert page.updates == 0


def test_a_page_that_comes_late_is_told_the_whole(view, page):
    view.draw(found("a", "b"))
    page.says(ask="news")
    assert last(page)["table"]["rows"] == [0, [[0, ["succeeded", "a"]], [1, ["succeeded", "b"]]]]
    state = view._explore.get_state()["table"]
    assert state["rows"] == [[0, ["succeeded", "a"]], [1, ["succeeded", "b"]]]
    assert state["edition"] == last(page)["table"]["edition"]


@pytest.mark.slow
def test_a_frame_is_some_tens_of_kilobytes_at_most(view, page):
    names = [f"{HOSTILE} \x1b[31m" * 10_000] * 100
    view.draw(found(*names, error="e" * 1_000_000, note="n" * 1_000_000))
    assert len(json.dumps(last(page))) < 100_000


def test_many_columns_share_what_room_there_is(view, page):
    cells = tuple("x" * 1000 for _ in range(30))
    rows = tuple((n, cells) for n in range(100))
    view.draw(Findings(number=0, columns=cells, rows=rows))
    assert len(json.dumps(last(page))) < 100_000


def test_what_a_terminal_or_json_cannot_take_is_made_visible(view, page):
    view.draw(found("a\x1b[31m\nb\ud800", error="one\n  two\r"))
    table = last(page)["table"]
    assert table["rows"][1][0][1][1] == "a␛[31m b\ufffd"
    assert table["error"] == "one\n  two\n"


def test_more_is_offered_up_to_a_limit():
    assert found("a", matched=2).can_show_more
    assert not found("a").can_show_more
    assert not found(*["a"] * MOST_ROWS, matched=10_000).can_show_more


# -- what the page says -----------------------------------------------------------------------


def test_a_question_is_handed_on(asked, page):
    page.says(ask="find", program=".a", mode="map", number=3)
    assert asked.questions == [Question(program=".a", mode="map", number=3)]


def test_the_question_is_told_with_its_answer(view, page):
    page.says(ask="find", program=".a", mode="map", number=1)
    view.draw(found("a", number=0))
    assert (last(page)["table"]["program"], last(page)["table"]["asked"]) == ("", 1)
    view.draw(found("a", number=1))
    assert (last(page)["table"]["program"], last(page)["table"]["mode"]) == (".a", "map")


def test_of_two_pages_that_count_alike_the_later_is_the_newer(asked, page):
    page.says(ask="find", program=".a", mode="filter", number=1)
    page.says(ask="find", program=".b", mode="filter", number=1)
    assert [question.number for question in asked.questions] == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"ask": "find"},
        {"ask": "find", "program": 1, "mode": "map", "number": 1},
        {"ask": "find", "program": ".", "mode": "map", "number": "1"},
        {"ask": "open", "position": "1"},
        {"ask": "keep"},
        {"ask": "what?"},
    ],
)
def test_what_makes_no_sense_is_passed_over(asked, page, content):
    page.says(**content)
    assert (asked.questions, page.frames) == ([], [])


def test_an_unknown_mode_is_a_filter(asked, page):
    page.says(ask="find", program=".", mode="what?", number=1)
    assert asked.questions[0].mode == "filter"


def test_more_is_asked_for(asked, page):
    page.says(ask="more")
    assert asked.more == 1


def test_a_variable_is_told_or_why_there_is_none(page):
    page.says(ask="keep", name="x")
    assert last(page)["kept"] == {"said": "`x` holds 1 run", "failed": False}
    page.says(ask="keep", name="")
    assert last(page)["kept"] == {"said": "it has no name", "failed": True}


# -- a run ------------------------------------------------------------------------------------


def test_a_run_is_told_with_what_is_read_first(page):
    page.says(ask="open", position=4)
    run = last(page)["opened"]
    assert (run["position"], run["status"], run["name"]) == (4, "succeeded", "acme/poet")
    assert (run["prompt"], run["output"], run["error"]) == ("Write.", "Once upon", "")
    assert run["facts"] == ["run4", "ran 2.5 s"]
    assert run["page"] == "https://replicate.com/p/abc"
    assert '"id": "run4"' in run["json"]


def test_a_run_that_cannot_be_read_is_told(page):
    page.says(ask="open", position=10)
    assert last(page)["opened"] == {"position": 10, "failed": "it is gone"}


@pytest.mark.parametrize("text", ["", "[1]", "nonsense", "[" * 100_000, '{"input": 1}', "{}"])
def test_what_is_no_prediction_is_shown_as_it_is(text):
    assert opened(text)["json"].startswith(text[:100])


def test_inputs_without_a_prompt_are_shown_whole():
    assert '"text": "a"' in opened(json.dumps({**RUN, "input": {"text": "a"}}))["prompt"]


def test_files_are_told_by_their_addresses():
    urls = ["https://replicate.delivery/1.png", "https://replicate.delivery/2.png"]
    assert opened(json.dumps({**RUN, "output": urls}))["output"] == "\n".join(urls)


def test_a_link_is_only_one_for_people():
    run = {**RUN, "urls": {"web": "javascript:alert(1)"}}
    assert opened(json.dumps(run))["page"] == ""


def test_a_large_run_is_told_by_its_start():
    run = {**RUN, "output": "x" * 5_000_000, "input": {"prompt": "y" * 5_000_000}}
    told = opened(json.dumps(run))
    assert len(json.dumps(told)) < 100_000
    assert "more characters" in told["json"]
    assert "4,990,000 more characters" in told["output"]


# -- what is displayed ------------------------------------------------------------------------


def test_it_is_displayed_with_what_reads_well_without_it(view, displayed):
    view.draw(replace(found("a", HOSTILE), total=9))
    view.show()
    [output] = displayed()
    assert {"text/plain", "text/html", WIDGET} <= set(output.data)
    assert output.data["text/plain"].splitlines()[0] == "2 of 9 runs"
    assert "<img" not in output.data["text/html"]
    assert "&lt;img" in output.data["text/html"]


def test_the_caller_may_say_what_is_shown_without_it(view, displayed):
    view.show({"text/plain": "9 runs", "text/html": "<b>9</b> runs"})
    [output] = displayed()
    assert (output.data["text/plain"], output.data["text/html"]) == ("9 runs", "<b>9</b> runs")
    assert WIDGET in output.data


def test_what_is_closed_leaves_the_first_rows(view, displayed):
    view.draw(found("a"))
    view.show()
    view.draw(found("a", "b"))
    view.close()
    output = displayed()[-1]
    assert set(output.data) == {"text/plain", "text/html"}
    assert output.data["text/plain"].startswith("2 of 9 runs\nstatus     model\nsucceeded  a")


def test_of_many_rows_a_file_has_the_first():
    bundle = static_bundle(found(*map(str, range(50)), matched=70, total=80))
    assert bundle["text/plain"].splitlines()[0] == "70 of 80 runs; the first 10:"
    assert len(bundle["text/plain"].splitlines()) == 12
    assert bundle["text/html"].count("<tr>") == 11


def test_without_rows_a_file_has_a_sentence():
    bundle = static_bundle(Findings(number=0))
    assert bundle["text/plain"] == "0 of 0 runs"
    assert "<table>" not in bundle["text/html"]
