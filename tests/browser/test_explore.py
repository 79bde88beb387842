"""The explorer as a person uses it, in JupyterLab and Notebook, in a real browser."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import synthetic_runs
from jupyter_app import poll

APPLICATIONS = ("lab", "notebook")
NOTEBOOKS_OWN = "reading 'schema'"  # an error that Notebook 7.6 logs by itself
TESTS = str(Path(synthetic_runs.__file__).parent)
SHOW = """from synthetic_runs import SyntheticRuns
from replicate_magic.explorer import Explorer
explorer = Explorer(SyntheticRuns({number}, hostile=[0]), put=get_ipython().user_ns.__setitem__)
explorer.show()"""
both = pytest.mark.parametrize("application", APPLICATIONS)


@pytest.fixture
def explore(open_notebook):
    """Opens an explorer; the notebook, and the explorer in it."""

    def open_(application="lab", *, number=3000, more=(), **kind):
        nb = open_notebook([SHOW.replace("{number}", str(number)), *more], application, **kind)
        nb.value(f"__import__('sys').path.insert(0, {TESTS!r})")
        nb.run(0)
        shown = nb.output(0).locator(".replicate-explore")
        shown.locator("tbody tr").first.wait_for()
        nb.wait_idle()
        return nb, shown

    return open_


def program(shown):
    return shown.get_by_role("textbox", name="jq")


def count(shown):
    return shown.locator(".count")


def rows(shown):
    return shown.locator("tbody tr")


def assert_at_peace(nb):
    """Nothing has left the machine, no text has run, and no error went uncaught."""
    assert nb.outside == []
    assert nb.page.evaluate("window.hacked") is None
    assert [error for error in nb.page_errors if NOTEBOOKS_OWN not in error] == []


# -- asking -----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_table_follows_the_program_that_is_typed(explore, expect, application, theme):
    nb, shown = explore(application, theme=theme)
    expect(count(shown)).to_have_text("3,000 of 3,000 runs")
    nb.shot(f"{application}-explore-{theme}")
    program(shown).press_sequentially('.status == "failed"')
    expect(count(shown)).to_have_text("300 of 3,000 runs")
    expect(rows(shown)).to_have_count(100)
    words = rows(shown).locator("td:first-child").all_inner_texts()
    assert {word.strip() for word in words} == {"failed"}
    nb.shot(f"{application}-explore-{theme}-filtered")
    assert_at_peace(nb)


def test_a_program_of_several_lines_is_asked_whole(explore, expect):
    _, shown = explore()
    program(shown).fill('.status  # of each\n== "failed"')
    expect(count(shown)).to_have_text("300 of 3,000 runs")
    assert program(shown).bounding_box()["height"] > 40


@both
def test_a_mistake_is_told_under_the_box_and_the_table_stays(explore, expect, application):
    nb, shown = explore(application)
    program(shown).press_sequentially(".metrics.")
    told = shown.locator(".error")
    expect(told).to_contain_text("^")
    expect(rows(shown)).to_have_count(100)
    expect(program(shown)).to_have_attribute("aria-invalid", "true")
    nb.shot(f"{application}-explore-error")
    program(shown).press_sequentially("predict_time > 4")
    expect(told).to_be_hidden()
    expect(count(shown)).to_have_text("540 of 3,000 runs")
    assert_at_peace(nb)


def test_runs_that_the_program_fails_on_are_counted(explore, expect):
    nb, shown = explore()
    program(shown).fill(".output[0] | ascii_downcase")
    told = shown.locator(".note")
    expect(told).to_contain_text("fails on 300 of 3,000 runs")
    expect(told).to_contain_text("run000003")
    expect(count(shown)).to_have_text("2,700 of 3,000 runs")
    nb.shot("lab-explore-note")


def test_where_nothing_is_found_it_says_so(explore, expect):
    _, shown = explore()
    program(shown).fill("false")
    expect(count(shown)).to_have_text("0 of 3,000 runs")
    expect(shown).to_contain_text("Nothing is found.")


@both
def test_outputs_and_groups_are_rows_too(explore, expect, application):
    nb, shown = explore(application)
    shown.get_by_text("map", exact=True).click()
    program(shown).fill("{model, seconds: .metrics.predict_time}")
    expect(count(shown)).to_have_text("3,000 rows from 3,000 runs")
    expect(shown.locator("th")).to_have_text(["model", "seconds"])
    nb.shot(f"{application}-explore-map")
    shown.get_by_text("all", exact=True).click()
    program(shown).fill("group_by(.model) | map({model: .[0].model, n: length})")
    expect(rows(shown)).to_have_text(["acme/painter-with-a-long-name750", "acme/poet2250"])
    nb.shot(f"{application}-explore-all")
    assert_at_peace(nb)


def test_enter_asks_at_once(explore, expect):
    _, shown = explore()
    shown.get_by_text("all", exact=True).click()
    began_s = time.monotonic()
    program(shown).fill("length")
    program(shown).press("Enter")
    expect(rows(shown)).to_have_text(["3000"])
    assert time.monotonic() - began_s < 30
    assert program(shown).input_value() == "length"


@both
def test_more_rows_come_when_they_are_asked_for(explore, expect, application):
    _, shown = explore(application)
    for number in (200, 300, 400, 500):
        shown.get_by_role("button", name="Show 100 more").click()
        expect(rows(shown)).to_have_count(number)
    expect(shown).to_contain_text("The first 500 of 3,000 are shown")
    expect(shown.get_by_role("button", name="more")).to_be_hidden()


# -- a run ------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_click_on_a_row_shows_the_run(explore, expect, application, theme):
    nb, shown = explore(application, theme=theme)
    rows(shown).nth(3).click()
    panel = shown.get_by_role("region", name="The run")
    expect(panel).to_contain_text("run000003")
    expect(panel.locator(".why")).to_have_text("E3: out of memory")
    rows(shown).nth(1).click()
    expect(panel.get_by_role("region", name="Prompt")).to_contain_text("Tell me what drift holding")
    expect(panel.get_by_role("region", name="Output")).to_contain_text("drift holding hands so")
    nb.shot(f"{application}-explore-{theme}-open")
    panel.get_by_text("JSON").click()
    expect(panel.locator("pre")).to_contain_text('"predict_time": 0.1')
    nb.shot(f"{application}-explore-{theme}-json")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    assert_at_peace(nb)


@both
def test_rows_are_reached_and_opened_with_the_keyboard(explore, expect, application):
    nb, shown = explore(application)
    shown.get_by_role("textbox", name="Variable").focus()
    nb.page.keyboard.press("Tab")  # the frame, which scrolls
    if not rows(shown).nth(0).evaluate("row => row === document.activeElement"):
        nb.page.keyboard.press("Tab")
    nb.page.keyboard.press("ArrowDown")
    nb.page.keyboard.press("ArrowDown")
    expect(rows(shown).nth(2)).to_be_focused()
    nb.page.keyboard.press("Enter")
    panel = shown.get_by_role("region", name="The run")
    expect(panel).to_contain_text("run000002")
    expect(rows(shown).nth(2)).to_have_attribute("aria-current", "true")
    nb.shot(f"{application}-explore-keyboard")
    nb.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


@both
def test_hostile_text_stays_text(explore, expect, application):
    nb, shown = explore(application)
    expect(rows(shown).nth(0)).to_contain_text("<img src=x")
    rows(shown).nth(0).click()
    panel = shown.get_by_role("region", name="The run")
    expect(panel.get_by_role("region", name="Prompt")).to_have_text(synthetic_runs.HOSTILE)
    shown.get_by_text("map", exact=True).click()
    program(shown).fill("{(.input.prompt): .input.prompt}")
    expect(shown.locator("th").first).to_contain_text("<img src=x")
    nb.shot(f"{application}-explore-hostile")
    program(shown).fill("error(\"<img src=x onerror='window.hacked = 1'>\")")
    expect(shown.locator(".note")).to_contain_text("<img src=x")
    program(shown).fill("<img src=x onerror='window.hacked = 1'>")
    expect(shown.locator(".error")).to_contain_text("<img")
    assert shown.locator("img, script").count() == 0
    assert_at_peace(nb)


# -- keeping ----------------------------------------------------------------------------------


@both
def test_the_table_is_put_into_a_variable(explore, expect, application):
    nb, shown = explore(application)
    program(shown).fill('.status == "failed"')
    expect(count(shown)).to_have_text("300 of 3,000 runs")
    shown.get_by_role("textbox", name="Variable").fill("failed")
    shown.get_by_role("button", name="Put into").click()
    expect(shown.locator(".kept")).to_have_text("`failed` holds 300 runs")
    nb.shot(f"{application}-explore-kept")
    assert nb.value("(type(failed).__name__, len(failed), set(failed['status']))") == (
        "('DataFrame', 300, {'failed'})"
    )
    shown.get_by_role("textbox", name="Variable").fill("not a name")
    shown.get_by_role("textbox", name="Variable").press("Enter")
    expect(shown.locator(".kept")).to_have_text("`not a name` cannot be the name of a variable")


# -- a large history --------------------------------------------------------------------------


@both
def test_a_hundred_thousand_runs_are_searched_while_one_types(explore, expect, application):
    nb, shown = explore(application, number=100_000)
    largest_bytes = max(nb.received)
    nb.received.clear()
    program(shown).fill(".metrics.predict_time > 4.8")
    first_s = until(shown, lambda told: "found" in told)
    whole_s = first_s + until(shown, lambda told: "2,000 of 100,000 runs" in told)
    print(f"\n{application}: first table after {first_s:.2f} s, all after {whole_s:.1f} s")
    print(f"frames: {len(nb.received)}, largest {max(nb.received)}, at first {largest_bytes} bytes")
    assert first_s < 3
    assert max(nb.received) < 100_000
    assert_at_peace(nb)


def until(shown, holds):
    """How long it takes until the count says so, in seconds."""
    began_s = time.monotonic()
    poll(lambda: holds(count(shown).inner_text()), "the count")
    return time.monotonic() - began_s


def test_a_new_program_ends_the_search_before_it(explore, expect):
    nb, shown = explore(number=100_000)
    program(shown).fill(".metrics.predict_time > 4.8")
    until(shown, lambda told: "found" in told)
    nb.shot("lab-explore-searching")
    program(shown).fill('.id == "run000005"')
    expect(rows(shown)).to_have_count(1)
    expect(count(shown)).to_have_text("1 of 100,000 runs")


# -- pages that come late, kernels that end ---------------------------------------------------


@both
def test_a_reloaded_page_shows_the_same_and_goes_on(explore, expect, application):
    nb, shown = explore(application)
    program(shown).fill('.status == "failed"')
    expect(count(shown)).to_have_text("300 of 3,000 runs")
    nb.save()
    nb.reload()
    expect(count(shown)).to_have_text("300 of 3,000 runs")
    assert program(shown).input_value() == '.status == "failed"'
    program(shown).fill('.status == "succeeded"')
    expect(count(shown)).to_have_text("2,700 of 3,000 runs")


def test_a_second_view_shows_the_same(explore, expect):
    nb, shown = explore()
    second = nb.second_view(0).locator(".replicate-explore")
    program(shown).fill('.status == "failed"')
    expect(count(second)).to_have_text("300 of 3,000 runs")
    assert program(second).input_value() == '.status == "failed"'


@both
def test_a_restarted_kernel_is_told(explore, expect, application):
    nb, shown = explore(application)
    nb.restart()
    expect(count(shown)).to_have_text("disconnected; run the cell again")


@both
def test_what_is_closed_leaves_a_table_that_stays(explore, expect, application):
    nb, shown = explore(application, more=["explorer.close()"])
    nb.run(1)
    expect(shown).to_have_count(0)
    expect(nb.output(0)).to_contain_text("3,000 of 3,000 runs; the first 10:")
    expect(nb.output(0).locator("table tr")).to_have_count(11)
    nb.shot(f"{application}-explore-closed")
    nb.save()
    assert set(nb.saved().cells[0].outputs[0].data) == {"text/plain", "text/html"}
    assert_at_peace(nb)


@both
def test_a_page_without_the_widgets_extension_has_the_first_rows(
    open_notebook, expect, application
):
    nb = open_notebook([SHOW.replace("{number}", "50")], application, widgets=False)
    nb.value(f"__import__('sys').path.insert(0, {TESTS!r})")
    nb.run(0)
    nb.wait_idle()
    nb.shot(f"{application}-explore-without-widgets")
    nb.save()
    assert "50 of 50 runs" in nb.saved().cells[0].outputs[0].data["text/plain"]


# -- looks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("application", "theme"), [("lab", "light"), ("lab", "dark"), ("notebook", "light")]
)
def test_a_narrow_page_scrolls_the_table_in_itself(explore, expect, application, theme):
    nb, shown = explore(application, width=420, height=800, theme=theme)
    rows(shown).nth(1).click()
    expect(shown.get_by_role("region", name="The run")).to_contain_text("run000001")
    nb.shot(f"{application}-explore-narrow-{theme}")
    assert shown.evaluate("all => all.scrollWidth <= all.clientWidth")
    assert shown.locator(".frame").evaluate("frame => frame.scrollWidth > frame.clientWidth")
