"""A table that follows a program: what is searched, drawn and kept, with jq itself and no page."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import comm
import pytest
from synthetic_runs import SyntheticRuns

from replicate_magic import bridge
from replicate_magic.explorer import Explorer
from replicate_magic.runs import jq

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
WAIT_S = 30


class Page:
    """The other end of a widget's comm: what it shows, and what it says.

    Attributes:
        seen: each table that it was sent, in order, as it is shown then.
        said: all other messages.
    """

    kernel = "there is one"

    def __init__(self, **opening):
        self.comm_id = uuid.uuid4().hex
        self.is_explorer = "_esm" in opening["data"]["state"]
        self.seen, self.said = [], []
        self._news = threading.Condition()
        self._number = 0
        self._heard_by = None

    def send(self, data, buffers=None, **_):
        content = json.loads(json.dumps(data["content"]))
        with self._news:
            if "table" in content:
                self._apply(content["table"])
            else:
                self.said.append(content)
            self._news.notify_all()

    def _apply(self, table):
        offset, fresh = table["rows"]
        known = self.seen[-1]["rows"][:offset] if self.seen else []
        assert len(known) == offset
        self.seen.append({**table, "rows": known + fresh})

    def on_msg(self, callback):
        self._heard_by = callback

    def close(self, *_, **__):
        pass

    def says(self, **content):
        data = {"method": "custom", "content": content}
        self._heard_by({"content": {"data": data}, "buffers": []})

    def asks(self, program, mode="filter"):
        """Ask without waiting; the question's number."""
        self._number += 1
        self.says(ask="find", program=program, mode=mode, number=self._number)
        return self._number

    def answers(self, program, mode="filter"):
        """Ask, and wait for the last table of the answer."""
        number = self.asks(program, mode)
        return self.wait(lambda table: table["number"] == number and table["done"])

    def wait(self, holds):
        """The first table of which this is so."""
        with self._news:
            assert self._news.wait_for(lambda: any(map(holds, self.seen)), WAIT_S)
            return next(filter(holds, self.seen))

    def reply(self, **content):
        """What is said to this."""
        before = len(self.said)
        self.says(**content)
        with self._news:
            assert self._news.wait_for(lambda: len(self.said) > before, WAIT_S)
            return self.said[before]


@pytest.fixture
def put():
    """The user's namespace."""
    return {}


@pytest.fixture
def explore(monkeypatch, put):
    """Shows an explorer; its page."""
    opened, explorers = [], []

    def create(**opening):
        opened.append(Page(**opening))
        return opened[-1]

    def open_(source):
        explorers.append(Explorer(source, put=put.__setitem__))
        explorers[-1].show()
        return next(page for page in reversed(opened) if page.is_explorer)

    monkeypatch.setattr(comm, "create_comm", create)
    yield open_
    for explorer in explorers:
        explorer.close()
    bridge.close()
    jq.close()


def positions(table):
    return [position for position, _ in table["rows"]]


def cells(table):
    return [tuple(cells) for _, cells in table["rows"]]


# -- what is searched -------------------------------------------------------------------------


def test_it_begins_with_the_newest_runs(explore):
    page = explore(SyntheticRuns(250))
    [table] = page.seen
    assert positions(table) == list(range(100))
    assert table["columns"] == list(SyntheticRuns.columns)
    assert (table["matched"], table["total"], table["done"]) == (250, 250, True)


def test_a_filter_keeps_the_runs_that_match(explore):
    table = explore(SyntheticRuns(250)).answers('.status == "failed"')
    assert positions(table) == list(range(3, 250, 10))
    assert {row[0] for row in cells(table)} == {"failed"}
    assert (table["matched"], table["searched"], table["unit"]) == (25, 250, "run")


def test_a_map_makes_a_row_of_each_output(explore):
    table = explore(SyntheticRuns(3)).answers("{id}, {n: .metrics.predict_time}", "map")
    assert table["columns"] == ["id", "n"]
    assert positions(table) == [0, 0, 1, 1, 2, 2]
    assert cells(table)[:3] == [("run000000",), ("", "0.0"), ("run000001", "")]
    assert (table["matched"], table["unit"]) == (6, "row")


def test_values_that_are_no_objects_have_a_column_of_their_own(explore):
    table = explore(SyntheticRuns(1)).answers('1, "two", [3], null, true, {four: 4}', "map")
    assert table["columns"] == ["value", "four"]
    assert cells(table) == [("1",), ("two",), ("[3]",), ("null",), ("true",), ("", "4")]


