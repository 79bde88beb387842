"""How a frame of runs, and one of their figures, shows itself."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from datetime import UTC, datetime
from html.parser import HTMLParser

import pandas as pd
import pytest

from replicate_magic.runs.frame import RunsFrame, runs_frame
from replicate_magic.views.table import table_bundle

PLAIN = ["id", "origin", "model", "version", "status", "prompt", "output", "error", "tag"]
RUN = {
    "id": "rrr4z55ocneqzikepnug6xezpe", "model": "acme/poet", "version": "hidden",
    "status": "succeeded", "prompt": "Write a haiku", "output": "Soft wool",
    "created_us": 1_700_932_320_000_000, "metrics": {"predict_time": 3.14},
}  # fmt: skip
HASH = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


def frame(*rows):
    columns = {name: [row.get(name) for row in rows] for name in PLAIN}
    columns |= {f"{when}_us": [row.get(f"{when}_us") for row in rows]
                for when in ("created", "started", "completed")}  # fmt: skip
    for name in ("metrics", "local"):
        columns[name] = [json.dumps(row.get(name, {})) for row in rows]
    return runs_frame(columns)


def run(**changes):
    return frame({**RUN, **changes})


class Page(HTMLParser):
    """The tags of some HTML with their attributes, and the texts of its cells, row by row."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.rows, self._open = [], [], False
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"th", "td"}:
            self.rows[-1].append("")
            self._open = True

    def handle_endtag(self, tag):
        self._open = self._open and tag not in {"th", "td"}

    def handle_data(self, data):
        if self._open:
            self.rows[-1][-1] += data.replace("\xa0", " ")

    def cell(self, title, row=0):
        return self.rows[row + 1][self.rows[0].index(title)]

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(shown):
    return Page(table_bundle(shown)["text/html"])


def text(shown, monkeypatch, columns=100):
    monkeypatch.setenv("COLUMNS", str(columns))
    return table_bundle(shown)["text/plain"]


def width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


# -- which frames, which columns --------------------------------------------------------------


@pytest.mark.parametrize(
    "other", [pd.DataFrame({"id": [1]}), run()[["id", "model"]], pd.DataFrame(), run().T]
)
def test_a_frame_of_something_else_is_left_to_pandas(other):
    assert table_bundle(other) is None


def test_a_frame_shows_itself_in_a_shell_and_a_part_of_it_as_pandas_does():
    from IPython.core.formatters import DisplayFormatter

    whole, _ = DisplayFormatter().format(run())
    part, _ = DisplayFormatter().format(run()[["id", "model"]])

    assert "1 run · " in whole["text/plain"]
    assert "acme/poet" in whole["text/html"]
    assert "dataframe" in part["text/html"]


def test_what_matters_comes_first_and_what_is_empty_is_left_out():
    assert page(run()).rows[0] == ["status", "model", "prompt", "output", "ran", "created", "id"]
    assert page(run()).rows[1][:5] == [
        "● succeeded", "acme/poet", "Write a haiku", "Soft wool", "3.1 s",
    ]  # fmt: skip


def test_tokens_their_speed_and_the_tag_are_shown_where_there_are_any():
    metrics = {"input_token_count": 12, "output_token_count": 3456, "tokens_per_second": 51.23}
    shown = page(run(metrics=metrics, tag="poems"))

    assert shown.cell("tokens") == "12 → 3,456"
    assert shown.cell("tokens/s") == "51.2"
    assert shown.cell("tag") == "poems"


@pytest.mark.parametrize(
    ("metrics", "told"),
    [({"output_token_count": 3}, "→ 3"), ({"input_token_count": 3}, "3 →")],
)
def test_tokens_of_one_side_are_told_too(metrics, told):
    assert page(run(metrics=metrics)).cell("tokens") == told


def test_an_error_stands_in_place_of_the_output():
    shown = page(run(status="failed", output="half of a po", error="CUDA out of memory"))

    assert shown.cell("output") == "CUDA out of memory"
    assert shown.cell("status") == "● failed"


