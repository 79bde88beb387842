"""The rig itself: what the other tests here take for granted."""

from __future__ import annotations

import time

import pytest

APPLICATIONS = pytest.mark.parametrize("application", ["lab", "notebook"])


@APPLICATIONS
def test_a_cell_shows_its_text_saves_it_and_asks_nothing_of_the_world(
    open_notebook, expect, application
):
    nb = open_notebook(["print('hello')"], application)
    nb.run(0)
    nb.wait_idle()
    expect(nb.output(0)).to_have_text("hello")
    assert nb.error_text(0) == ""
    nb.save()
    assert nb.saved().cells[0].outputs[0].text == "hello\n"
    assert nb.outside == []
    assert sum(nb.received) > 100


@APPLICATIONS
def test_an_interrupt_ends_a_cell(open_notebook, expect, application):
    nb = open_notebook(["print('begun')\nimport time; time.sleep(60)"], application)
    began = time.monotonic()
    nb.run(0)
    expect(nb.output(0)).to_contain_text("begun")
    nb.interrupt()
    nb.wait_idle()
    assert time.monotonic() - began < 30
    assert "KeyboardInterrupt" in nb.error_text(0)


@APPLICATIONS
def test_a_page_that_is_reloaded_finds_its_kernel_at_work(open_notebook, expect, application):
    cells = ["import time; print('begun'); time.sleep(4); 1 / 0", "6 * 7"]
    nb = open_notebook(cells, application)
    nb.run(0)
    expect(nb.output(0)).to_contain_text("begun")
    nb.save()
    nb.reload()
    expect(nb.output(0)).to_contain_text("begun")
    nb.wait_idle()
    nb.run(1)
    expect(nb.output(1)).to_contain_text("42")


@APPLICATIONS
def test_a_restarted_kernel_has_forgotten_all_but_its_replicate(
    open_notebook, replicate, application
):
    nb = open_notebook(["mine = 1", "mine"], application)
    nb.run_all()
    nb.wait_idle()
    nb.restart()
    nb.run(1)
    nb.wait_idle()
    assert "NameError" in nb.error_text(1)
    assert nb.value("__import__('os').environ['REPLICATE_BASE_URL']") == repr(replicate.url)


def test_the_page_cannot_reach_the_world(open_notebook):
    nb = open_notebook(["1"])
    nb.page.evaluate("void fetch('https://example.com/').catch(() => {})")
    nb.page.wait_for_event("requestfailed")
    assert nb.outside == ["https://example.com/"]


def test_an_output_has_a_second_view(open_notebook, expect):
    nb = open_notebook(["print('hello')", "print('bye')"])
    nb.run_all()
    nb.wait_idle()
    expect(nb.second_view(1)).to_have_text("bye")
    expect(nb.output(0)).to_have_text("hello")
    nb.save()
    nb.reload()
    expect(nb.output(1)).to_have_text("bye")


@APPLICATIONS
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_shot_shows_the_theme(open_notebook, application, theme):
    nb = open_notebook(["print('hello')", "1 / 0"], application, theme=theme)
    nb.run_all()
    nb.wait_idle()
    assert nb.shot(f"rig-{application}-{theme}").read_bytes().startswith(b"\x89PNG")


def test_comms_stay_off_subshells_when_told_so(open_notebook):
    nb = open_notebook(["1"], subshells="disabled")
    loads = "jupyterapp.serviceManager.settings.fetch"
    plugin = "@jupyterlab/apputils-extension:kernels-settings"
    assert nb.page.evaluate(f"{loads}('{plugin}').then((one) => one.raw)") == (
        '{"commsOverSubshells": "disabled"}'
    )
