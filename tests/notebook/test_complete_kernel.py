"""Completion and help over the wire, by one kernel for the module; the cursor stands at `‸`."""

from __future__ import annotations

import os

import pytest
from jupyter_client.manager import start_new_kernel


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A kernel that has loaded nothing."""
    folder = tmp_path_factory.mktemp("kernel")
    names = {"IPYTHONDIR": str(folder / "ipython"), "REPLICATE_MAGIC_HOME": str(folder / "home")}
    manager, client = start_new_kernel(kernel_name="python3", env={**os.environ, **names})
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def answered(client, ask, marked):
    before, _, after = marked.partition("‸")
    asked = ask(before + after, len(before))
    while (reply := client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != asked:
        pass
    return reply["content"]


def complete(client, marked):
    return answered(client, client.complete, marked)


def help_at(client, marked):
    """What Shift-Tab shows, or an empty string."""
    return answered(client, client.inspect, marked)["data"].get("text/plain", "")


def run(client, code):
    return client.execute_interactive(code, store_history=False, output_hook=lambda _: None)


def value(client, expression):
    asked = {"it": expression}
    reply = client.execute_interactive("", user_expressions=asked, output_hook=lambda _: None)
    return reply["content"]["user_expressions"]["it"]["data"]["text/plain"]


LOADED = "'replicate_magic' in get_ipython().extension_manager.loaded"


def test_models_are_completed_where_nothing_is_loaded(client):
    reply = complete(client, "%%replicate lo‸")
    assert reply["matches"] == ["local/smollm2-135m-instruct", "local/waifu2x"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (12, 14)
    assert value(client, LOADED) == "False"


def test_only_the_word_at_the_cursor_is_replaced_in_a_cell_of_many_lines(client):
    text = "%%replicate local/smollm2-135m-instruct\n---\nmax_tokens: 10\ntem‸\n---\nHello {{name}}"
    reply = complete(client, text)
    assert reply["matches"] == ["temperature: "]
    start = text.index("tem‸")
    assert (reply["cursor_start"], reply["cursor_end"]) == (start, start + 3)
    [told] = reply["metadata"]["_jupyter_types_experimental"]
    assert told["type"].replace("\u00a0", " ").startswith("number, 0 to 2, default 0.2 ·")
    assert " " not in told["type"]


def test_a_prompt_is_not_completed_as_python(client):
    assert complete(client, "%%replicate local/waifu2x\nimp‸")["matches"] == []
    assert "import" in complete(client, "imp‸")["matches"]


@pytest.mark.parametrize(
    "marked",
    [
        "%%rep‸licate local/waifu2x scale=2\nHello",
        "%%replicate‸",
        "%%replicate ‸",
        "%%replicate‸ local/waifu2x",
        "%replicate‸ runs",
        "x = 1\nx = %replicate‸ run local/waifu2x",
    ],
)
def test_help_is_shown_at_the_name_of_the_magic(client, marked):
    shown = help_at(client, marked)
    assert "%%replicate MODEL [MODEL …] [key=value …] [options]" in shown
    assert "--dry-run" in shown
    assert "Examples" in shown


@pytest.mark.parametrize("asked", ["%%replicate?", "%replicate?", "?%%replicate"])
def test_a_question_mark_shows_the_help(client, asked):
    [page] = run(client, asked)["content"]["payload"]
    assert page["source"] == "page"
    assert "Name three fruits that begin with {{letter}}." in page["data"]["text/plain"]
    assert value(client, LOADED) == "True"


def test_unloading_takes_completion_away(client):
    run(client, "%load_ext replicate_magic")
    assert "runs" in complete(client, "%replicate ru‸")["matches"]
    run(client, "%unload_ext replicate_magic")
    assert "runs" not in complete(client, "%replicate ru‸")["matches"]
    threads = "[t.name for t in __import__('threading').enumerate() if 'replicate' in t.name]"
    assert value(client, threads) == "[]"