def test_a_version_that_is_a_hash_is_shown_by_its_first_digits(monkeypatch):
    assert page(run(version=HASH)).cell("model") == "acme/poet 5c7d5dc6"
    assert "acme/poet (5c7d5dc6)" in text(run(version=HASH), monkeypatch)


def test_columns_that_the_user_added_come_behind():
    shown = run().assign(score=[0.25], judge=["a person"], **{"local.mine": 1, "seen_s": 75.0})

    added = page(shown)
    assert added.rows[0][-3:] == ["score", "judge", "seen_s"]
    assert added.rows[1][-3:] == ["0.25", "a person", "1 min 15 s"]


def test_the_time_is_local_and_has_its_year_where_that_is_another():
    old = datetime.fromtimestamp(RUN["created_us"] / 1e6)  # noqa: DTZ006
    now = datetime.now(UTC).replace(hour=12, minute=5)
    recent = run(created_us=int(now.timestamp() * 1e6))

    assert page(run()).cell("created") == f"Nov {old.day} 2023 {old:%H:%M}"
    assert re.fullmatch(r"[A-Z][a-z]{2} \d{1,2} \d\d:\d\d", page(recent).cell("created"))


def test_an_id_is_short_and_leads_to_the_page_of_the_run():
    shown = page(run(local={"page": "https://replicate.com/p/rrr4z55"}))

    assert shown.cell("id") == "rrr4z55o"
    assert shown.all("a") == [
        {
            "href": "https://replicate.com/p/rrr4z55",
            "title": RUN["id"],
            "target": "_blank",
            "rel": "noopener noreferrer",
        }
    ]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://a.b/c", "", 'x"https://a.b'])
def test_only_a_secure_page_is_linked(url):
    assert page(run(local={"page": url})).all("a") == []


@pytest.mark.parametrize("odd", [-1, "fast", [1], 1e300, {"a": 1}, True])
def test_a_measure_that_makes_no_sense_is_left_out(odd):
    names = ("predict_time", "input_token_count", "output_token_count", "tokens_per_second")

    assert page(run(metrics=dict.fromkeys(names, odd))).rows[0][4:] == ["created", "id"]


# -- how many ---------------------------------------------------------------------------------


def test_the_caption_says_how_many_there_are_and_what_else(monkeypatch):
    many = frame(*[{**RUN, "local": {"notebook": "a.ipynb"}}] * 1234)

    told = "Showing 20 of 1,234 runs · 7 more columns: df.columns"
    assert told in table_bundle(many)["text/html"]
    assert text(many, monkeypatch).endswith(told)
    assert len(page(many).rows) == 21


def test_few_runs_are_counted_plainly():
    assert "1 run · 6 more columns" in table_bundle(run())["text/html"]
    assert (
        ">3 runs<"
        in table_bundle(
            frame(RUN, RUN, RUN)[["id", "model", "version", "status", "created_at"]].assign(
                version=HASH
            )
        )["text/html"]
    )


def test_no_runs_are_a_sentence():
    bundle = table_bundle(frame())

    assert bundle["text/plain"].startswith("No runs")
    assert bundle["text/plain"] in bundle["text/html"]


def test_only_the_first_rows_are_looked_at():
    class Unread:
        def __str__(self):
            raise AssertionError

    many = frame(*[RUN] * 50)
    many["prompt"] = pd.Series(["hi"] * 20 + [Unread()] * 30, dtype=object)

    assert page(many).cell("prompt", 19) == "hi"


def test_a_million_rows_are_shown_at_once():
    many = RunsFrame(run().iloc[[0] * 1_000_000])
    table_bundle(many)
    began = time.perf_counter()
    table_bundle(many)

    assert time.perf_counter() - began < 0.25


