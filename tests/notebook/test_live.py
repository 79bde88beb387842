"""The cell while somebody watches: a page, or a console, at the other end of a real kernel."""

from __future__ import annotations

import time

import ipykernel
import pytest
from ipykernel.comm import Comm
from packaging.version import Version
from replicate_server import become, hold, late, log, say

pytestmark = pytest.mark.slow


def shows(text):
    """Whether a message shows this text, as a display or within the card."""
    return lambda message: text in str(message["content"].get("data", ""))


def test_the_card_is_sent_what_is_new_at_most_ten_times_a_second(page, replicate):
    replicate.tells(*(say(f"word{n} ", after_s=0.01) for n in range(100)), become("succeeded"))
    page.run("%%replicate acme/poet\nhi")
    times = [one["came_s"] for one in page.messages if one["msg_type"] == "comm_msg"]
    assert 3 < len(times) <= (times[-1] - times[0]) * 10 + 8
    assert page.card_text == "".join(f"word{n} " for n in range(100))
    sent = sum(len(str(frame.get("text", ""))) for frame in page.frames)
    assert sent < 2 * len(page.card_text)


def test_a_cell_has_one_display_whose_end_is_static(page, replicate):
    replicate.tells(say("**Hello**"), become("succeeded"))
    page.run("%%replicate acme/poet\nhi")
    shown = [m["content"] for m in page.messages if m["msg_type"].endswith("display_data")]
    first, last = shown
    assert first["transient"] == last["transient"]
    assert "application/vnd.jupyter.widget-view+json" in first["data"]
    assert first["data"]["text/plain"] == "acme/poet · starting"
    assert set(last["data"]) == {"text/plain", "text/html"}
    assert "comm_close" not in {message["msg_type"] for message in page.messages}


def test_the_text_of_the_card_is_no_markup(page, replicate):
    replicate.tells(say("<b>bold</b>"), become("succeeded"))
    page.run("%%replicate acme/poet\nhi")
    assert page.card_text == "<b>bold</b>"
    assert not any("html" in frame for frame in page.frames)


def test_a_quiet_minute_costs_no_message(page, replicate):
    replicate.tells(say("Hello"), become("processing", after_s=2.5), become("succeeded"))
    page.run("%%replicate acme/poet\nhi")
    assert len(page.frames) < 8


def test_a_card_that_is_kept_has_its_document_beside_it(page):
    page.run("%%replicate acme/poet --keep-widget\nhi")
    [bundle] = page.shown().bundles
    assert set(bundle) == {
        "text/plain", "text/html", "application/vnd.jupyter.widget-view+json",
    }  # fmt: skip
    assert "<p>Hello world</p>" in page.frames[-1]["html"]


def test_only_the_last_twenty_cards_stay_open(page):
    page.run("import ipywidgets\nfor n in range(23):\n    %replicate run acme/poet hi")
    page.run("import ipywidgets.widgets.widget as w")
    assert page.value("[type(x).__name__ for x in w._instances.values()].count('Card')") == "20"
    page.run("%unload_ext replicate_magic")
    assert page.value("len(w._instances)") == "0"


INTERRUPT_SOON = """
import os, signal, threading
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
"""


# -- in the background ------------------------------------------------------------------------


