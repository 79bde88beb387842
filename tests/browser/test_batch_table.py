"""The live table of a batch as a person sees it, in JupyterLab and Notebook, in a real browser."""

from __future__ import annotations

from pathlib import Path

import nbformat
import played_batch
import pytest
from jupyter_app import poll

TESTS = str(Path(played_batch.__file__).parent)
NOTEBOOKS_OWN = "reading 'schema'"  # an error that Notebook 7.6 logs by itself
STATIC = {"text/plain", "text/html"}
both = pytest.mark.parametrize("application", ["lab", "notebook"])
themes = pytest.mark.parametrize("theme", ["light", "dark"])


class Gate:
    """What those requests wait for that are held."""

    def __init__(self, path):
        self.path = path

    def open(self):
        self.path.touch()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


@pytest.fixture
def batch(open_notebook, gate):
    """Opens a notebook whose first cell plays a batch; the notebook, and the table in it."""

    def open_(arguments, application="lab", *, shows="show", look="", more=(), **kind):
        cell = (
            f"from played_batch import *\nplay = Play({arguments}, gate={str(gate.path)!r})\n"
            f"{shows}(play, Look({look}))"
        )
        nb = open_notebook([cell, *more], application, **kind)
        nb.value(f"__import__('sys').path.insert(0, {TESTS!r})")
        nb.run(0)
        table = nb.output(0).locator(".replicate-batch")
        table.wait_for()
        return nb, table

    return open_


def rows(table):
    return table.locator("tbody tr:not(.detail)")


def row(table, number):
    return table.locator(f'tbody tr[data-number="{number}"]:not(.detail)')


def opener(table, number):
    return table.get_by_role("button", name=f"Request {number + 1}", exact=True)


def answer(table, number):
    return table.get_by_role("region", name=f"Answer of request {number + 1}", exact=True)


def overflow(nb):
    """By how many pixels the output is wider than its place."""
    return nb.output(0).evaluate("area => area.scrollWidth - area.clientWidth")


def end(nb, gate):
    gate.open()
    nb.wait_idle()


def kinds(nb):
    """The MIME types of each output in the saved file."""
    nb.save()
    return [set(one.get("data", {})) for one in nb.saved().cells[0].outputs]


def assert_at_peace(nb):
    """Nothing has left the machine, no text has run, and no error went uncaught."""
    assert nb.outside == []
    assert nb.page.evaluate("window.hacked") is None
    assert [error for error in nb.page_errors if NOTEBOOKS_OWN not in error] == []


# -- a batch ----------------------------------------------------------------------------------

COMPARED = (
    "12, models=('acme/poet', 'acme/bard'), concurrency=3, ran_s=0.2, fails={3}, "
    "holds={6, 7, 8}, params=lambda n: {'temperature': n // 2 / 10}"
)


@both
@themes
def test_a_batch_is_seen_from_its_start_to_a_static_end(batch, gate, expect, application, theme):
    nb, table = batch(COMPARED, application, theme=theme)
    expect(rows(table)).to_have_count(12)
    expect(row(table, 0)).to_contain_text("succeeded")
    expect(row(table, 0)).to_contain_text("Once upon a time")
    expect(row(table, 3)).to_contain_text("CUDA out of memory")
    expect(row(table, 7)).to_contain_text("running")
    expect(row(table, 11)).to_contain_text("waiting")
    expect(table.locator(".line")).to_contain_text("6 of 12 done · 3 running · 1 failed")
    expect(table.locator(".line")).to_contain_text("left, ends ")
    bar = table.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "6")
    expect(bar).to_have_attribute("aria-valuemax", "12")
    nb.shot(f"{application}-batch-{theme}")
    end(nb, gate)
    expect(table).to_have_count(0)
    output = nb.output(0)
    expect(output).to_contain_text("12 requests · 11 succeeded · 1 failed")
    expect(output.locator("tbody tr")).to_have_count(6)
    expect(output.get_by_alt_text("When each request waited and ran")).to_be_visible()
    nb.shot(f"{application}-batch-{theme}-end")
    assert kinds(nb) == [STATIC]
    assert_at_peace(nb)


def test_times_are_counted_by_the_page(batch, gate):
    nb, table = batch("2, holds={0, 1}")
    time = row(table, 0).locator(".amount").first

    def counted_alone():
        before, messages = time.inner_text(), len(nb.received)
        poll(lambda: time.inner_text() != before, "another time")
        return len(nb.received) == messages

    poll(counted_alone, "a time that no message told")
    end(nb, gate)


