"""The live card: what the page is sent, what it is sent again, and what is left in its place."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ipykernel.comm.comm import BaseComm

from replicate_magic.prediction import (
    CANCELING,
    Created,
    Fetched,
    Finished,
    Log,
    Moving,
    Output,
    OutputFile,
    Prediction,
    Retry,
    Update,
    fold,
)
from replicate_magic.views import Look, card
from replicate_magic.views import close as close_view
from replicate_magic.views.card import KEPT, Card, CardView, card_state
from replicate_magic.views.growing import GrowingLogs
from replicate_magic.views.html import document

WIDGET = "application/vnd.jupyter.widget-view+json"
WEB = "https://replicate.com/p/abc"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
STATE = {"phase": "running", "going": ["running", 1.5], "waiting": None, "over": False}
MIXED = "a😀é\u4e2d🎉b"
NONSENSE = [-1, -100, 10_000, "2", "x", None, 2.5, [], {}]


@pytest.fixture(autouse=True)
def _no_card_is_left(comms):
    yield
    card.close()


@pytest.fixture
def a_card(comms):
    return Card()


@pytest.fixture
def page(a_card, comms):
    """The page's end of `a_card`."""
    return comms.cards[0]


def units(text):
    """The length of a text as JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2


def cut(text, known):
    """What follows the first `known` units."""
    return text.encode("utf-16-le")[2 * known :].decode("utf-16-le")


def contents(page):
    return [content for content, _ in page.frames]


def values(page):
    """What a page has that was told every frame; no frame may leave a gap, or overlap."""
    known = {"text": "", "logs": "", "files": [], "state": None}
    for content, buffers in page.frames:
        if "edition" in content:
            known["text"] = ""
        for name in ("text", "logs"):
            offset, more = content.get(name, (units(known[name]), ""))
            assert offset == units(known[name])
            known[name] += more
        offset, more = content.get("files", (len(known["files"]), []))
        assert offset == len(known["files"])
        known["files"] += [{**file, "data": data} for file, data in zip(more, buffers, strict=True)]
        known["state"] = content.get("state", known["state"])
    return known


def picture(name="1", media_type="image/png", data=PNG):
    return OutputFile(
        url=f"https://x/{name}", media_type=media_type, size_bytes=len(data), preview=data
    )


def created(**raw):
    return Created(raw={"id": "abc", "status": "starting", **raw}, at_s=0.5)


def processing(at_s=1.5, **raw):
    return Update(raw={"id": "abc", "status": "processing", **raw}, at_s=at_s)


def finished(output=None, status="succeeded", **raw):
    return Finished(raw={"id": "abc", "status": status, "output": output, **raw}, at_s=9)


def said(*chunks, at_s=2.0):
    return Output(chunks=chunks, at_s=at_s)


def snapshots(*events, shape="chunks"):
    """The snapshot before any event, and after each."""
    latest = Prediction(model="a/b", shape=shape)
    yield latest
    for event in events:
        latest = fold(latest, event)
        yield latest


def last(*events, shape="chunks"):
    return [*snapshots(*events, shape=shape)][-1]


def run(*events, shape="chunks", why="", background=False, **look):
    """A whole run: each snapshot is drawn, and the last one closes the view."""
    view = CardView(Look(**look), background=background)
    for snapshot in snapshots(*events, shape=shape):
        view.update(snapshot)
    view.close(snapshot, why=why)
    return snapshot


HELLO = (created(), processing(), Log(text="one\n", at_s=1.6), said("He"), said("y 😀"))
PICTURES = (
    processing(),
    Update(raw={"status": "processing", "output": ["https://x/1", "https://x/2"]}, at_s=2),
    Fetched(file=picture("1"), at_s=3),
    Fetched(file=picture("2", "image/jpeg"), at_s=4),
)


# -- frames -----------------------------------------------------------------------------------


def test_a_frame_has_what_is_new_and_where_it_stands(a_card, page):
    a_card.tell(STATE, text="He", logs="one\n")
    a_card.tell(STATE, text="y")
    a_card.tell(STATE, logs="two\n")

    assert contents(page) == [
        {"text": [0, "He"], "logs": [0, "one\n"], "state": STATE},
        {"text": [2, "y"]},
        {"logs": [4, "two\n"]},
    ]


def test_offsets_count_as_the_page_does(a_card, page):
    for text in ("a😀", "\u4e2d", "🎉", "b"):
        a_card.tell(STATE, text=text, logs=text)

    assert [frame["text"][0] for frame in contents(page)] == [0, 3, 4, 6]
    assert [frame["logs"][0] for frame in contents(page)] == [0, 3, 4, 6]


def test_nothing_is_sent_where_nothing_is_new(a_card, page):
    for _ in range(3):
        a_card.tell(STATE)

    assert len(page.frames) == 1


def test_time_that_only_passes_is_not_sent(a_card, page):
    for seconds in (1.5, 2.5, 60.0):
        a_card.tell({**STATE, "going": ["running", seconds]})

    assert len(page.frames) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "streaming"},
        {"going": ["streaming", 0.0]},
        {"going": None},
        {"waiting": ["rate limited", 2.0]},
        {"over": True},
    ],
)
def test_a_state_that_has_changed_is_sent_whole(a_card, page, change):
    a_card.tell(STATE)
    a_card.tell({**STATE, **change})

    assert contents(page)[1:] == [{"state": {**STATE, **change}}]


def test_traits_are_never_sent_by_themselves(a_card, page):
    a_card.tell(STATE, text="He", logs="one\n", pictures=(picture(),))
    a_card.end(text="Hey", markup="<p>Hey</p>")

    assert page.updates == 0


def test_pictures_are_sent_once_as_buffers_beside_the_json(a_card, page):
    a_card.tell(STATE, pictures=(picture("1"), picture("2", "image/webp", b"RIFF")))
    a_card.tell(STATE, pictures=(picture("3", data=b"third"),))
    a_card.tell(STATE, text="x")

    (first, both), (second, one), (_, none) = page.frames
    described = {"type": "image/png", "data": None, "label": "https://x/1 (image/png, 16 B)"}
    assert first["files"][0] == 0
    assert first["files"][1][0] == described
    assert [file["type"] for file in first["files"][1]] == ["image/png", "image/webp"]
    assert (second["files"][0], len(second["files"][1])) == (2, 1)
    assert (both, one, none) == ([PNG, b"RIFF"], [b"third"], [])


def test_a_text_that_came_as_it_ends_is_not_sent_again(a_card, page):
    a_card.tell(STATE, text="Hey")
    a_card.end(text="Hey", markup="<p>Hey</p>")

    assert len(page.frames) == 1


def test_a_text_that_ends_as_another_is_sent_anew(a_card, page):
    a_card.tell(STATE, text="Hi 😀")
    a_card.end(text="Hey", markup="")
    a_card.tell(STATE, text="!")

    assert contents(page)[1:] == [{"text": [0, "Hey"], "edition": 1}, {"text": [3, "!"]}]
    assert a_card.get_state("text")["text"] == "Hey!"


# -- a page that comes late, or lacks something -----------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(alphabet="ab\n😀\u4e2d"), st.text(alphabet="c\n🎉")), max_size=6))
def test_a_late_page_gets_what_all_frames_told(told):
    late = Card()
    for number, (text, logs) in enumerate(told):
        late.tell({**STATE, "phase": str(number)}, text=text, logs=logs, pictures=(picture(),))

    state, known = late.get_state(), values(late.comm)
    assert {name: state[name] for name in ("text", "logs", "files")} == {
        name: known[name] for name in ("text", "logs", "files")
    }
    assert state["state"] == {**(known["state"] or {"over": False}), **_times(state["state"])}


def _times(state):
    """The part of a state that goes on by itself."""
    return {name: state[name] for name in ("going", "waiting") if name in state}


def test_a_late_page_gets_the_answer_as_markup_once_it_has_ended(a_card):
    a_card.end(text="Hey", markup="<p>Hey</p>")

    assert {name: a_card.get_state()[name] for name in ("text", "html")} == {
        "text": "Hey",
        "html": "<p>Hey</p>",
    }


@pytest.mark.parametrize("known", [0, 1, 3, 4, 5, 7, 8])
def test_a_page_is_sent_exactly_what_it_lacks(a_card, page, known):
    a_card.tell(STATE, text=MIXED[:3], logs=MIXED)
    a_card.tell(STATE, text=MIXED[3:])
    page.says(ask="news", text=known, logs=8 - known, files=0)

    frame = contents(page)[-1]
    assert frame["text"] == [known, cut(MIXED, known)]
    assert frame["logs"] == [8 - known, cut(MIXED, 8 - known)]


@settings(deadline=None)
@given(st.text(alphabet="ab😀\u4e2d"), st.integers(0, 20), st.integers(1, 5))
@example("😀", 1, 1)
def test_what_a_page_is_sent_ends_where_the_text_ends(text, known, size):
    lacking = Card()
    for start in range(0, len(text), size):
        lacking.tell(STATE, text=text[start : start + size])
    lacking.catch_up({"text": known})

    offset, more = lacking.comm.frames[-1][0]["text"]
    assert offset == (known if known <= units(text) else 0)
    assert offset + units(more) == units(text)


def test_a_page_is_sent_the_state_and_the_markup_too(a_card, page):
    a_card.tell({**STATE, "going": None, "over": True}, text="Hey")
    a_card.end(text="Hey", markup="<p>Hey</p>")
    page.says(ask="news", text=3, logs=0, files=0)

    assert contents(page)[-1] == {
        "state": {**STATE, "going": None, "over": True},
        "html": "<p>Hey</p>",
        "text": [3, ""],
        "logs": [0, ""],
    }


@pytest.mark.parametrize("known", NONSENSE, ids=repr)
def test_a_page_that_says_nonsense_is_sent_the_whole(a_card, page, known):
    a_card.tell(STATE, text=MIXED, logs="one\n")
    page.says(ask="news", text=known, logs=known, files=0)

    assert contents(page)[-1]["text"] == [0, MIXED]
    assert contents(page)[-1]["logs"] == [0, "one\n"]


def test_a_page_that_says_nothing_is_sent_the_whole(a_card, page):
    a_card.tell(STATE, text=MIXED, logs="one\n", pictures=(picture(),))
    page.says(ask="news")

    frame, buffers = page.frames[-1]
    assert (frame["text"], frame["logs"]) == ([0, MIXED], [0, "one\n"])
    assert (frame["files"][0], buffers) == (0, [PNG])


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_page_is_sent_the_pictures_that_it_lacks(a_card, page, known):
    a_card.tell(STATE, pictures=(picture("1", data=b"one"), picture("2", data=b"two")))
    page.says(ask="news", text=0, logs=0, files=known)

    frame, buffers = page.frames[-1]
    assert buffers == [b"one", b"two"][known:]
    if buffers:
        assert (frame["files"][0], len(frame["files"][1])) == (known, 2 - known)
    else:
        assert "files" not in frame


@pytest.mark.parametrize(
    "known",
    [
        *("2", "x", None, 2.5, [], {}),
        *(-1, 10_000),
    ],
    ids=repr,
)
def test_a_page_that_says_nonsense_is_sent_all_pictures(a_card, page, known):
    a_card.tell(STATE, pictures=(picture("1", data=b"one"), picture("2", data=b"two")))
    page.says(ask="news", text=0, logs=0, files=known)

    frame, buffers = page.frames[-1]
    assert buffers == [b"one", b"two"]
    assert frame["files"][0] == 0


@pytest.mark.parametrize("end", ["Hey", "H"], ids=["longer", "shorter"])
def test_a_page_that_missed_that_the_text_is_another_is_told_so(a_card, page, end):
    a_card.tell(STATE, text="Hi")
    a_card.end(text=end, markup="")
    page.says(ask="news", text=2, logs=0, files=0)

    frame = contents(page)[-1]
    assert (frame["text"], frame["edition"]) == ([0, end], 1)


def test_a_page_that_comes_late_is_told_the_time_as_of_now(a_card):
    began_s = time.monotonic()
    a_card.tell({**STATE, "going": ["running", 1.5], "waiting": ["rate limited", 9.0]})
    told_s = time.monotonic()
    time.sleep(0.2)
    asked_s = time.monotonic()
    now = a_card.state_now()
    passed_s = time.monotonic() - began_s

    assert 1.5 + asked_s - told_s <= now["going"][1] <= 1.5 + passed_s
    assert 9.0 - passed_s <= now["waiting"][1] <= 9.0 - (asked_s - told_s)
    assert (now["going"][0], now["waiting"][0]) == ("running", "rate limited")
    assert {**now, **_times(STATE)} == STATE


def test_a_state_in_which_nothing_goes_on_does_not_age(a_card):
    over = {**STATE, "going": None, "over": True}
    a_card.tell(over)

    assert a_card.state_now() == over


def test_what_was_sent_does_not_age_with_what_is_sent_now(a_card, page):
    a_card.tell(STATE)
    a_card.state_now()
    a_card.catch_up({})

    assert contents(page)[0]["state"] == STATE


# -- clicks -----------------------------------------------------------------------------------


def test_a_click_is_acknowledged_and_handed_on(a_card, page):
    clicks = []
    a_card.on_cancel(lambda: clicks.append(len(page.frames)))
    page.says(ask="cancel")

    assert contents(page) == [{"heard": True}]
    assert clicks == [1]  # it was acknowledged first


def test_each_click_is_handed_on(a_card, page):
    clicks = []
    a_card.on_cancel(lambda: clicks.append(1))
    page.says(ask="cancel")
    page.says(ask="cancel")

    assert len(clicks) == 2


def test_a_click_that_nobody_waits_for_is_acknowledged(page):
    page.says(ask="cancel")

    assert contents(page) == [{"heard": True}]


@pytest.mark.parametrize("content", [{}, {"ask": "x"}, {"ask": None}, {"asks": "cancel"}])
def test_what_is_not_understood_is_passed_over(a_card, page, content):
    a_card.on_cancel(lambda: pytest.fail("nobody clicked"))
    page.says(**content)

    assert page.frames == []


def test_a_view_hands_a_click_on(comms, displayed):
    clicks = []
    view = CardView(Look())
    view.on_cancel(lambda: clicks.append(1))
    view.update(last(created()))
    comms.cards[0].says(ask="cancel")

    assert clicks == [1]


def test_a_kernel_that_would_keep_clicks_waiting_is_told_not_to(comms):
    class Hooked(comms.kind):
        def _reply_subshell_for(self, data, default):
            """As in ipykernel 7.4."""

    comms.kind = Hooked
    Card()

    assert comms.cards[0]._reply_subshell_for is None


def test_a_kernel_that_keeps_no_clicks_waiting_is_left_alone(comms):
    Card()

    assert not hasattr(comms.cards[0], "_reply_subshell_for")


def test_the_kernel_that_is_installed_takes_clicks_where_they_come(comms):
    comms.kind = lambda **_: BaseComm(primary=False)

    assert getattr(Card().comm, "_reply_subshell_for", None) is None


# -- a whole run ------------------------------------------------------------------------------


def test_a_run_is_displayed_once_and_then_updated_in_its_place(comms, displayed):
    run(*HELLO, finished(["He", "y 😀"]))

    first, second = displayed()
    assert not first.update
    assert second.update
    assert first.transient["display_id"] == second.transient["display_id"]


def test_while_it_runs_the_widget_is_shown_and_a_text_for_who_has_none(comms, displayed):
    view = CardView(Look())
    view.update(last(created()))

    (shown,) = displayed()
    assert shown.data[WIDGET]["model_id"] == comms.cards[0].comm_id
    assert shown.data["text/plain"] == "a/b · starting"


def test_what_stays_is_the_document_and_no_widget(comms, displayed):
    prediction = run(*HELLO, finished(["He", "y 😀"]))

    assert displayed()[-1].data == document(prediction, None, Look()).bundles[0]
    assert WIDGET not in displayed()[-1].data


def test_the_page_has_the_answer_the_logs_and_the_end(comms, displayed):
    run(*HELLO, Log(text="half a line", at_s=3), finished(["He", "y 😀"]))

    known = values(comms.cards[0])
    assert known["text"] == "Hey 😀"
    assert known["logs"] == "one\nhalf a line\n"
    assert (known["state"]["phase"], known["state"]["over"]) == ("succeeded", True)


def test_a_card_that_is_to_stay_stays_beside_the_document(comms, displayed):
    prediction = run(*HELLO, finished(["**Hey**"]), keep_widget=True)

    stays = document(prediction, None, Look())
    first, second = displayed()
    assert second.data == {**stays.bundles[0], WIDGET: first.data[WIDGET]}
    assert contents(comms.cards[0])[-1] == {"html": stays.markup}
    assert comms.cards[0].is_open


def test_the_same_snapshot_is_sent_once(comms, displayed):
    view, snapshot = CardView(Look()), last(*HELLO)
    view.update(snapshot)
    sent = len(comms.cards[0].frames)
    view.update(snapshot)

    assert len(comms.cards[0].frames) == sent


def test_a_snapshot_that_is_only_later_is_not_sent(comms, displayed):
    view, snapshot = CardView(Look()), last(*HELLO)
    view.update(snapshot)
    sent = len(comms.cards[0].frames)
    view.update(fold(snapshot, processing(at_s=60)))

    assert len(comms.cards[0].frames) == sent


def sent_bytes(comms, chunks):
    """How much is sent for a run of so many chunks."""
    view = CardView(Look())
    for snapshot in snapshots(*(said(f"{n % 10} ", at_s=n / 100) for n in range(chunks))):
        view.update(snapshot)
    return sum(len(json.dumps(content)) for content in contents(comms.cards[-1]))


@pytest.mark.slow
def test_what_is_sent_grows_with_the_text_alone(comms, displayed):
    half, whole = sent_bytes(comms, 5_000), sent_bytes(comms, 10_000)

    assert whole < 2.2 * half
    assert whole < 10_000 * 30  # of which the text is 2, and its place the most


def test_an_answer_that_is_not_to_grow_is_told_at_the_end(comms, displayed):
    view = CardView(Look(growing=False))
    for snapshot in snapshots(*HELLO):
        view.update(snapshot)
    assert values(comms.cards[0])["text"] == ""

    view.close(fold(snapshot, finished(["Hey"])))
    assert values(comms.cards[0])["text"] == "Hey"


def test_an_answer_that_ends_as_another_is_told_anew(comms, displayed):
    run(said("draft"), finished(["the answer"]))

    assert values(comms.cards[0])["text"] == "the answer"


def test_how_far_a_bar_is_is_told_until_the_end(comms, displayed):
    run(created(), Log(text=" 42%|####\n", at_s=1), finished(["x"]))

    percents = [frame["state"]["percent"] for frame in contents(comms.cards[0]) if "state" in frame]
    assert 42 in percents
    assert percents[-1] is None


def test_why_a_run_failed_is_told_and_stays(comms, displayed):
    run(*HELLO, finished(status="failed", error="no"), why="No")

    assert values(comms.cards[0])["state"]["why"] == "No"
    assert displayed()[-1].data["text/plain"].endswith("\nNo")


def test_pictures_are_sent_when_they_have_come_and_once(comms, displayed):
    run(*PICTURES, finished(["https://x/1", "https://x/2"]), shape="files")

    files = values(comms.cards[0])["files"]
    assert [file["type"] for file in files] == ["image/png", "image/jpeg"]
    assert [file["data"] for file in files] == [PNG, PNG]


@pytest.mark.parametrize(
    ("file", "look"),
    [
        (picture("1", "application/zip"), {}),
        (OutputFile(url="https://x/1", media_type="image/png", size_bytes=9_999_999), {}),
        (picture("1"), {"format": "text"}),
        (picture("1"), {"answer": False}),
    ],
    ids=["no_picture", "not_fetched", "as_text", "no_answer"],
)
def test_what_is_not_to_be_drawn_is_not_sent(comms, displayed, file, look):
    run(processing(output=["https://x/1"]), Fetched(file=file, at_s=2), shape="files", **look)

    assert values(comms.cards[0])["files"] == []


def test_pictures_that_stay_are_in_the_cards_place(comms, displayed):
    run(*PICTURES, finished(["https://x/1", "https://x/2"]), shape="files")

    _, page = displayed()
    assert page.update
    assert page.data["text/plain"].endswith("a/b · succeeded")
    assert page.data["text/html"].count("<img") == 2


def test_a_picture_that_stays_alone_is_a_display_of_its_own(comms, displayed):
    run(processing(), finished(["https://x/1"]), PICTURES[2], shape="files")

    _, line, image = displayed()
    assert line.update
    assert line.data["text/plain"] == "a/b · succeeded"
    assert "image/png" in image.data
    assert not image.update


def test_in_the_background_all_is_left_in_the_one_display(comms, displayed):
    run(*PICTURES, finished(["https://x/1", "https://x/2"]), shape="files", background=True)

    first, second = displayed()
    assert second.transient["display_id"] == first.transient["display_id"]
    assert set(second.data) == {"text/plain", "text/html"}
    assert second.data["text/html"].count("<img") == 2
    assert "a/b · succeeded" in second.data["text/plain"]


def test_a_run_that_was_never_created_leaves_an_empty_place(comms, displayed):
    view = CardView(Look())
    view.update(last())
    view.close(None)

    first, second = displayed()
    assert second.update
    assert second.transient["display_id"] == first.transient["display_id"]
    assert second.data == {"text/plain": "", "text/html": ""}
    assert not comms.are_open


def test_a_run_that_ends_before_it_is_drawn_leaves_nothing_or_one_display(comms, displayed):
    CardView(Look()).close(None)
    assert displayed() == []

    prediction = last(*HELLO, finished(["Hey"]))
    CardView(Look()).close(prediction)

    (shown,) = displayed()
    assert not shown.update
    assert shown.data == document(prediction, None, Look()).bundles[0]
    assert comms.cards == []


def test_the_last_cards_stay_open_and_those_before_them_are_closed(comms, displayed):
    for _ in range(KEPT + 2):
        run(created(), finished(["x"]))

    assert [one.is_open for one in comms.cards] == [False] * 2 + [True] * KEPT


def test_closing_leaves_no_card_open(comms, displayed):
    run(created(), finished(["x"]))
    card.close()

    assert not comms.are_open


def test_a_hostile_answer_is_sent_as_text_that_is_safe_to_print(comms, displayed):
    hostile = "\x1b[2J<script>\x07\u202e"
    run(processing(), said(hostile), Log(text=f"{hostile}\n", at_s=3), finished([hostile]))

    known = values(comms.cards[0])
    assert known["text"] == "␛[2J<script>␇"
    assert known["logs"] == "<script>␇\n"


# -- the state --------------------------------------------------------------------------------


def test_at_first_a_run_is_queued():
    assert card_state(last()) == {
        "name": "a/b",
        "phase": "starting",
        "times": [],
        "going": ["queued", 0.0],
        "measured": [],
        "percent": None,
        "log": "",
        "moving": None,
        "waiting": None,
        "page": "",
        "why": "",
        "over": False,
    }


SAVING = (*PICTURES[:3], finished(["https://x/1", "https://x/2"]))


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([created()], {"phase": "starting", "going": ["queued", 0.5], "times": []}),
        (
            [created(), processing(1.5), Log(text="x", at_s=4)],
            {"phase": "running", "going": ["running", 2.5], "times": ["queued 1.5 s"]},
        ),
        (
            [created(), processing(1.5), said("x"), said("y", at_s=2.5)],
            {
                "phase": "streaming",
                "going": ["streaming", 0.5],
                "times": ["queued 1.5 s", "running 0.50 s"],
            },
        ),
        (
            [created(), Retry(reason="rate\nlimited", delay_s=2.5, at_s=1, attempt=2)],
            {"phase": "starting", "waiting": ["rate limited, try 2", 2.5]},
        ),
        (
            [processing(), Retry(reason=CANCELING, delay_s=1, at_s=2)],
            {"phase": "running", "waiting": [CANCELING, 1]},
        ),
        (
            [created(urls={"web": WEB}, version="a" * 64)],
            {"page": WEB, "name": "a/b (aaaaaaaa)"},
        ),
        (
            [created(), processing(), said(*"abcdef"), said("g", at_s=4)],
            {"measured": ["≈ 4 tokens/s"]},
        ),
        (
            [
                created(created_at="2024-01-01T00:00:00Z", started_at="2024-01-01T00:00:01Z"),
                finished(
                    ["x"], metrics={"predict_time": 3.14, "tokens_per_second": 92.3}
                ),
            ],
            {
                "phase": "succeeded",
                "times": ["ran 3.1 s"],
                "going": None,
                "measured": ["92.3 tokens/s"],
                "over": True,
            },
        ),
        ([finished(status="failed")], {"phase": "failed", "over": True, "going": None}),
        ([finished(status="canceled")], {"phase": "canceled", "over": True, "going": None}),
        ([finished(status="aborted")], {"phase": "aborted", "over": True, "going": None}),
    ],
    ids=range(11),
)  # fmt: skip
def test_the_state_of_a_run(events, told):
    state = card_state(last(*events))

    assert {name: state[name] for name in told} == told
    json.dumps(state)


def test_a_run_whose_files_are_fetched_is_saving_and_not_over():
    state = card_state(replace(last(*SAVING, shape="files"), saving=True))

    assert (state["phase"], state["over"]) == ("saving", False)
    assert state["going"] == ["saving", 0.0]
    assert "streaming 7.0 s" in state["times"]


def moving(direction="down", **more):
    facts = {"files": 3, "done_files": 2, "done_bytes": 34_000_000, "total_bytes": 100_000_000}
    return Moving(direction=direction, name="", **{"fraction": 0.349, "at_s": 4, **facts, **more})


def test_what_is_on_its_way_is_told_with_its_percentage_until_it_is_there():
    saving = replace(last(*SAVING, moving(), shape="files"), saving=True)
    sending = card_state(last(moving("up", fraction=None, total_bytes=None)))

    assert card_state(saving)["moving"] == ["saving 2 of 3 files · 34 of 100 MB", 34]
    assert sending["moving"] == ["sending 2 of 3 files · 34.0 MB", None]
    assert (sending["phase"], sending["going"]) == ("sending", ["sending", 4])
    assert card_state(last(moving(), moving(done_files=3)))["moving"] is None
    assert card_state(saving, ended=True)["moving"] is None


def test_a_wait_is_counted_down_while_other_files_move():
    retry = Retry(reason="connection lost", delay_s=2.5, at_s=3, attempt=2, file="1.png")
    waiting = replace(last(*SAVING, retry, moving(waits=True), shape="files"), saving=True)

    assert card_state(waiting)["waiting"] == ["1.png: connection lost, try 2", 1.5]


def test_a_page_is_sent_how_far_files_are_and_nothing_of_it_stays(comms, displayed):
    ways = [moving("up", done_bytes=n * 10_000_000, fraction=n / 10) for n in range(10)]
    run(*ways, moving("up", done_files=3), *HELLO, finished(["He", "y 😀"]))

    states = [frame["state"] for frame in contents(comms.cards[0]) if "state" in frame]
    percents = [state["moving"][1] for state in states if state["moving"]]
    assert percents == [n * 10 for n in range(10)]
    assert states[-1]["moving"] is None
    assert "sending" not in str(displayed()[-1].data)


def test_a_run_that_never_began_was_not_run():
    state = card_state(last(), ended=True, why="There is no API token")

    assert (state["phase"], state["over"]) == ("not run", True)
    assert (state["times"], state["going"], state["why"]) == ([], None, "There is no API token")


def test_once_nothing_more_comes_nothing_is_waited_for():
    waiting = last(created(), Retry(reason="rate limited", delay_s=2, at_s=1))

    assert card_state(waiting)["waiting"] == ["rate limited", 2]
    assert card_state(waiting, ended=True)["waiting"] is None


def test_the_newest_log_line_and_its_bar_are_told_while_it_runs():
    logs = GrowingLogs()
    logs.feed("loading\n 42%|##  | 42/100\n")
    running, over = (card_state(last(event), logs=logs) for event in (created(), finished()))

    assert (running["log"], running["percent"]) == ("42%|## | 42/100", 42)
    assert (over["log"], over["percent"]) == ("", None)


def test_cards_that_are_to_stay_stay_open_however_many_they_are(comms, displayed):
    for _ in range(KEPT + 2):
        run(created(), finished(["x"]), keep_widget=True)

    assert all(one.is_open for one in comms.cards)
    card.close()
    assert not comms.are_open


def test_a_card_that_stays_has_its_pictures_and_no_second_display_of_them(comms, displayed):
    run(*PICTURES, finished(["https://x/1", "https://x/2"]), shape="files", keep_widget=True)

    assert len({output.transient["display_id"] for output in displayed()}) == 1


def test_a_view_closed_twice_leaves_one_document(comms, displayed):
    view = CardView(Look())
    view.update(last(created()))
    for _ in range(2):
        view.close(last(created(), finished(["x"])))

    assert len({output.transient["display_id"] for output in displayed()}) == 1


class Interrupted:
    """A view whose closing is interrupted once."""

    def __init__(self):
        self.closed = 0

    def close(self, prediction, answer=None, *, why=""):
        self.closed += 1
        if self.closed == 1:
            raise KeyboardInterrupt


def test_an_interrupt_while_a_view_is_closed_is_raised_once_it_is():
    view = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        close_view(view, last(finished()))

    assert view.closed == 2