def test_all_runs_are_one_input_and_a_list_is_as_many_rows(explore):
    program = "group_by(.status) | map({status: .[0].status, n: length})"
    table = explore(SyntheticRuns(2500)).answers(program, "all")
    assert cells(table) == [("failed", "250"), ("succeeded", "2250")]
    assert positions(table) == [-1, -1]
    assert table["searched"] == 2500


@pytest.mark.parametrize("mode", ["filter", "map", "all"])
def test_no_program_shows_all_runs(explore, mode):
    page = explore(SyntheticRuns(250))
    page.answers("false")
    table = page.answers("  ", mode)
    assert (table["matched"], positions(table)) == (250, list(range(100)))


@pytest.mark.parametrize("mode", ["filter", "map"])
def test_without_any_runs_nothing_is_found(explore, mode):
    table = explore(SyntheticRuns(0)).answers(".id", mode)
    assert (table["rows"], table["matched"], table["done"]) == ([], 0, True)


def test_the_newest_are_searched_first_and_drawn_before_the_rest(explore):
    source = SyntheticRuns(20_000)
    page = explore(source)
    page.answers('.status == "failed"')
    first = page.seen[1]
    assert (first["searched"], first["matched"], first["done"]) == (1000, 100, False)
    assert source.reads[0] == (0, 1000)
    assert source.reads[-1][1] == 20_000
    assert page.seen[-1]["matched"] == 2000


def test_the_first_of_a_hundred_thousand_are_found_within_a_second_or_so(explore):
    page = explore(SyntheticRuns(100_000))
    began_s = time.monotonic()
    number = page.asks(".metrics.predict_time > 4.8")
    page.wait(lambda table: table["number"] == number)
    took_s = time.monotonic() - began_s
    assert took_s < 3
    page.asks("false")


def test_a_new_question_ends_the_one_before(explore):
    source = SyntheticRuns(200_000)
    page = explore(source)
    old = page.asks(".metrics.predict_time > 4.8")
    page.wait(lambda table: table["number"] == old)
    assert page.answers("")["matched"] == 200_000
    page.reply(ask="open", position=0)
    assert len(source.reads) < 20  # of the 51 that the first question takes
    assert not any(table["number"] == old and table["done"] for table in page.seen)
    numbers = [table["number"] for table in page.seen]
    assert numbers == sorted(numbers)


def test_a_program_that_never_ends_holds_up_no_other(explore):
    page = explore(SyntheticRuns(50))
    page.asks("def f: f; f")
    began_s = time.monotonic()
    assert page.answers(".")["matched"] == 50
    assert time.monotonic() - began_s < 4


# -- what goes wrong --------------------------------------------------------------------------


def test_a_mistake_is_told_with_a_caret_and_the_table_stays(explore):
    page = explore(SyntheticRuns(250))
    before = page.answers('.status == "failed"')
    table = page.answers(".metrics.")
    assert "^" in table["error"]
    assert table["rows"] == before["rows"]
    assert (table["matched"], table["columns"]) == (25, before["columns"])
    assert page.answers(".")["error"] == ""


def test_runs_that_the_program_fails_on_are_left_out_and_counted(explore):
    table = explore(SyntheticRuns(2000)).answers(".output[0] | ascii_downcase")
    assert table["matched"] == 1800
    assert "fails on 200 of 2,000 runs" in table["note"]
    assert "(run000003)" in table["note"]


def test_the_first_error_names_a_run_beyond_the_newest(explore):
    program = 'if .id == "run001500" then error("no") else true end'
    assert "1 of 2,000 runs" in (table := explore(SyntheticRuns(2000)).answers(program))["note"]
    assert "no (run001500)" in table["note"]


def test_a_filter_that_gives_values_suggests_a_map(explore):
    page = explore(SyntheticRuns(20))
    assert "map" in page.answers(".id")["note"]
    assert page.answers("true")["note"] == ""
    assert page.answers(".id", "map")["note"] == ""


def test_what_all_runs_together_fail_with_is_told(explore):
    table = explore(SyntheticRuns(20)).answers('error("no such luck")', "all")
    assert "no such luck" in table["error"]


def test_a_fault_of_the_source_is_told(explore):
    class Broken(SyntheticRuns):
        def documents(self, start, stop):
            raise OSError("the disk is gone")

    assert explore(Broken(20)).answers(".")["error"] == "OSError: the disk is gone"


# -- more rows --------------------------------------------------------------------------------


def test_more_rows_are_sent_only_when_asked_for(explore):
    page = explore(SyntheticRuns(3000))
    assert page.answers('.status == "failed"')["more"]
    page.says(ask="more")
    table = page.wait(lambda table: len(table["rows"]) == 200)
    assert positions(table) == list(range(3, 2000, 10))
    page.says(ask="more")
    table = page.wait(lambda table: len(table["rows"]) == 300)
    assert not table["more"]


