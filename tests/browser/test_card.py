"""The live card as a person sees it, in JupyterLab and Notebook, in a real browser."""

from __future__ import annotations

import time

import pytest
from jupyter_app import poll
from replicate_server import Model, become, hold, log, openapi, say, slowly, torn

APPLICATIONS = ("lab", "notebook")
STATIC = {"text/plain", "text/html", "image/png", "image/jpeg"}
NOTEBOOKS_OWN = "reading 'schema'"  # an error that Notebook 7.6 logs by itself
CELL = "%%replicate acme/poet\nWrite a poem."
PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc"
    b"\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)
both = pytest.mark.parametrize("application", APPLICATIONS)


def card(nb, i=0):
    return nb.output(i).locator(".replicate-card")


def streams(nb, text, i=0):
    """Wait until the card of a cell shows a text; the card."""
    card(nb, i).locator(".answer", has_text=text).wait_for()
    return card(nb, i)


def kinds(nb):
    """The MIME types of each output in the saved file, by cell."""
    nb.save()
    return [
        [set(output.get("data", {})) for output in cell.outputs if output.output_type != "error"]
        for cell in nb.saved().cells
    ]


def assert_at_peace(nb):
    """Nothing has left the machine, and no error went uncaught."""
    assert nb.outside == []
    assert [error for error in nb.page_errors if NOTEBOOKS_OWN not in error] == []


# -- a run ------------------------------------------------------------------------------------


@both
def test_a_run_is_seen_from_its_start_to_a_static_end(
    open_notebook, replicate, expect, application
):
    replicate.tells(
        log("loading\n"), hold(), say("Once upon "), say("a **time**"), hold(), become("succeeded")
    )
    nb = open_notebook([CELL], application)
    nb.run(0)
    expect(card(nb).locator(".phase")).to_have_text("running")
    expect(card(nb).locator(".facts")).to_contain_text("running ")
    nb.shot(f"{application}-running")
    replicate.release()
    streams(nb, "Once upon a **time**")
    expect(card(nb).locator(".phase")).to_have_text("streaming")
    nb.shot(f"{application}-streaming")
    replicate.release()
    nb.wait_idle()
    expect(card(nb)).to_have_count(0)
    expect(nb.output(0).locator("strong")).to_have_text("time")
    nb.shot(f"{application}-succeeded")
    assert kinds(nb) == [[{"text/plain", "text/html"}]]
    assert_at_peace(nb)


@both
def test_the_seconds_are_counted_by_the_page(open_notebook, replicate, application):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    streams(nb, "Hello")
    facts = card(nb).locator(".facts")

    def counted_alone():
        before, messages = facts.inner_text(), len(nb.received)
        poll(lambda: facts.inner_text() != before, "another time")
        return len(nb.received) == messages

    poll(counted_alone, "a second that no message told")
    replicate.release()
    nb.wait_idle()