def test_a_batch_of_unknown_length_is_counted(batch, gate, expect):
    nb, table = batch("6, holds={4, 5}, total=False")
    expect(table.locator(".line")).to_contain_text("4 done · 2 running")
    assert table.get_by_role("progressbar").get_attribute("aria-valuenow") is None
    nb.shot("lab-batch-of-unknown-length")
    end(nb, gate)


# -- rows that are opened ---------------------------------------------------------------------


@both
def test_a_row_that_is_opened_is_streamed_until_it_is_shut(batch, gate, expect, application):
    nb, table = batch("4, concurrency=2, holds={0, 1}", application)
    expect(row(table, 1)).to_contain_text("running")
    row(table, 1).locator("td.answer").click()
    expect(opener(table, 1)).to_have_attribute("aria-expanded", "true")
    expect(answer(table, 1)).to_contain_text("a lighthouse that nobody had lit")
    expect(row(table, 1)).to_contain_text("streaming")
    expect(row(table, 0)).to_contain_text("running")
    nb.shot(f"{application}-batch-opened")
    before = len(answer(table, 1).inner_text())
    poll(lambda: len(answer(table, 1).inner_text()) > before, "more of the answer")
    opener(table, 1).click()
    expect(answer(table, 1)).to_have_count(0)
    end(nb, gate)
    assert nb.value("play.looked") == "[(1, True), (1, False)]"
    assert_at_peace(nb)


def test_one_that_has_ended_shows_the_whole_answer_and_what_it_was_asked(batch, gate, expect):
    long = "says={0: 'one\\n' * 5_000 + 'THE END'}, prompts={0: 'Say it often.'}"
    nb, table = batch(f"3, ran_s=0.1, holds={{2}}, {long}")
    expect(row(table, 0)).to_contain_text("succeeded")
    opener(table, 0).click()
    expect(answer(table, 0)).to_contain_text("THE END")
    expect(table.locator(".detail .prompt")).to_have_text("Say it often.")
    assert answer(table, 0).evaluate("box => box.clientHeight") < 500
    end(nb, gate)


@both
def test_the_table_is_used_with_the_keyboard_alone(batch, gate, expect, application):
    nb, table = batch("4, ran_s=0.1, concurrency=4, holds={2, 3}", application)
    expect(row(table, 1)).to_contain_text("succeeded")
    table.get_by_role("radio", name="all 4").focus()
    nb.page.keyboard.press("Tab")
    expect(opener(table, 0)).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "End", "Home", "ArrowDown"):
        nb.page.keyboard.press(key)
    expect(opener(table, 1)).to_be_focused()
    nb.page.keyboard.press("Enter")
    expect(answer(table, 1)).to_contain_text("Once upon a time")
    nb.shot(f"{application}-batch-keyboard")
    nb.page.keyboard.press("Escape")
    expect(answer(table, 1)).to_have_count(0)
    nb.page.keyboard.press("End")
    nb.page.keyboard.press("Tab")
    expect(table.get_by_role("button", name="Cancel request 4")).to_be_focused()
    nb.page.keyboard.press("Space")
    expect(row(table, 3)).to_contain_text("canceled")
    end(nb, gate)
    assert nb.value("set(play.canceled)") == "{3}"  # said until it is heard


# -- canceling --------------------------------------------------------------------------------


@both
def test_one_is_canceled_while_the_cell_blocks(batch, gate, expect, application):
    nb, table = batch("4, concurrency=2, holds={0, 1}", application)
    table.get_by_role("button", name="Cancel request 2", exact=True).click()
    expect(row(table, 1)).to_contain_text("canceled")
    expect(row(table, 0)).to_contain_text("running")
    nb.shot(f"{application}-batch-one-canceled")
    end(nb, gate)
    assert nb.value("set(play.canceled)") == "{1}"


@both
def test_all_are_canceled_while_the_cell_blocks(batch, expect, application):
    nb, table = batch("30, concurrency=2, holds={0, 1}", application)
    table.get_by_role("button", name="Cancel all").click()
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("30 requests · 2 canceled · 28 not sent")
    assert nb.value("set(play.canceled)") == "{None}"
    nb.shot(f"{application}-batch-canceled")
    assert_at_peace(nb)


