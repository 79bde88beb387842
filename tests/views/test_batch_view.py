"""The live table of a batch: what the page is told and says, and what is left in its place."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from made_batch import HOSTILE, ended, running, tally_of, waiting

from replicate_magic.views import Look, NoBatchView, batch, choose_batch, close_batch
from replicate_magic.views.batch import BatchTable, LiveBatchView
from replicate_magic.views.batch_text import StaticBatchView, TextBatchView

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def _no_table_is_left(comms):
    yield
    batch.close()


@pytest.fixture
def tally():
    return tally_of([ended(0), running(1, text="Once"), waiting(2)])


@pytest.fixture
def heard():
    return []


@pytest.fixture
def view(heard, comms, displayed):
    """A view that keeps what it was told by its page."""
    made = LiveBatchView(Look())
    made.on_cancel(lambda number: heard.append(("cancel", number)))
    made.on_look(lambda number, looks: heard.append(("look", number, looks)))
    return made


def end(tally):
    for entry in list(tally.entries):
        if entry.phase != "done":
            tally.change(entry.number, phase="done", prediction=ended(entry.number).prediction)
    tally.ended_s = tally.began_s + 3
    return tally


def contents(comms):
    return [content for content, _ in comms.cards[0].frames]


# -- shown, updated, replaced -----------------------------------------------------------------


def test_a_batch_is_displayed_once_and_then_updated_in_its_place(view, tally, comms, displayed):
    for _ in range(3):
        view.update(tally)
    view.close(end(tally))
    first, second = displayed()

    assert not first.update
    assert second.update
    assert first.transient["display_id"] == second.transient["display_id"]
    assert len(comms.cards) == 1


def test_while_it_runs_the_widget_is_shown_and_a_text_for_who_has_none(view, tally, displayed):
    view.update(tally)
    (first,) = displayed()

    assert WIDGET in first.data
    assert first.data["text/plain"] == "3 requests on their way: batch 3f9ac0d1e2b4"


def test_what_stays_is_a_document_and_no_widget(view, tally, displayed):
    view.update(tally)
    view.close(end(tally), why="1 of 3 did not succeed")
    left = displayed()[-1].data

    assert set(left) == {"text/plain", "text/html"}
    assert "1 of 3 did not succeed" in left["text/plain"]
    assert "1 of 3 did not succeed" in left["text/html"]


def test_only_what_is_new_is_sent(view, tally, comms):
    for _ in range(5):
        view.update(tally)
    tally.change(2, phase="running")
    for _ in range(5):
        view.update(tally)

    assert [[row[0] for row in frame["rows"]] for frame in contents(comms)] == [[0, 1, 2], [2]]
    assert comms.cards[0].updates == 0


def test_the_page_is_told_the_end_before_the_table_goes(view, tally, comms):
    view.update(tally)
    view.close(end(tally))
    last = contents(comms)[-1]

    assert last["facts"]["over"]
    assert last["facts"]["ended"] == 3
    assert not last["behind"]


def test_closed_twice_it_leaves_one_document(view, tally, displayed):
    view.update(tally)
    view.close(end(tally))
    view.close(tally)
    _, second, third = displayed()

    assert second.data == third.data


def test_a_batch_that_ends_before_it_is_drawn_leaves_one_display(view, tally, comms, displayed):
    view.close(end(tally))
    (only,) = displayed()

    assert not only.update
    assert comms.cards == []


def test_where_nothing_is_to_stay_the_place_is_empty(view, tally, comms, displayed):
    view.update(tally)
    view.close(None)

    assert displayed()[-1].data == {"text/plain": "", "text/html": ""}
    assert not comms.are_open


def test_an_interrupt_while_it_is_closed_is_raised_once_it_is(view, tally, displayed):
    view.update(tally)
    closed = []

    class Interrupted:
        def close(self, tally, *, why=""):
            closed.append(why)
            if len(closed) == 1:
                raise KeyboardInterrupt
            view.close(tally, why=why)

    with pytest.raises(KeyboardInterrupt):
        close_batch(Interrupted(), end(tally), why="why")
    assert closed == ["why", "why"]
    assert set(displayed()[-1].data) == {"text/plain", "text/html"}


def test_the_last_tables_stay_open_and_those_before_them_are_closed(comms, displayed):
    for _ in range(7):
        view = LiveBatchView(Look())
        tally = tally_of([running(0)])
        view.update(tally)
        view.close(end(tally))

    assert [one.is_open for one in comms.cards] == [False] * 2 + [True] * 5
    batch.close()
    assert not comms.are_open


# -- what the page says -----------------------------------------------------------------------


def test_clicks_on_cancel_are_acknowledged_and_handed_on(view, tally, comms, heard):
    view.update(tally)
    page = comms.cards[0]
    page.says(ask="cancel", number=1)
    page.says(ask="cancel", number=None)

    assert heard == [("cancel", 1), ("cancel", None)]
    assert contents(comms)[-2:] == [{"heard": 1}, {"heard": None}]


def test_a_row_that_is_opened_is_looked_at_until_it_is_shut(view, tally, comms, heard):
    view.update(tally)
    page = comms.cards[0]
    page.says(ask="look", number=1, known=0)
    assert contents(comms)[-1]["answers"][0]["text"] == "Once"
    page.says(ask="look away", number=1)

    assert heard == [("look", 1, True), ("look", 1, False)]


def test_what_opens_too_many_shuts_the_first(view, comms, heard):
    view.update(tally_of(running(n) for n in range(9)))
    for n in range(9):
        comms.cards[0].says(ask="look", number=n, known=0)

    assert heard[-1] == ("look", 0, False)
    assert [call for call in heard if not call[2]] == [("look", 0, False)]


@pytest.mark.parametrize(
    "said",
    [
        {"ask": "cancel"},
        {"ask": "cancel", "number": "1"},
        {"ask": "look", "number": 99, "known": 0},
        {"ask": "look", "number": -1, "known": 0},
        {"ask": "look", "number": None, "known": 0},
        {"ask": "news", "from": None},
        {"ask": "else"},
        {},
    ],
)
def test_what_makes_no_sense_is_passed_over(view, tally, comms, heard, said):
    view.update(tally)
    page, before = comms.cards[0], len(comms.cards[0].frames)
    page.says(**said)

    assert heard == []
    assert len(page.frames) == before


def test_a_page_that_missed_something_asks_for_all_in_pieces(view, comms):
    view.update(tally_of(ended(n) for n in range(250)))
    page = comms.cards[0]
    firsts = [0]
    while firsts[-1] is not None:
        page.says(ask="news", **{"from": firsts[-1]})
        firsts.append(contents(comms)[-1]["next"])

    assert firsts == [0, 100, 200, None]


def test_a_page_that_comes_late_begins_with_what_is_known(view, tally, comms):
    view.update(tally)
    tally.change(1, prediction=running(1, text="Once upon").prediction)
    view.update(tally)
    state = json.loads(json.dumps(view._table.get_state()["table"]))

    assert [row[0] for row in state["rows"]] == [0, 1, 2]
    assert state["rows"][1][6] == "Once upon"
    assert state["whole"] == 2


def test_a_page_that_comes_after_the_end_is_shown_the_document(view, tally, comms, displayed):
    view.update(tally)
    view.close(end(tally))
    state = view._table.get_state()
    comms.cards[0].says(ask="end")

    assert state["html"] == displayed()[-1].data["text/html"] == contents(comms)[-1]["html"]
    assert state["table"]["facts"]["over"]
    assert state["table"]["rows"] == []


def test_after_the_end_a_click_means_nothing(view, tally, comms, heard):
    view.update(tally)
    view.close(end(tally))
    for said in ({"ask": "cancel", "number": 1}, {"ask": "look", "number": 1, "known": 0}):
        comms.cards[0].says(**said)

    assert heard == []


def test_the_kernel_that_is_installed_takes_clicks_where_they_come(comms, tally):
    class Comm(comms.kind):
        _reply_subshell_for = "a hook"

    comms.kind = Comm
    BatchTable(tally, answers=True)

    assert comms.cards[0]._reply_subshell_for is None


# -- looks ------------------------------------------------------------------------------------


def test_a_table_that_is_to_stay_goes_on_answering(comms, displayed):
    view, tally = LiveBatchView(Look(keep_widget=True)), tally_of(running(n) for n in range(250))
    view.update(tally)
    view.close(end(tally), why="1 of 250 did not succeed")
    left, last = displayed()[-1].data, contents(comms)[-1]
    comms.cards[0].says(ask="look", number=249, known=0)

    assert {WIDGET, "text/html"} <= set(left)
    assert last["facts"]["note"] == "1 of 250 did not succeed"
    assert last["behind"]  # the page asks for the rest, at its own pace
    assert contents(comms)[-1]["answers"][0]["text"] == "Hello world"
    assert comms.cards[0].is_open


def test_where_answers_are_not_shown_none_is_sent_or_streamed(comms, displayed, heard):
    view, tally = LiveBatchView(Look(answer=False)), tally_of([running(0, text="secret")])
    view.on_look(lambda *said: heard.append(said))
    view.update(tally)
    comms.cards[0].says(ask="look", number=0, known=0)
    tally.change(0, phase="done", prediction=ended(0, "secret").prediction)
    view.update(tally)
    view.close(tally)

    assert "secret" not in json.dumps(contents(comms))
    assert "secret" not in json.dumps(displayed()[-1].data)
    assert heard == []


def test_hostile_text_is_sent_as_text_that_is_safe_to_print(view, comms, displayed):
    tally = tally_of([ended(0, HOSTILE, prompt=HOSTILE), ended(1, None, status="failed",
                      error=HOSTILE)])  # fmt: skip
    view.update(tally)
    comms.cards[0].says(ask="look", number=0, known=0)
    view.close(tally)
    told = json.dumps([contents(comms), displayed()[-1].data], ensure_ascii=False)

    assert not {"\u202e", "\u2066"} & set(told)
    assert "<script>" not in displayed()[-1].data["text/html"]


def test_messages_are_few_however_fast_the_batch_is(view, comms):
    tally = tally_of(waiting(n) for n in range(3_000))
    updates = 40
    for n in range(updates):
        for number in range(n * 50, (n + 1) * 50):
            tally.change(number, phase="done", prediction=ended(number).prediction)
        view.update(tally)
    sizes = [len(json.dumps(frame)) for frame in contents(comms)]

    assert len(sizes) == updates
    assert max(sizes) < 60_000
    assert all(one["number"] + 1 == other["number"] for one, other in pairwise(contents(comms)))


# -- who is watching --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "background", "kind"),
    [
        ("browser", False, LiveBatchView),
        ("browser", True, LiveBatchView),
        ("headless", False, StaticBatchView),
        ("terminal", False, TextBatchView),
        ("plain", False, TextBatchView),
        ("terminal", True, NoBatchView),
        ("plain", True, NoBatchView),
    ],
)
def test_the_view_is_that_of_whoever_is_watching(place, background, kind):
    assert type(choose_batch(Look(), place, background=background)) is kind


def test_who_wants_nothing_is_shown_nothing():
    look = Look(answer=False, status=False)

    assert isinstance(choose_batch(look, "browser"), NoBatchView)