def test_more_rows_of_the_table_that_stayed_after_a_mistake(explore):
    page = explore(SyntheticRuns(3000))
    page.answers('.status == "failed"')
    page.answers(".metrics.")
    page.says(ask="more")
    table = page.wait(lambda table: len(table["rows"]) == 200)
    assert "^" in table["error"]


def test_more_rows_while_the_search_goes_on(explore):
    page = explore(SyntheticRuns(60_000))
    number = page.asks(".metrics.predict_time > 2")
    page.wait(lambda table: table["number"] == number)
    page.says(ask="more")
    table = page.wait(lambda table: table["number"] == number and table["done"])
    assert (len(table["rows"]), table["matched"]) == (200, 34_800)


def test_a_page_shows_five_hundred_rows_at_most(explore):
    page = explore(SyntheticRuns(3000))
    for number in (200, 300, 400, 500):
        page.says(ask="more")
        table = page.wait(lambda table, number=number: len(table["rows"]) == number)
    assert not table["more"]


# -- rows and variables -----------------------------------------------------------------------


def test_a_row_opens_its_run(explore):
    opened = explore(SyntheticRuns(20)).reply(ask="open", position=7)["opened"]
    assert (opened["position"], opened["status"]) == (7, "succeeded")
    assert json.loads(opened["json"]) == SyntheticRuns(20).raw(7)


def test_a_run_that_is_gone_is_told(explore):
    opened = explore(SyntheticRuns(20)).reply(ask="open", position=99)["opened"]
    assert "run000099" in opened["failed"]


def test_the_runs_that_are_kept_are_put_into_a_variable(explore, put):
    page = explore(SyntheticRuns(250))
    page.answers('.status == "failed"')
    kept = page.reply(ask="keep", name="failed")["kept"]
    assert kept == {"said": "`failed` holds 25 runs", "failed": False}
    assert list(put["failed"]["id"]) == [f"run{n:06d}" for n in range(3, 250, 10)]


def test_the_rows_of_a_map_are_put_into_a_variable(explore, put):
    page = explore(SyntheticRuns(250))
    page.answers("{id}", "map")
    assert page.reply(ask="keep", name="ids")["kept"]["said"] == "`ids` holds 250 rows"
    assert list(put["ids"]["id"])[-1] == "run000249"


def test_all_rows_are_kept_also_those_that_were_not_held(explore, put):
    page = explore(SyntheticRuns(12_000))
    page.answers(".metrics.predict_time", "map")
    page.reply(ask="keep", name="times")
    assert len(put["times"]) == 12_000


def test_what_is_kept_in_mid_search_is_the_whole(explore, put):
    page = explore(SyntheticRuns(40_000))
    number = page.asks('.status == "failed"')
    page.wait(lambda table: table["number"] == number)
    page.reply(ask="keep", name="failed")
    assert len(put["failed"]) == 4000


@pytest.mark.parametrize("name", ["", "a b", "1a", "class", "a.b", "a\nb"])
def test_what_is_no_name_is_refused(explore, put, name):
    kept = explore(SyntheticRuns(20)).reply(ask="keep", name=name)["kept"]
    assert kept["failed"]
    assert "cannot be the name of a variable" in kept["said"]
    assert put == {}


# -- the end ----------------------------------------------------------------------------------

ENDING = """
import time
from synthetic_runs import SyntheticRuns
from replicate_magic.explorer import Explorer
from replicate_magic.views.explore import Question

runs = SyntheticRuns(1_000_000)
explorer = Explorer(runs, put=print)
explorer._ask(Question(program="{program}", mode="filter", number=1))
while not runs.reads:
    time.sleep(0.01)
time.sleep(0.5)
"""


@pytest.mark.parametrize("program", [".id", "def f: f; f"])
def test_an_interpreter_that_ends_in_mid_search_ends(program):
    began_s = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ENDING.replace("{program}", program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert time.monotonic() - began_s < 20


def test_what_is_given_up_before_it_has_begun_never_does():
    gate, begun = threading.Event(), []

    async def crowd():
        busy = [asyncio.create_task(bridge.apart(gate.wait)) for _ in range(bridge.APART)]
        late = asyncio.create_task(bridge.apart(lambda: begun.append(1)))
        await asyncio.sleep(0.05)
        late.cancel()
        await asyncio.wait([late])
        gate.set()
        return await asyncio.gather(*busy, bridge.apart(lambda: "free again"))

    call = bridge.Call(lambda _: crowd())
    with bridge.entered(call):
        assert call.wait(WAIT_S)
    assert call.result() == [*[True] * bridge.APART, "free again"]
    assert begun == []
    bridge.close()
