"""The history's table and explorer as a person sees them, over real runs of a real history."""

from __future__ import annotations

import psutil
import pytest
from replicate_server import become, hold, say

APPLICATIONS = ("lab", "notebook")
both = pytest.mark.parametrize("application", APPLICATIONS)
RUN = "%%replicate acme/poet --tag {tag}\nWrite about {tag} <b>now</b>."
METRICS = {
    "predict_time": 2.4, "total_time": 3.0, "input_token_count": 12, "output_token_count": 345,
    "tokens_per_second": 143.8,
}  # fmt: skip


def tells(replicate):
    """Two runs that succeed and one that fails."""
    good = (say("Once **upon** a time"), become("succeeded", metrics=METRICS))
    replicate.tells_in_turn(good, (become("failed", error="E1001: out of <i>memory</i>"),), good)


def run_three(nb):
    for number in range(3):
        nb.run(number)
        nb.wait_idle()


CELLS = [RUN.replace("{tag}", tag) for tag in ("otters", "owls", "herons")]


@both
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_table_of_runs_is_drawn_in_place_of_pandas_own(
    open_notebook, replicate, expect, application, theme
):
    tells(replicate)
    nb = open_notebook([*CELLS, "%replicate runs", "%replicate stats"], application, theme=theme)
    run_three(nb)
    for number in (3, 4):
        nb.run(number)
        nb.wait_idle()
    table = nb.output(3).locator("table")

    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table).to_contain_text("E1001: out of <i>memory</i>")
    expect(table).to_contain_text("12 → 345")
    expect(nb.output(3)).to_contain_text("3 runs")
    expect(nb.output(4)).to_contain_text("67 %")
    assert table.locator("i, b").count() == 0
    nb.output(4).scroll_into_view_if_needed()
    nb.shot(f"{application}-runs-{theme}")


@both
def test_the_explorer_of_the_history_filters_opens_and_keeps(
    open_notebook, replicate, expect, application
):
    tells(replicate)
    nb = open_notebook([*CELLS, "%replicate explore"], application)
    run_three(nb)
    nb.run(3)
    nb.wait_idle()
    shown = nb.output(3).locator(".replicate-explore")
    rows = shown.locator("tbody tr")
    expect(rows).to_have_count(3)
    shown.get_by_role("textbox", name="jq").press_sequentially('.local.tag == "owls"')
    expect(rows).to_have_count(1)
    rows.first.click()
    expect(shown).to_contain_text("Write about owls <b>now</b>.")
    nb.shot(f"{application}-history-explored")

    nb.save()
    kinds = [set(one.data) for one in nb.saved().cells[3].outputs if "data" in one]
    assert {"text/plain", "text/html"} <= kinds[0]


@both
def test_a_run_of_a_kernel_that_died_is_drawn_again_where_it_is_attached(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once"), hold(), say(" upon a **time**"), become("succeeded"))
    nb = open_notebook([CELLS[0], "%replicate attach"], application)
    kernel = psutil.Process(int(nb.value("__import__('os').getpid()")))
    nb.run(0)
    nb.output(0).locator(".replicate-card .answer", has_text="Once").wait_for()
    kernel.kill()  # a restart would have it cancel what it runs
    nb.restart()
    nb.run(1)
    card = nb.output(1).locator(".replicate-card")
    expect(card.locator(".answer")).to_contain_text("Once")
    nb.shot(f"{application}-attached")
    replicate.release()
    nb.wait_idle()

    expect(card).to_have_count(0)
    expect(nb.output(1).locator("strong").first).to_have_text("time")
    expect(nb.output(1).locator("table tbody tr")).to_have_count(1)
    assert len(replicate.seen("create")) == 1