def test_a_background_cell_returns_at_once_and_ends_in_its_own_place(page, replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.run("%%replicate acme/poet --bg -o job --show\nhi")
    started = page.messages
    assert page.value("_ is job, job.done") == "(True, False)"
    page.start("print('next'); p = job.wait(); print(p.text)")
    page.wait(lambda message: "next" in message["content"].get("text", ""))
    replicate.release()
    page.wait()
    assert page.shown().printed == "next\nHello\n"
    [bundle] = page.shown_of(started).bundles
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"].startswith("Hello\n\nacme/poet · succeeded")


def test_a_background_job_can_be_canceled(page, replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.run("%%replicate acme/poet --bg -o job\nhi")
    replicate.wait_for("stream")
    page.run("job.cancel(); job.wait()")
    assert page.shown().error.startswith("PredictionFailed: acme/poet was canceled.")
    assert len(replicate.seen("cancel")) == 1


def test_interrupting_the_wait_leaves_the_job_running(page, replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.run("%%replicate acme/poet --bg -o job\nhi")
    replicate.wait_for("stream")
    page.run(INTERRUPT_SOON + "job.wait()")
    assert "goes on in the background" in page.shown().told
    assert replicate.seen("cancel") == []
    replicate.release()
    assert page.value("job.wait().text") == "'Hello'"


def test_a_background_job_that_was_never_created_says_why_in_its_place(page):
    page.run("%%replicate acme/nobody --bg -o job\nhi")
    started = page.messages
    page.run("job.wait()")
    assert page.shown().error.startswith("NotFound")
    assert page.shown_of(started).text.startswith("acme/nobody · not run\nacme/nobody: ")


def test_a_job_shows_what_jq_makes_and_holds_the_prediction(page):
    page.run("%%replicate acme/poet --bg -o job --show --jq '.output | length'\nhi")
    started = page.messages
    assert page.value("job.wait().text") == "'Hello world'"
    assert page.shown_of(started).text.startswith("2\n\nacme/poet · succeeded")


def test_unloading_ends_what_runs_in_the_background(page, replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.run("%%replicate acme/poet --bg -o job --show\nhi")
    replicate.wait_for("stream")
    page.run("%unload_ext replicate_magic")
    assert len(replicate.seen("cancel")) == 1
    assert page.value("job.prediction.status") == "'canceled'"


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
    replicate.tells_in_turn((say("Once upon"), hold()), (say("fine"), become("succeeded")))
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("Once upon"))
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
    page.wait(shows("Downloading"))
    state = page.frames[-1]["state"]
    assert (state["log"], state["percent"]) == ("Downloading 31 %", 31)
    replicate.release()
    page.wait()
    assert "Downloading" not in page.shown().text


@pytest.mark.model
def test_an_engine_that_is_killed_in_mid_run_is_told_at_once(page):
    page.run(
        "import os; os.environ.pop('REPLICATE_BASE_URL'); os.environ.pop('REPLICATE_API_TOKEN')"
    )
    page.start("%%replicate local/smollm2-135m-instruct max_tokens=1500\nWrite a long story.")
    page.wait(shows("'streaming'"), timeout_s=60)  # in quotes: the card's own script has the word
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


# -- clicks while the cell blocks -------------------------------------------------------------


@pytest.fixture
def subshell(page):
    """A thread of the kernel's that handles messages while the main one blocks."""
    if Version(ipykernel.__version__) < Version("7"):
        pytest.skip("ipykernel 6 has one thread: there only an interrupt is heard")
    request = page.client.session.msg("create_subshell_request", {})
    page.client.control_channel.send(request)
    reply = page.client.get_control_msg(timeout=30)
    return reply["content"]["subshell_id"]


def test_a_click_is_heard_while_the_cell_blocks(page, replicate, subshell):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("Hello"))
    page.tell_card(subshell, ask="cancel")
    replicate.wait_for("cancel")
    page.wait()
    assert page.shown().error.startswith("PredictionFailed: acme/poet was canceled.")
    assert any("heard" in str(message["content"]) for message in page.all)


def test_a_second_click_cancels_no_second_time(page, replicate, subshell):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    page.start("%%replicate acme/poet\nhi")
    page.wait(shows("Hello"))
    for _ in range(3):
        page.tell_card(subshell, ask="cancel")
    page.wait()
    assert len(replicate.seen("cancel")) == 1


def test_the_hook_that_keeps_clicks_out_came_with_ipykernel_7_4():
    keeps_out = hasattr(Comm, "_reply_subshell_for")
    assert keeps_out == (Version(ipykernel.__version__) >= Version("7.4"))


def test_the_bare_line_in_the_background_shows_the_answer_at_its_end(page):
    page.run("%replicate run acme/poet --bg hi")
    started = page.messages
    assert page.value("_.wait().text") == "'Hello world'"
    assert page.shown_of(started).text.startswith("Hello world\n\nacme/poet · succeeded")