def test_where_no_click_reaches_the_kernel_the_page_says_what_does(batch, expect):
    nb, table = batch("500, concurrency=2, ran_s=0.3, holds={0}", subshells="disabled")
    cancel = table.get_by_role("button", name="Cancel all")
    cancel.click()
    note = table.locator(".note")
    expect(note).to_contain_text("Interrupting the kernel cancels all")
    before = table.locator(".line").inner_text().split()[0]
    poll(lambda: table.locator(".line").inner_text().split()[0] != before, "another one done")
    expect(note).to_contain_text("Interrupting the kernel cancels all")
    expect(cancel).to_have_text("Cancel all")
    nb.shot("lab-batch-unheard")
    nb.interrupt()
    nb.wait_idle()
    expect(table).to_have_count(0)
    expect(nb.output(0)).to_contain_text("Interrupted.")
    assert kinds(nb)[0] == STATIC


# -- many -------------------------------------------------------------------------------------


def test_two_thousand_rows_stay_quick_and_few_are_in_the_page(batch, expect):
    watch = (
        "window.long = []; new PerformanceObserver((list) => { for (const one of "
        "list.getEntries()) window.long.push(one.duration) }).observe({ type: 'longtask' })"
    )
    nb, table = batch("2_000, concurrency=40, ran_s=0.1, fails=set(range(5, 2_000, 100))")
    nb.page.evaluate(watch)
    before = len(nb.received)
    seen = []

    def counted():
        if table.count():
            seen.append(rows(table).count())
        return not table.count()

    poll(counted, "the end")
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("2,000 requests · 1,980 succeeded · 20 failed")
    assert max(seen) == 25
    assert len(seen) > 10
    assert max([*nb.page.evaluate("window.long"), 0]) < 500
    received = nb.received[before:-20]  # without the document
    assert max(received) < 100_000
    assert sum(received) < 2_000 * 800
    assert_at_peace(nb)