def test_of_a_long_text_only_the_beginning_is_read():
    began = time.perf_counter()
    shown = page(run(output="\x1b" * 20_000_000))

    assert time.perf_counter() - began < 0.5
    assert shown.cell("output") == "␛" * 79 + "…"


# -- frames as users leave them ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda runs: runs.drop(columns=["prompt", "output", "error", "tag"]),
        lambda runs: runs.set_index("prompt", drop=False),
        lambda runs: pd.concat([runs, runs]),
        lambda runs: runs.astype(object),
        lambda runs: runs.assign(created_at="yesterday", **{"metrics.predict_time": pd.NaT}),
        lambda runs: runs.assign(created_at=runs["created_at"].dt.tz_localize(None)),
        lambda runs: runs.assign(created_at=pd.Timestamp.max, id=None),
        lambda runs: runs.assign(**{"a b": [[1, 2]], "c": [{"d": None}]}),
        lambda runs: runs.assign(big=pd.Series([10**400], dtype=object)),
        lambda runs: pd.concat([runs, runs[["status", "id"]]], axis=1),
        lambda runs: runs.rename(columns={"tag": ("a", 1), "error": 7}),
        lambda runs: runs.assign(status=pd.NA, model=None, version=float("nan")),
        lambda runs: runs.map(lambda _: None),
    ],
)
def test_any_frame_of_runs_is_shown(change, monkeypatch):
    shown = change(run())

    assert len(page(shown).rows) == len(shown) + 1
    assert "run" in text(shown, monkeypatch)


# -- text from models -------------------------------------------------------------------------

HOSTILE = '<img src=x onerror=alert(1)>"&\x1b[31mred\x07\r\n\u202eevil\x9b2J\x00'


def test_hostile_text_stays_text_in_html():
    names = [*PLAIN, "local"]
    rows = {name: HOSTILE for name in names if name != "local"}
    local = {"page": f"https://a.b/{HOSTILE}"}
    shown = run(**rows, local=local).assign(**{HOSTILE: HOSTILE})
    found = page(shown)

    allowed = {"div", "table", "thead", "tbody", "tr", "th", "td", "span", "a"}
    assert {tag for tag, _ in found.tags} <= allowed
    names = {name for _, attributes in found.tags for name in attributes}
    assert names <= {
        "style", "class", "title", "align", "dir", "scope", "href", "target", "rel",
    }  # fmt: skip
    assert "<img src=x onerror" in found.cell("prompt")


def test_no_control_character_reaches_a_terminal_or_a_page(monkeypatch):
    shown = run(**dict.fromkeys(PLAIN, HOSTILE)).assign(**{HOSTILE: HOSTILE})

    for told in (text(shown, monkeypatch, 400), table_bundle(shown)["text/html"]):
        odd = {c for c in told if unicodedata.category(c) == "Cc" or c == "\u202e"}
        assert odd == {"\n"}


def test_what_stands_between_dollars_is_no_formula():
    assert "tex2jax_ignore" in page(run(prompt="$5 and $6")).all("table")[0]["class"]


def test_a_page_that_strips_styles_still_aligns_numbers_and_breaks_no_line():
    markup = re.sub(r' (style|class)="[^"]*"', "", table_bundle(run())["text/html"])

    assert '<td align="right">3.1&nbsp;s</td>' in markup
    assert "●</span>&nbsp;succeeded" in markup


def test_colours_are_the_front_ends_and_no_background_is_set():
    markup = table_bundle(frame(RUN, {**RUN, "status": "failed"}))["text/html"]

    assert "background" not in markup
    assert "var(--jp-success-color1" in markup
    assert "var(--jp-error-color1" in markup


# -- in a terminal ----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 20, 40, 80, 100, 250])
def test_the_table_is_no_wider_than_the_terminal(columns, monkeypatch):
    metrics = {"input_token_count": 1, "output_token_count": 2, "predict_time": 1.5}
    long = run(prompt="p" * 500, output="日本語" * 99, error=None, tag="t" * 99, metrics=metrics)
    table, _, _ = text(long, monkeypatch, columns).partition("\n\n")

    assert max(map(width, table.split("\n"))) <= columns


