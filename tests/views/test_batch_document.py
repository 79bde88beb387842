"""What stays of a batch: a table that a site without styles and scripts shows too."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree as ET

import pytest
from made_batch import HOSTILE, ended, running, tally_of, unsent
from pages import HOSTILE as HOSTILE_TEXTS
from pages import QUIET_ATTRIBUTES, QUIET_TAGS, Page

from replicate_magic.prediction import OutputFile
from replicate_magic.views import Look
from replicate_magic.views.compared import MOST_ROWS, chosen, rows_of
from replicate_magic.views.comparison import bundle

POET, BARD = "acme/poet", "acme/bard"
SVG = "data:image/svg+xml;base64,"


def page(entries, why="", **look):
    tally = tally_of(entries, ended_s=112.0)
    return Page(bundle(tally, Look(**look), why=why)["text/html"])


def text(entries, why="", **look):
    return bundle(tally_of(entries, ended_s=112.0), Look(**look), why=why)["text/plain"]


def tags(shown, name):
    return [attributes for tag, attributes in shown.elements if tag == name]


def body_rows(shown):
    return len(tags(shown, "tr")) - 1


def assert_nothing_acts(shown):
    known = QUIET_ATTRIBUTES | {"class", "scope"}
    assert {tag for tag, _ in shown.elements} <= QUIET_TAGS
    for tag, attributes in shown.elements:
        assert set(attributes) <= known
        assert "url" not in attributes.get("style", "")
        if "src" in attributes:
            assert tag == "img"
            assert attributes["src"].startswith("data:image/")
        if "href" in attributes:
            assert attributes["href"].startswith(("https://", "http://"))
            assert "noopener" in attributes["rel"]


# -- a row a request --------------------------------------------------------------------------


def test_a_table_has_a_row_for_each_request_with_what_was_asked_and_what_came():
    shown = page(
        [
            ended(0, "Bonjour", params={"city": "Paris"}, ran_s=1.5),
            ended(1, None, status="failed", error="E1: no <b>", params={"city": "Lima"}),
            unsent(2, city="Rome"),
        ]
    )

    assert body_rows(shown) == 3
    assert [word for word in ("status", "city", "answer", "ran") if word in shown.words]
    for told in ("Paris", "Bonjour", "1.5 s", "E1: no <b>", "not sent", "Not sent: it was"):
        assert told in shown.text


def test_the_line_counts_them_and_tells_time_speed_cost_and_the_batch():
    metrics = {"predict_time": 2.0, "output_token_count": 90, "tokens_per_second": 45}
    others = {"predict_time": 2.0, "token_output_count": 30}
    entries = [
        ended(0, metrics=metrics, cost_usd=0.25),
        ended(1, metrics=others, cost_usd=0.5),
        ended(2, None, status="failed", error="no", metrics={}),
        unsent(3),
    ]
    line = text(entries).splitlines()[-1]

    assert line == (
        "4 requests · 2 succeeded · 1 failed · 1 not sent · 12 s · 10.0 tokens/s in all · "
        "≈ $0.7500 and 1 of unknown cost · batch 3f9ac0d1e2b4"
    )


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([ended(0), ended(1)], "cost unknown"),
        ([ended(0, cost_usd=0.5), ended(1, cost_usd=1.0)], "≈ $1.50"),
        ([ended(0, cost_usd=0.0)], ""),
        ([ended(0, age_s=60.0)], ""),
        ([unsent(0)], ""),
    ],
)
def test_what_all_cost_is_told_where_it_is_known_and_is_anything(entries, told):
    parts = text(entries).splitlines()[-1].split(" · ")

    assert [part for part in parts if "$" in part or "cost" in part] == ([told] if told else [])


def test_of_too_many_rows_the_first_are_shown_and_what_went_wrong_is_among_them():
    entries = [ended(n) for n in range(1_000)]
    entries[700] = ended(700, None, status="failed", error="the only one")
    shown = page(entries)

    assert body_rows(shown) == MOST_ROWS
    assert "the only one" in shown.text
    assert f"… {1_000 - MOST_ROWS} more rows: the DataFrame has them" in shown.text
    assert "701" in shown.words  # which one it was
    assert "more rows: the DataFrame has them" in text(entries)


def test_what_went_wrong_leaves_room_for_what_did_not():
    bad = [ended(n, None, status="failed", error="no") for n in range(500)]
    rows = chosen(rows_of([*bad, *(ended(n) for n in range(500, 1_000))]))

    assert [row.ok for row in rows].count(False) == MOST_ROWS // 2
    assert len(rows) == MOST_ROWS


def test_a_long_answer_is_folded_behind_its_beginning():
    words = " ".join(f"word{n}" for n in range(200))
    shown = page([ended(0, words)])
    (fold,) = tags(shown, "details")

    assert fold == {}
    assert " ".join("".join(shown.words).replace("…", "").split()).count(words) == 1


def test_however_long_all_is_the_document_is_not():
    error, text_ = "x" * 1_000_000, "y " * 1_000_000
    entries = [
        ended(n, text_, prompt=text_, params={text_[:50_000]: text_}) if n % 2
        else ended(n, None, status="failed", error=error)
        for n in range(100)
    ]  # fmt: skip
    left = bundle(tally_of(entries, ended_s=112.0), Look())

    assert len(left["text/html"]) < 400_000
    assert len(left["text/plain"]) < 50_000


def test_only_what_differs_is_a_column():
    same = page([ended(0), ended(1)])
    other = page([ended(0, prompt="one"), ended(1, prompt="two")])

    assert "prompt" not in same.words
    assert "prompt" in other.words


@pytest.mark.parametrize(
    ("look", "has_table", "has_line"),
    [({}, True, True), ({"answer": False}, False, True), ({"status": False}, True, False)],
)
def test_as_much_is_shown_as_is_asked_for(look, has_table, has_line):
    shown = page([ended(0, "Bonjour"), ended(1)], **look)
    plain = text([ended(0, "Bonjour"), ended(1)], **look)

    assert ("Bonjour" in shown.text, "2 requests" in shown.text) == (has_table, has_line)
    assert ("Bonjour" in plain, "2 requests" in plain) == (has_table, has_line)


def test_a_batch_of_nothing_and_one_that_was_cut_short_leave_a_line():
    assert "0 requests" in text([])
    assert "Interrupted." in text([running(0)], why="Interrupted.")
    assert page([]).elements
    assert page([running(0)]).elements


def test_an_answer_from_history_says_so():
    assert "from history, 2 min 0 s old" in page([ended(0, age_s=120.0)]).text


# -- models side by side ----------------------------------------------------------------------


def compared():
    return [
        ended(0, "A1", model=POET, params={"city": "Paris"}, metrics={"predict_time": 1.0,
              "tokens_per_second": 45.0}),
        ended(1, "B1", model=BARD, params={"city": "Paris"}, metrics={"predict_time": 3.0}),
        ended(2, "A2", model=POET, params={"city": "Lima"}, metrics={"predict_time": 2.0}),
        ended(3, None, model=BARD, params={"city": "Lima"}, status="failed", error="E2"),
    ]  # fmt: skip


def test_models_that_are_compared_are_columns_and_each_cell_says_how_fast():
    shown = page(compared())

    assert body_rows(shown) == 2
    assert [POET in shown.words, BARD in shown.words] == [True, True]
    for told in ("A1", "1.0 s · 45.0 tokens/s", "B1", "3.0 s", "E2", "failed"):
        assert told in shown.text


def test_over_its_column_stands_how_a_model_did():
    shown = page(compared())

    assert "2 of 2 succeeded · median 1.5 s · 45.0 tokens/s" in shown.text
    assert "1 of 2 succeeded · 3.0 s" in shown.text


def test_repeats_stand_in_rows_of_their_own_and_nothing_is_lost():
    entries = [
        ended(n, f"said {n}", model=(POET, BARD)[n % 2], params={"repeat": n // 2 + 1})
        for n in range(6)
    ]
    twice = [ended(n, f"said {n}", model=(POET, BARD)[n % 2]) for n in range(6)]

    for each in (entries, twice):
        shown = page(each)
        assert body_rows(shown) == 3
        assert all(f"said {n}" in shown.text for n in range(6))


def test_where_a_model_was_not_asked_its_cell_is_empty():
    rows = rows_of(compared()[:3])

    assert [len(row.by_model) for row in rows] == [2, 1]
    assert body_rows(page(compared()[:3])) == 2


def test_in_a_terminal_models_are_columns_too_where_there_is_room(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    lines = text(compared()).splitlines()

    assert lines[0].split() == ["city", POET, BARD]
    assert lines[2].split() == ["Paris", "A1", "B1"]
    assert lines[3].split() == ["Lima", "A2", "failed:", "E2"]
    assert f"{POET}: 2 of 2 succeeded · median 1.5 s · 45.0 tokens/s" in lines


def test_in_a_narrow_terminal_they_are_rows(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    six = [ended(n, f"answer {n} " * 9, model=f"acme/model-{n}") for n in range(6)]
    lines = text(six).splitlines()

    assert [line.split()[0] for line in lines[2:8]] == ["succeeded"] * 6
    assert max(map(len, lines[:8])) <= 40


# -- files ------------------------------------------------------------------------------------


def picture(name="1.png", size=(640, 480), **given):
    images = pytest.importorskip("PIL.Image")
    out = BytesIO()
    images.effect_noise(size, 50).convert("RGB").save(out, "PNG")
    data = out.getvalue()
    known = {"media_type": "image/png", "size_bytes": len(data), "preview": data} | given
    return OutputFile(url=f"https://replicate.delivery/{name}", **known)


def test_pictures_are_small_and_lead_to_the_file():
    file = picture()
    shown = page([ended(0, files=[file])], preview_bytes=300_000)
    (image,) = [one for one in tags(shown, "img") if not one["src"].startswith(SVG)]
    data = base64.b64decode(image["src"].partition(",")[2])

    assert len(data) <= 60_000 < file.size_bytes
    assert {one["href"] for one in tags(shown, "a")} == {file.url}
    assert image["alt"] == "1.png"


def test_pictures_that_were_saved_are_read_from_where_they_lie(tmp_path):
    file = picture(size=(32, 32))
    path = tmp_path / "1.png"
    path.write_bytes(file.preview)
    shown = page([ended(0, files=[replace(file, preview=None, path=path)])], preview_bytes=300_000)

    assert len(tags(shown, "img")) == 1


def test_of_many_pictures_all_take_little():
    files = [picture(f"{n}.png", (200, 150)) for n in range(MOST_ROWS)]
    entries = [ended(n, files=[file]) for n, file in enumerate(files)]
    left = bundle(tally_of(entries, ended_s=112.0), Look(preview_bytes=300_000))

    assert left["text/html"].count("data:image/jpeg") == MOST_ROWS
    assert len(left["text/html"]) < 500_000


def test_other_files_and_pictures_that_are_not_here_are_links():
    sound = picture("a.mp3", media_type="audio/mpeg")
    gone = picture("b.png", preview=None, size_bytes=None)
    shown = page([ended(0, files=[sound, gone, *(picture(f"{n}.zip") for n in range(5))])])

    assert {one["href"] for one in tags(shown, "a")} >= {sound.url, gone.url}
    assert "… 3 more files" in shown.text


# -- the picture of the timings ---------------------------------------------------------------


def test_the_timings_are_an_image_within_the_page():
    shown = page([ended(0), ended(1, at_s=1.0)])
    (image,) = tags(shown, "img")
    drawn = base64.b64decode(image["src"].removeprefix(SVG))

    assert image["src"].startswith(SVG)
    assert image["alt"]
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"


def test_without_a_status_line_there_is_no_picture_of_timings():
    assert tags(page([ended(0), ended(1)], status=False), "img") == []


# -- hostile ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", [HOSTILE, *HOSTILE_TEXTS])
def test_nothing_a_model_says_acts(hostile):
    entries = [
        ended(0, hostile, prompt=hostile, params={hostile: hostile}, model=hostile),
        ended(1, hostile * 50, prompt="other"),
        ended(2, None, status=hostile or "x", error=hostile, completed_at="2026-11-25T12:00:09Z"),
        ended(3, {hostile: [hostile]}, shape="json"),
    ]
    shown = page(entries, why=hostile)

    assert_nothing_acts(shown)
    assert not {"\u202e", "\u2066", "\x1b"} & set(text(entries, why=hostile))


def test_addresses_that_are_no_links_are_none():
    files = [OutputFile(url=url) for url in ("javascript:alert(1)", "data:text/html,x", "x:y")]
    shown = page([ended(0, files=files)])

    assert tags(shown, "a") == []
    assert_nothing_acts(shown)