def test_rows_are_found_by_page_and_by_what_became_of_them(batch, gate, expect):
    nb, table = batch("200, concurrency=20, ran_s=0.1, fails={5, 77}, holds={180, 181}")
    expect(table.locator(".line")).to_contain_text("198 of 200 done · 2 running · 2 failed")
    expect(table.locator(".where")).to_have_text("176 to 200 of 200")  # it has followed
    table.get_by_role("button", name="Previous").click()
    expect(table.locator(".where")).to_have_text("151 to 175 of 200")
    expect(table.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    table.get_by_text("failed 2").click()
    expect(rows(table)).to_have_count(2)
    expect(row(table, 77)).to_contain_text("CUDA out of memory")
    nb.shot("lab-batch-failed")
    table.get_by_text("running 2").click()
    expect(rows(table)).to_have_count(2)
    expect(row(table, 181)).to_contain_text("running")
    table.get_by_text("all 200").click()
    expect(table.locator(".where")).to_have_text("1 to 25 of 200")
    table.get_by_role("button", name="Follow").click()
    expect(table.locator(".where")).to_have_text("176 to 200 of 200")
    end(nb, gate)


@pytest.mark.parametrize(
    ("application", "theme"), [("lab", "light"), ("lab", "dark"), ("notebook", "light")]
)
def test_a_narrow_page_has_no_more_than_its_width(batch, gate, expect, application, theme):
    nb, table = batch(COMPARED, application, theme=theme, width=560)
    expect(row(table, 7)).to_contain_text("running")
    opener(table, 7).click()
    expect(answer(table, 7)).to_contain_text("lighthouse")
    assert overflow(nb) <= 0
    nb.shot(f"{application}-batch-narrow-{theme}")
    end(nb, gate)
    expect(table).to_have_count(0)
    assert overflow(nb) <= 0
    nb.shot(f"{application}-batch-narrow-{theme}-end")


# -- hostile ----------------------------------------------------------------------------------


def test_hostile_text_does_nothing_live_at_the_end_or_reopened(batch, gate, expect):
    nb, table = batch(
        "4, models=(HOSTILE, 'acme/poet'), ran_s=0.1, holds={3}, fails={1}, "
        "params=lambda n: {HOSTILE: HOSTILE}, prompts={0: HOSTILE}, "
        "says={0: HOSTILE, 2: HOSTILE * 20_000}"
    )
    expect(row(table, 0)).to_contain_text("succeeded")
    expect(row(table, 2)).to_contain_text("succeeded")
    for number in (0, 2):
        opener(table, number).click()
        expect(answer(table, number)).to_contain_text("<script>window.hacked = 1</script>")
    assert "\u202e" not in table.inner_text()
    nb.shot("lab-batch-hostile")
    end(nb, gate)
    expect(nb.output(0)).to_contain_text("<script>window.hacked = 1</script>")
    nb.shot("lab-batch-hostile-end")
    nb.save()
    saved = nb.saved()
    saved.cells[0].source += "  # by somebody else"
    nbformat.write(saved, nb.file)
    nb.reload()
    output = nb.output(0)
    expect(output.get_by_alt_text("When each request waited and ran")).to_be_visible()
    assert not nb.page.evaluate("rig.panel().content.widgets[0].model.trusted")
    drawn = "one => one.complete && one.naturalWidth === 640"
    picture = output.get_by_alt_text("When each request waited and ran")
    poll(lambda: picture.evaluate(drawn), "a picture that is drawn without trust")
    nb.shot("lab-batch-untrusted")
    assert_at_peace(nb)


# -- views that come late ---------------------------------------------------------------------


@both
def test_in_the_background_other_cells_run_meanwhile(batch, gate, expect, application):
    nb, table = batch(
        "6, concurrency=2, holds={4, 5}", application, shows="show_meanwhile", more=["print(1 + 1)"]
    )
    nb.wait_idle()
    nb.run(1)
    nb.wait_idle()
    expect(nb.output(1)).to_have_text("2")
    expect(table.locator(".line")).to_contain_text("4 of 6 done")
    gate.open()
    expect(table).to_have_count(0)
    expect(nb.output(0)).to_contain_text("6 requests · 6 succeeded")
    assert kinds(nb) == [STATIC]


@both
def test_a_page_reloaded_in_mid_run_finds_all_rows_again(batch, gate, expect, application):
    nb, table = batch(
        "300, concurrency=30, ran_s=0.1, fails={7}, holds={298, 299}", application,
        shows="show_meanwhile",
    )  # fmt: skip
    nb.wait_idle()
    expect(table.locator(".line")).to_contain_text("298 of 300 done")
    nb.save()
    nb.reload()
    expect(table.locator(".line")).to_contain_text("298 of 300 done · 2 running · 1 failed")
    expect(row(table, 299)).to_contain_text("running")
    table.get_by_text("failed 1").click()
    expect(row(table, 7)).to_contain_text("CUDA out of memory")
    opener(table, 7).click()
    expect(answer(table, 7)).to_contain_text("try a smaller one")
    gate.open()
    expect(nb.output(0)).to_contain_text("300 requests · 299 succeeded · 1 failed")
    nb.shot(f"{application}-batch-reloaded")
    assert_at_peace(nb)


@both
def test_a_page_reloaded_while_the_cell_blocks_shows_the_document_at_the_end(
    batch, gate, expect, application
):
    nb, _table = batch("6, concurrency=2, holds={4, 5}", application)
    nb.save()
    nb.reload()
    gate.open()
    expect(nb.output(0)).to_contain_text("6 requests · 6 succeeded")


def test_a_second_view_shows_the_same_and_turns_its_own_pages(batch, gate, expect):
    nb, table = batch("60, concurrency=20, ran_s=0.1, holds={58, 59}", shows="show_meanwhile")
    expect(table.locator(".line")).to_contain_text("58 of 60 done")
    second = nb.second_view(0)
    expect(second.locator(".line")).to_contain_text("58 of 60 done · 2 running")
    second.get_by_role("button", name="Previous").click()
    expect(second.locator(".where")).to_have_text("26 to 50 of 60")
    expect(table.locator(".where")).to_have_text("51 to 60 of 60")
    gate.open()
    expect(second).to_contain_text("60 requests · 60 succeeded")


@both
def test_a_table_that_is_to_stay_can_still_be_read(batch, expect, application):
    nb, table = batch(
        "60, concurrency=30, ran_s=0.1, fails={3}", application, look="keep_widget=True"
    )
    nb.wait_idle()
    expect(table.locator(".line")).to_contain_text("60 of 60 done · 1 failed")
    expect(table.get_by_role("button", name="Cancel all")).to_have_count(0)
    table.get_by_text("failed 1").click()
    opener(table, 3).click()
    expect(answer(table, 3)).to_contain_text("CUDA out of memory")
    nb.shot(f"{application}-batch-kept")
    assert kinds(nb)[0] > STATIC