def test_columns_without_room_are_counted_in_the_caption(monkeypatch):
    wide, narrow = (text(run(), monkeypatch, columns) for columns in (200, 40))

    assert wide.endswith("6 more columns: df.columns")
    assert narrow.endswith("10 more columns: df.columns")
    assert narrow.startswith("status")


def test_numbers_stand_at_the_right(monkeypatch):
    told = {0.42: "0.42 s", 3.1: "3.1 s", 125: "2 min 5 s"}
    rows = [{**RUN, "metrics": {"predict_time": seconds}} for seconds in told]
    lines = text(frame(*rows), monkeypatch, 160).split("\n")[2:5]
    pairs = zip(lines, told.values(), strict=True)

    assert len({line.index(words) + len(words) for line, words in pairs}) == 1


@pytest.mark.parametrize("odd", ["日本語のテキスト", "🦙🦙", "한국어", "e\u0301te\u0301"])
def test_wide_characters_keep_the_columns_in_line(odd, monkeypatch):
    shown = frame({**RUN, "prompt": odd}, {**RUN, "prompt": "plain"}, {**RUN, "prompt": odd * 30})
    lines = text(shown, monkeypatch).split("\n")[2:5]
    starts = [width(unicodedata.normalize("NFC", line.partition("Soft wool")[0])) for line in lines]

    assert len(set(starts)) == 1


def test_emoji_about_whose_width_terminals_disagree_are_shown_in_parts(monkeypatch):
    told = text(run(prompt="\u2764\ufe0f 👩\u200d💻 👍🏽"), monkeypatch)

    assert "\u2764 👩💻 👍🏽  Soft wool" in told


# -- figures ----------------------------------------------------------------------------------

FIGURES = {
    "model": ["acme/poet", "local/tiny"],
    "runs": [1234, 1],
    "success_rate": [0.998, None],
    "predict_time_p50_s": [3.14, 0.42],
    "predict_time_p95_s": [75.0, None],
    "tokens_per_second_p50": [51.2, 310.4],
    "input_tokens": [1_234_567, None],
    "cost_usd": [0.01234, None],
}


def test_figures_are_readable():
    shown = page(pd.DataFrame(FIGURES))

    assert shown.rows == [
        ["model", "runs", "succeeded", "ran p50", "ran p95", "tokens/s p50", "tokens in", "cost"],
        ["acme/poet", "1,234", "99.8 %", "3.1 s", "1 min 15 s", "51.2", "1,234,567", "≈ $0.0123"],
        ["local/tiny", "1", "", "0.42 s", "", "310", "", "unknown"],
    ]


@pytest.mark.parametrize(
    ("usd", "told"),
    [(0, "$0"), (0.00001, "< $0.0001"), (0.5, "≈ $0.5000"), (1234.5, "≈ $1,234.50")],
)
def test_costs_are_told_as_far_as_they_matter(usd, told):
    shown = pd.DataFrame({"model": ["a/b"], "runs": [1], "success_rate": [1.0], "cost_usd": [usd]})

    assert page(shown).cell("cost") == told
    assert page(shown).cell("succeeded") == "100 %"


def test_the_caption_says_that_a_cost_is_an_estimate(monkeypatch):
    told = "2 models · cost is an estimate"

    assert told in text(pd.DataFrame(FIGURES), monkeypatch, 160)
    assert told in table_bundle(pd.DataFrame(FIGURES))["text/html"]


def test_a_cost_that_is_unknown_everywhere_is_not_mentioned(monkeypatch):
    shown = pd.DataFrame({**FIGURES, "cost_usd": [None, None]})

    assert "cost" not in page(shown).rows[0]
    assert "estimate" not in text(shown, monkeypatch, 160)
