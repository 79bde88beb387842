"""The cell while somebody watches: a page, or a console, at the other end of a real kernel."""

from __future__ import annotations

import time

import pytest
from replicate_server import become, hold, late, log, say


def shows(text):
    """Whether a message shows this text."""
    return lambda message: text in str(message["content"].get("data", ""))


def test_the_answer_grows_under_one_display_id_at_most_ten_times_a_second(page, replicate):
    replicate.tells(*(say(f"word{n} ", after_s=0.01) for n in range(100)), become("succeeded"))
    page.run("%%replicate acme/poet\nhi")
    shown = [m for m in page.messages if m["msg_type"] in {"display_data", "update_display_data"}]
    names = {message["content"]["transient"]["display_id"] for message in shown}
    lasted = shown[-1]["came_s"] - shown[0]["came_s"]
    assert len(names) == 1
    assert 3 < len(shown) <= lasted * 10 + 7
    assert "word99" in page.shown().text


def test_the_growing_answer_is_escaped(page, replicate):
    replicate.tells(say("<b>bold</b>"), hold(), become("succeeded"))
    page.start("%%replicate acme/poet\nhi")
    message = page.wait(shows("bold"))[-1]
    assert "&lt;b&gt;" in message["content"]["data"]["text/html"]
    replicate.release()
    page.wait()


def test_interrupting_cancels_once_and_raises(page, replicate):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    page.start("%%replicate acme/poet -o mine --show\nhi")
    page.wait(shows("Once upon"))
    began = time.monotonic()
    page.manager.interrupt_kernel()
    [cancel] = replicate.wait_for("cancel")
    page.wait()
    assert cancel.at_s - began < 0.5
    assert page.shown().error.startswith("KeyboardInterrupt")
    assert "was canceled" in page.shown().told
    assert "Once upon\n\nacme/poet" in page.shown().text
    assert page.value("_.status, mine is _") == "('canceled', True)"
    assert len(replicate.seen("cancel")) == 1


def test_interrupting_while_the_create_is_under_way_cancels_what_it_made(page, replicate):
    replicate.fails("create", late(1.0))
    replicate.tells(hold(), become("succeeded"))
    page.start("%%replicate acme/poet\nhi")
    replicate.wait_for("create")
    page.manager.interrupt_kernel()
    replicate.wait_for("cancel")
    page.wait()
    assert page.shown().error.startswith("KeyboardInterrupt")
    assert len(replicate.seen("create")) == len(replicate.seen("cancel")) == 1


def test_the_next_cell_works_after_an_interrupt(page, replicate):
    replicate.tells_in_turn((say("x"), hold()), (say("fine"), become("succeeded")))
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("x"))
    page.manager.interrupt_kernel()
    page.wait()
    page.run("%%replicate acme/poet\nhi")
    assert page.shown().text.startswith("fine")


def test_a_second_interrupt_at_once_still_tells_and_keeps(page, replicate):
    replicate.tells(say("Once upon"), hold(), become("succeeded"))
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("Once upon"))
    page.manager.interrupt_kernel()
    time.sleep(0.01)  # as two presses of a key are
    page.manager.interrupt_kernel()
    page.wait()
    assert page.shown().error.startswith("KeyboardInterrupt")
    assert len(page.shown().traceback.splitlines()) < 3
    replicate.wait_for("cancel")
    assert page.value("_.text") == "'Once upon'"
    assert len(replicate.seen("cancel")) == 1


def test_logs_are_told_while_the_model_starts(page, replicate):
    replicate.tells(
        log("Downloading 31 %\n"), become("starting"), hold(), become("succeeded", output="x")
    )
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("starting: Downloading 31 %"))
    replicate.release()
    page.wait()
    assert "Downloading" not in page.shown().text


@pytest.mark.model
def test_an_engine_that_is_killed_in_mid_run_is_told_at_once(page):
    page.run(
        "import os; os.environ.pop('REPLICATE_BASE_URL'); os.environ.pop('REPLICATE_API_TOKEN')"
    )
    page.start("%%replicate local/smollm2-135m-instruct max_tokens=1500\nWrite a long story.")
    page.wait(shows("streaming"), timeout_s=60)
    killed = [p for p in children_of(page) if "replicate_magic.local" in " ".join(p.cmdline())]
    for process in killed:
        process.kill()
    page.wait()
    assert len(killed) == 1
    assert page.shown().error.startswith("EngineUnavailable")
    assert "starts it anew" in page.shown().told
    page.run("%%replicate local/smollm2-135m-instruct max_tokens=5\nHi.")
    assert "succeeded" in page.shown().text


def children_of(page):
    import psutil

    return psutil.Process(page.manager.provisioner.pid).children(recursive=True)


def test_an_error_before_anything_runs_leaves_no_unfinished_display(page, replicate):
    page.run("%%replicate acme/nobody\nhi")
    assert page.shown().bundles == []
    assert "NotFound" in page.shown().error


def test_a_console_gets_the_text_as_it_comes_and_no_updates(console, replicate):
    replicate.tells(say("Hello"), say(" world", after_s=0.4), become("succeeded", after_s=0.3))
    console.run("%%replicate acme/poet\nhi")
    kinds = {message["msg_type"] for message in console.messages}
    assert "update_display_data" not in kinds
    assert console.shown().printed.startswith("Hello world\n\nacme/poet")


def test_an_engine_and_its_kernel_end_together(page):
    page.run("import replicate_magic as rm; engine = rm.serve(); print(engine.alive)")
    assert page.shown().printed.strip() == "True"
    url = page.value("engine.base_url").strip("'")
    page.manager.shutdown_kernel(now=True)
    assert gone(url)


def gone(url, within_s=10):
    """Whether nothing answers there any more."""
    import httpx

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            return True
        time.sleep(0.05)
    return False