@both
def test_a_failure_is_told_in_the_cards_place(open_notebook, replicate, expect, application):
    replicate.tells(say("Once"), become("failed", error="E1001: out of <b>memory</b>"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    nb.wait_idle()
    output = nb.output(0)
    expect(output).to_contain_text("acme/poet · failed")
    expect(output).to_contain_text("E1001: out of <b>memory</b>")
    expect(output).to_contain_text("try a smaller one")
    assert nb.error_text(0).startswith("PredictionFailed")
    nb.shot(f"{application}-failed")


def test_waits_are_told_and_counted_down(open_notebook, replicate, expect):
    from replicate_server import answer

    replicate.fails("create", answer(429, {"detail": "slow down", "retry_after": 3}))
    nb = open_notebook([CELL])
    nb.run(0)
    note = card(nb).locator(".note")
    expect(note).to_contain_text(" 3 s")
    nb.shot("lab-waiting")
    expect(note).to_contain_text(" 2 s")
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("Hello world")


def test_two_cells_in_a_row_each_have_their_answer(open_notebook, replicate, expect):
    replicate.tells_in_turn((say("one"), become("succeeded")), (say("two"), become("succeeded")))
    nb = open_notebook([CELL, CELL])
    nb.run_all()
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("one")
    expect(nb.output(1)).to_contain_text("two")
    assert kinds(nb) == [[{"text/plain", "text/html"}]] * 2


def test_pictures_are_shown_as_they_arrive_and_stay(open_notebook, replicate, expect):
    schema = openapi({"type": "array", "items": {"type": "string", "format": "uri"}})
    replicate.models["acme/painter"] = Model(official=True, schema=schema)
    replicate.files = {f"{n}.png": ("image/png", PNG) for n in (1, 2)}
    urls = [f"{replicate.other_url}/files/{name}" for name in replicate.files]
    replicate.tells(become("processing", output=urls[:1]), hold(), become("succeeded", output=urls))
    nb = open_notebook(["%%replicate acme/painter\ndots"])
    nb.run(0)
    expect(card(nb).locator("img")).to_have_count(1)
    wide = "img => img.complete && img.naturalWidth === 1"
    poll(lambda: card(nb).locator("img").evaluate(wide), "a picture that is drawn")
    replicate.release()
    nb.wait_idle()
    expect(nb.output(0).locator("img")).to_have_count(2)
    assert kinds(nb) == [[{"text/plain", "text/html"}]]
    assert_at_peace(nb)


def moves(bar):
    """Wait until a bar is somewhere between its ends, and then further on."""
    poll(lambda: 0 < float(bar.get_attribute("value") or 0) < 100, "a bar on its way")
    before = float(bar.get_attribute("value"))
    poll(lambda: float(bar.get_attribute("value")) > before, "a bar that moves")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_bar_tells_how_far_files_are_on_their_way_and_goes(
    open_notebook, replicate, expect, theme
):
    file = {"type": "string", "format": "uri"}
    schema = openapi({"type": "array", "items": file}, prompt={"type": "string"}, video=file)
    replicate.models["acme/painter"] = Model(official=True, schema=schema)
    replicate.files = {name: ("image/png", PNG + bytes(9_000_000)) for name in ("a.png", "b.png")}
    urls = [f"{replicate.other_url}/files/{name}" for name in replicate.files]
    replicate.tells(hold(), become("succeeded", output=urls))
    replicate.hears_in_s["upload"] = 4
    replicate.fails("file", torn(5_000_000), slowly(6, 60), slowly(4, 60))
    nb = open_notebook(["%%replicate acme/painter video={{bytes(40_000_000)}}\nfish"], theme=theme)
    nb.run(0)
    bar = card(nb).get_by_role("progressbar", name="files on their way")
    expect(card(nb).locator(".phase")).to_have_text("sending")
    moves(bar)
    expect(card(nb).locator(".which")).to_contain_text(" of 40 MB")
    nb.shot(f"lab-sending-{theme}")
    expect(card(nb).locator(".phase")).to_have_text("starting")
    expect(bar).to_have_count(0)
    replicate.release()
    expect(card(nb).locator(".note")).to_contain_text("try 2")
    nb.shot(f"lab-saving-again-{theme}")
    moves(bar)
    expect(card(nb).locator(".which")).to_contain_text(" of 2 files")
    nb.shot(f"lab-saving-{theme}")
    nb.wait_idle()
    expect(card(nb)).to_have_count(0)
    expect(nb.output(0)).to_contain_text("2 files saved")
    assert not {"sending", "saving"}.intersection(nb.output(0).inner_text().split())
    assert kinds(nb) == [[{"text/plain", "text/html"}]]
    assert_at_peace(nb)


# -- canceling --------------------------------------------------------------------------------


@both
def test_a_click_on_cancel_cancels_while_the_cell_blocks(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    button = streams(nb, "Once upon").get_by_role("button", name="Cancel")
    clicked_s = time.monotonic()
    button.click()
    [cancel] = replicate.wait_for("cancel")
    nb.wait_idle()
    assert cancel.at_s - clicked_s < 1.0
    expect(nb.output(0)).to_contain_text("acme/poet · canceled")
    expect(nb.output(0)).to_contain_text("Once upon")
    assert nb.error_text(0).startswith("PredictionFailed: acme/poet was canceled")
    assert len(replicate.seen("cancel")) == 1
    nb.shot(f"{application}-canceled")


@both
def test_cancel_can_be_reached_and_pressed_with_the_keyboard(open_notebook, replicate, application):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    streams(nb, "Once upon").get_by_role("button", name="Copy").focus()
    nb.page.keyboard.press("Tab")
    nb.page.keyboard.press("Enter")
    replicate.wait_for("cancel")
    nb.wait_idle()


@both
def test_where_no_click_reaches_the_kernel_the_button_says_what_does(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application, subshells="disabled")
    nb.run(0)
    button = streams(nb, "Once upon").get_by_role("button", name="Cancel")
    button.click()
    expect(card(nb).get_by_text("Interrupt the kernel to cancel")).to_be_visible()
    nb.shot(f"{application}-unheard")
    assert replicate.seen("cancel") == []
    nb.interrupt()
    replicate.wait_for("cancel")
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("acme/poet · canceled")
    assert nb.error_text(0).startswith("KeyboardInterrupt: acme/poet")
    assert len(replicate.seen("cancel")) == 1


@both
def test_interrupting_cancels_and_the_next_cell_works(
    open_notebook, replicate, expect, application
):
    replicate.tells_in_turn((say("x"), hold()), (say("fine"), become("succeeded")))
    nb = open_notebook([CELL, CELL], application)
    nb.run(0)
    streams(nb, "x")
    nb.interrupt()
    replicate.wait_for("cancel")
    nb.wait_idle()
    nb.run(1)
    nb.wait_idle()
    expect(nb.output(1)).to_contain_text("fine")


# -- in the background ------------------------------------------------------------------------


@both
def test_a_background_card_goes_on_while_other_cells_run(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once "), hold(), say("upon"), hold(), become("succeeded"))
    nb = open_notebook(["%%replicate acme/poet --bg\nhi", "print('meanwhile')"], application)
    nb.run(0)
    nb.wait_idle()
    streams(nb, "Once ")
    nb.run(1)
    nb.wait_idle()
    replicate.release()
    streams(nb, "Once upon")
    replicate.release()
    expect(card(nb)).to_have_count(0)
    expect(nb.output(0)).to_contain_text("Once upon")
    expect(nb.output(1)).to_have_text("meanwhile")
    assert kinds(nb)[0] == [{"text/plain", "text/html"}]


@both
def test_a_background_run_is_canceled_by_its_button(open_notebook, replicate, expect, application):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    nb = open_notebook(["%%replicate acme/poet --bg\nhi"], application, subshells="disabled")
    nb.run(0)
    streams(nb, "Once").get_by_role("button", name="Cancel").click()
    replicate.wait_for("cancel")
    expect(nb.output(0)).to_contain_text("acme/poet · canceled")
    assert nb.error_text(0) == ""


# -- views that come late ---------------------------------------------------------------------


@both
def test_a_page_reloaded_in_mid_run_goes_on_with_the_whole_answer(
    open_notebook, replicate, expect, application
):
    replicate.tells(
        say("One 😀 "), say("two "), hold(), say("three 🎉"), hold(), become("succeeded")
    )
    nb = open_notebook(["%%replicate acme/poet --bg\nhi"], application)
    nb.run(0)
    nb.wait_idle()
    streams(nb, "One 😀 two ")
    nb.save()
    nb.reload()
    streams(nb, "One 😀 two ")
    replicate.release()
    streams(nb, "One 😀 two three 🎉")
    replicate.release()
    expect(card(nb).locator(".phase")).to_have_text("succeeded")
    nb.shot(f"{application}-reloaded")


@both
def test_a_page_reloaded_while_the_cell_blocks_shows_the_whole_when_it_ends(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("**One** "), hold(), say("two"), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    streams(nb, "One")
    nb.save()
    nb.reload()
    replicate.release()
    expect(card(nb).locator(".answer")).to_have_text("One two")
    expect(card(nb).locator(".answer strong")).to_have_text("One")
    expect(card(nb).locator(".phase")).to_have_text("succeeded")


def test_a_second_view_shows_the_same(open_notebook, replicate, expect):
    replicate.tells(say("One "), hold(), say("two"), hold(), become("succeeded"))
    nb = open_notebook(["%%replicate acme/poet --bg\nhi"])
    nb.run(0)
    streams(nb, "One ")
    second = nb.second_view(0)
    expect(second.locator(".answer")).to_have_text("One ")
    replicate.release()
    expect(second.locator(".answer")).to_have_text("One two")
    streams(nb, "One two")
    nb.shot("lab-two-views")
    replicate.release()
    expect(second).to_contain_text("acme/poet · succeeded")


def test_a_card_displayed_twice_is_drawn_twice(open_notebook, replicate, expect):
    replicate.tells(say("One "), hold(), say("two"), hold(), become("succeeded"))
    again = (
        "from ipywidgets.widgets.widget import _instances\n"
        "display(*[w for w in _instances.values() if type(w).__name__ == 'Card'])"
    )
    nb = open_notebook(["%%replicate acme/poet --bg\nhi", again])
    nb.run_all()
    streams(nb, "One ", 1)
    replicate.release()
    streams(nb, "One two", 0)
    streams(nb, "One two", 1)
    replicate.release()
    expect(card(nb, 1).locator(".phase")).to_have_text("succeeded")


@both
def test_a_saved_notebook_reopened_reads_well(open_notebook, replicate, expect, application):
    replicate.tells(say("# Otters\n\n**bold**"), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    nb.wait_idle()
    nb.save()
    nb.reload()
    expect(nb.output(0).locator("strong")).to_have_text("bold")
    expect(nb.output(0)).to_contain_text("acme/poet · succeeded")
    assert "Error" not in nb.output(0).inner_text()


@both
def test_a_card_that_is_kept_shows_the_answer_drawn(open_notebook, replicate, expect, application):
    replicate.tells(say("Some **bold** text"), become("succeeded"))
    nb = open_notebook(["%%replicate acme/poet --keep-widget\nhi"], application)
    nb.run(0)
    nb.wait_idle()
    expect(card(nb).locator(".answer strong")).to_have_text("bold")
    expect(card(nb).get_by_role("button", name="Cancel")).to_be_hidden()
    nb.shot(f"{application}-kept")


@both
def test_a_page_without_the_widgets_extension_shows_the_answer_at_the_end(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once **upon**"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application, widgets=False)
    nb.run(0)
    replicate.wait_for("stream")
    poll(lambda: nb.output(0).inner_text().strip(), "what stands in for the card")
    nb.shot(f"{application}-without-widgets")
    replicate.release()
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("acme/poet · succeeded")
    expect(nb.output(0).locator("strong")).to_have_text("upon")
    assert kinds(nb) == [[{"text/plain", "text/html"}]]


@both
def test_a_kernel_restarted_under_the_card_leaves_no_clock_running(
    open_notebook, replicate, expect, application
):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    nb = open_notebook([CELL, "print('alive')"], application)
    nb.run(0)
    streams(nb, "Once upon")
    nb.restart()
    nb.run(1)
    expect(nb.output(1)).to_have_text("alive")
    expect(card(nb).locator(".phase")).to_have_text("disconnected")
    expect(card(nb).get_by_role("button", name="Cancel")).to_be_hidden()
    nb.shot(f"{application}-restarted")
    assert nb.outside == []  # of a run that a restart ends, the page has errors of its own


# -- odd answers ------------------------------------------------------------------------------

HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">
<svg onload="window.hacked = 1"></svg>[x](javascript:window.hacked=1)
<img src="https://evil.example/pixel.png">![p](https://evil.example/p.png)
<iframe srcdoc="<script>parent.hacked = 1</script>"></iframe>
<style>* { display: none }</style>$\\href{javascript:window.hacked=1}{x}$"""


@both
def test_no_hostile_text_runs_or_fetches(open_notebook, replicate, expect, application):
    replicate.tells(
        log(f"{HOSTILE}\n"),
        say(HOSTILE),
        hold(),
        become("failed", error=HOSTILE, model=HOSTILE, urls={"web": "javascript:hacked=1"}),
    )
    nb = open_notebook(["%%replicate acme/poet --keep-widget\nhi"], application)
    nb.run(0)
    streams(nb, "window.hacked").locator("summary").click()
    expect(card(nb).locator(".lines")).to_contain_text("<script>")
    replicate.release()
    nb.wait_idle()
    expect(card(nb).locator(".why")).to_contain_text("onerror")
    nb.shot(f"{application}-hostile")
    links = card(nb).locator("a").evaluate_all("all => all.map(a => a.protocol)")
    assert "javascript:" not in links
    assert nb.page.evaluate("window.hacked") is None
    assert_at_peace(nb)


def test_a_megabyte_in_one_token_is_shown_to_its_end(open_notebook, replicate, expect):
    replicate.tells(say("word " * 200_000 + "END"), hold(), become("succeeded"))
    nb = open_notebook([CELL])
    nb.run(0)
    streams(nb, "END")
    blocks = card(nb).locator(".answer .block")
    assert blocks.count() > 50
    assert sum(map(len, blocks.all_text_contents())) == 1_000_003
    replicate.release()
    nb.wait_idle()
    expect(nb.output(0)).to_contain_text("END")


def test_half_an_emoji_in_each_of_two_chunks_is_one(open_notebook, replicate):
    replicate.tells(say("a \ud83d"), say("\ude00 b"), hold(), become("succeeded"), stream=False)
    nb = open_notebook([CELL])
    nb.run(0)
    streams(nb, "a 😀 b")
    replicate.release()
    nb.wait_idle()


def test_ten_thousand_log_lines_and_a_bar_are_folded_and_complete(open_notebook, replicate, expect):
    lines = "".join(f"line {n}\n" for n in range(10_000))
    bars = "".join(f"\r{n:3d}%|{'#' * (n // 10):<10}| {n}/100" for n in range(43))
    replicate.tells(log(lines + bars + "\n"), hold(), become("succeeded", output="x"), stream=False)
    nb = open_notebook([CELL])
    nb.run(0)
    bar = card(nb).get_by_role("progressbar", name="progress, as the logs tell")
    expect(bar).to_have_attribute("value", "42")
    summary = card(nb).locator("summary")
    expect(summary).to_contain_text("logs:  42%|####")
    assert card(nb).locator(".lines .block").count() == 0
    summary.click()
    lines_box = card(nb).locator(".lines")
    expect(lines_box).to_contain_text("line 9999")
    poll(lambda: left_below(lines_box) < 24, "the end of the logs")
    nb.shot("lab-logs")
    replicate.release()
    nb.wait_idle()


def test_text_from_right_to_left_stands_on_the_right(open_notebook, replicate):
    replicate.tells(say("שלום עולם\nhello"), hold(), become("succeeded"))
    nb = open_notebook([CELL])
    nb.run(0)
    answer = streams(nb, "hello").locator(".answer")
    box, line = answer.bounding_box(), first_line(answer)
    assert line["right"] > box["x"] + box["width"] - 20
    nb.shot("lab-right-to-left")
    replicate.release()
    nb.wait_idle()


def first_line(answer):
    """Where the first line of a text stands."""
    return answer.evaluate("""box => {
      const range = document.createRange();
      const text = box.querySelector(".block").firstChild;
      range.setStart(text, 0);
      range.setEnd(text, 5);
      const { left, right } = range.getBoundingClientRect();
      return { left, right };
    }""")


# -- reading along ----------------------------------------------------------------------------


def test_the_end_is_followed_unless_the_reader_has_scrolled_up(open_notebook, replicate):
    lines = [say(f"line {n}\n", after_s=0.002) for n in range(300)]
    replicate.tells(
        *lines[:150], hold(), *lines[150:200], hold(), *lines[200:], hold(), become("succeeded")
    )
    nb = open_notebook([CELL])
    nb.run(0)
    answer = streams(nb, "line 149").locator(".answer")
    poll(lambda: left_below(answer) < 2, "the end")
    answer.hover()
    nb.page.mouse.wheel(0, -600)
    poll(lambda: left_below(answer) > 300, "a place higher up")
    replicate.release()
    streams(nb, "line 199")
    assert left_below(answer) > 300
    nb.page.mouse.wheel(0, 100_000)
    poll(lambda: left_below(answer) < 2, "the end again")
    replicate.release()
    streams(nb, "line 299")
    poll(lambda: left_below(answer) < 2, "the end, followed")
    replicate.release()
    nb.wait_idle()


def left_below(box):
    return box.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight")


def test_the_answer_can_be_copied(open_notebook, replicate, expect):
    replicate.tells(say("Copy me 😀\n"), hold(), become("succeeded"))
    nb = open_notebook([CELL])
    nb.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    nb.run(0)
    streams(nb, "Copy me").get_by_role("button", name="Copy").click()
    expect(card(nb).get_by_role("button", name="Copied")).to_be_visible()
    assert nb.page.evaluate("navigator.clipboard.readText()") == "Copy me 😀\n"
    replicate.release()
    nb.wait_idle()


# -- looks ------------------------------------------------------------------------------------


@both
def test_the_card_is_readable_in_the_dark(open_notebook, replicate, application):
    replicate.tells(log("  7%|# \n"), say("Once upon a time"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application, theme="dark")
    nb.run(0)
    shown = streams(nb, "Once")
    nb.shot(f"{application}-dark")
    for part in (".answer", ".phase", ".facts", "button"):
        assert contrast(shown.locator(part).first) > 4.5, part
    replicate.release()
    nb.wait_idle()
    nb.shot(f"{application}-dark-succeeded")


def contrast(element):
    """Of an element's text to what is behind it (WCAG 2.2, 1.4.3)."""
    text, behind = element.evaluate("""element => {
      const colour = (one) => one.match(/[\\d.]+/g).map(Number);
      let under = element;
      while (under && (colour(getComputedStyle(under).backgroundColor)[3] ?? 1) === 0)
        under = under.parentElement;
      const [front, back] = [getComputedStyle(element), getComputedStyle(under)];
      return [colour(front.color), colour(back.backgroundColor)];
    }""")
    bright, dim = sorted((luminance(text), luminance(behind)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour):
    """Relative luminance of sRGB (WCAG 2.2)."""
    parts = [one / 255 for one in colour[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@both
def test_a_narrow_page_wraps_and_hides_nothing(open_notebook, replicate, application):
    replicate.tells(log("  7%|# \n"), say("x" * 300), hold(), become("succeeded"))
    nb = open_notebook([CELL], application, width=420, height=700)
    nb.run(0)
    shown = streams(nb, "xxx")
    nb.shot(f"{application}-narrow")
    assert shown.evaluate("card => card.scrollWidth <= card.clientWidth")
    assert shown.get_by_role("button", name="Cancel").is_visible()
    replicate.release()
    nb.wait_idle()


def test_the_end_takes_the_cards_place_without_a_jump(open_notebook, replicate):
    replicate.tells(say("One line of an answer."), hold(), become("succeeded"))
    nb = open_notebook([CELL, "1"])
    nb.run(0)
    streams(nb, "One line")
    nb.page.evaluate(WATCH_HEIGHT)
    replicate.release()
    nb.wait_idle()
    heights = nb.page.evaluate("window.heights")
    assert len(heights) > 3
    assert max(heights) - min(heights) <= 4


WATCH_HEIGHT = """() => {
  window.heights = [];
  const area = document.querySelector(".jp-Cell-outputArea");
  const note = () => {
    window.heights.push(area.getBoundingClientRect().height);
    requestAnimationFrame(note);
  };
  note();
}"""


@both
def test_screen_readers_are_told_the_names_and_the_state(
    open_notebook, replicate, expect, application
):
    replicate.tells(log("a line\n"), say("Hello"), hold(), become("succeeded"))
    nb = open_notebook([CELL], application)
    nb.run(0)
    shown = streams(nb, "Hello")
    expect(shown.get_by_role("status")).to_have_text("streaming")
    expect(shown.get_by_role("region", name="Answer")).to_have_text("Hello")
    expect(shown.get_by_role("button", name="Cancel")).to_be_visible()
    expect(shown).to_have_attribute("aria-busy", "true")
    replicate.release()
    nb.wait_idle()
