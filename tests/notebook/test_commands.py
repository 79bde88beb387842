"""The commands about the history, in real kernels."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

import httpx
import pytest
from replicate_server import become, hold, say

from replicate_magic.runs.history import History

pytestmark = pytest.mark.slow

CELL = "%%replicate acme/poet --tag fruit\nName {{1 + 1}} fruits."


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


def quick(text="Hello", **change):
    return say(text), become("succeeded", metrics={"predict_time": 3.0}, **change)


def test_the_table_of_runs_shows_the_first_rows_and_how_many_there_are(execute, replicate):
    replicate.tells(*quick())
    _, _, shown, found = execute(
        CELL,
        "import replicate_magic as rm\nfor _ in range(24): rm.run('acme/poet', prompt='again')",
        "%replicate runs",
        "df = %replicate runs tag=fruit limit=3\nprint(len(df), df.prompt[0])",
    )
    [bundle] = shown.bundles

    assert "Showing 20 of 25 runs" in bundle["text/plain"]
    assert "<table" in bundle["text/html"]
    assert found.text == "1 Name 2 fruits."


def test_jq_filters_maps_and_takes_all(execute, replicate):
    replicate.tells_in_turn(quick(), (become("failed", error="E1001"),))
    replicate.tells(*quick("More"))
    outputs = execute(
        CELL,
        "%replicate run acme/poet -q x",
        CELL,
        """df = %replicate runs '.status == "succeeded"'\nprint(len(df))""",
        "%replicate runs '.id'",
        "x = %replicate runs --map '{o: (.output | add)}' status=succeeded\nprint(x.o.tolist())",
        "n = %replicate runs --all length\nprint(n)",
        "threshold = 2\nx = %replicate runs --arg t={{threshold}} '.metrics.predict_time > $t'\n"
        "print(len(x))",
        """%replicate runs 'if .error then error("no") else true end'""",
        """x = %replicate runs 'if .error then error("no") else true end' --skip-errors\n"""
        "print(len(x))",
    )

    assert outputs[3].text == "2"
    assert "use %replicate runs --map '.id'" in outputs[4].printed
    assert outputs[5].text == "['More', 'Hello']"
    assert outputs[6].text == "3"
    assert outputs[7].text == "2"
    assert outputs[8].error.startswith("JqError: jq: no (run ")
    assert "failed on 1 of 3 rows" in outputs[9].printed
    assert outputs[9].text.endswith("2")


def test_deleting_says_what_it_would_and_wants_yes(execute, replicate):
    replicate.tells(*quick())
    _, asked, kept, done, left = execute(
        CELL,
        "%replicate runs --delete tag=fruit",
        "x = %replicate runs\nprint(len(x))",
        "x = %replicate runs --delete --yes '.local.tag == \"fruit\"'",
        "x = %replicate runs\nprint(len(x))",
    )

    assert asked.error.startswith("CellError: This would delete 1 run (20")
    assert "--yes does it" in asked.told
    assert kept.text == "1"
    assert done.text == "1 run deleted."
    assert left.text == "0"


def test_saved_files_go_with_the_last_row_that_names_them(execute, tmp_path):
    inside, shared = (
        tmp_path / "home" / "outputs" / "a.png",
        tmp_path / "home" / "outputs" / "b.png",
    )
    outside, database = tmp_path / "mine.png", tmp_path / "home" / "history.db"
    inside.parent.mkdir(parents=True)
    for file in (inside, shared, outside):
        file.write_bytes(b"x")
    lines = [
        json.dumps({
            "origin": "https://x/v1", "model": "o/n", "prompt": "", "output": "",
            "raw": {"id": name, "status": "succeeded", "created_at": "2026-01-01T00:00:00Z"},
            "local": {"files": [{"path": str(file)} for file in files]},
        })
        for name, files in {
            "one": [inside, shared, outside, database, Path("outputs/a.png")],
            "two": [shared.parent / ".." / "outputs" / "b.png"],
        }.items()
    ]  # fmt: skip
    (tmp_path / "old.jsonl").write_text("\n".join(lines))
    *_, done = execute(
        f"x = %replicate import {tmp_path / 'old.jsonl'}",
        "x = %replicate runs --delete --yes '.id == \"one\"'",
    )

    assert done.text == "1 run deleted, and 1 saved file."
    kept = [file.exists() for file in (inside, shared, outside, database)]
    assert kept == [False, True, True, True]


def test_the_history_goes_out_and_comes_back_in(execute, replicate, tmp_path):
    replicate.tells(*quick())
    path = tmp_path / "all runs.jsonl"
    _, out, again, back = execute(
        CELL,
        f"x = %replicate export '{path}'",
        f"x = %replicate export '{path}'",
        "import os\nos.environ['REPLICATE_MAGIC_HOME'] += '2'\n"
        f"x = %replicate import '{path}'\nprint(x.prompt.tolist(), x.tag.tolist())",
    )
    line = json.loads(path.read_text())

    assert out.text == f"{path} holds 1 run."
    assert "exists" in again.told
    assert back.text.endswith("['Name 2 fruits.'] ['fruit']")
    assert line["local"]["template"] == "Name {{1 + 1}} fruits."
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_that_is_no_run_is_named(execute, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"not": "a run"}\n')
    bad, missing = execute(
        f"%replicate import {tmp_path / 'bad.jsonl'}", f"%replicate import {tmp_path / 'none'}"
    )

    assert bad.error.startswith("HistoryError:")
    assert "line 1" in bad.told
    assert "No such file" in missing.told


def test_a_history_without_runs_has_a_table_all_the_same(execute):
    shown, filtered, figures, deleted = execute(
        "%replicate runs", "%replicate runs '.x'", "%replicate stats", "%replicate runs --delete"
    )

    assert shown.text.startswith("No runs")
    assert filtered.text.startswith("No runs")
    assert figures.text.startswith("No runs")
    assert "nothing to delete" in deleted.told


def test_status_says_where_the_history_is_and_how_big(execute, replicate, tmp_path):
    replicate.tells(*quick())
    _, shown, fields = execute(
        CELL, "%replicate status", "s = %replicate status\nprint(s.runs, s.history, s.unfinished)"
    )

    facts = dict(line.split(maxsplit=1) for line in shown.text.splitlines())
    assert facts["history"].startswith(f"{tmp_path / 'home' / 'history.db'} (1 run, ")
    assert facts["token"] == "from REPLICATE_API_TOKEN"
    assert replicate.token not in shown.text
    assert fields.text == f"1 {tmp_path / 'home' / 'history.db'} 0"


def test_stats_tells_each_models_figures_and_cost_by_given_prices(execute, replicate):
    replicate.tells(*quick())
    _, _, shown, made = execute(
        CELL,
        '%config ReplicateMagics.prices = {"acme/poet": {"predict_time": 0.5}}',
        "%replicate stats",
        "x = %replicate stats\nprint(x.cost_usd[0], x.runs[0], x.success_rate[0])",
    )

    assert "acme/poet" in shown.text
    assert made.text == "1.5 1 1.0"


def test_a_plot_is_a_picture(execute, replicate):
    pytest.importorskip("matplotlib")
    replicate.tells(*quick())
    _, _, shown, wrong = execute(CELL, CELL, "%replicate plot predict_time", "%replicate plot spee")

    assert "image/png" in shown.bundles[0]
    assert "predict_time" in wrong.told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("runs a b", "put it in quotes"),
        ("runs modl=x", "Did you mean model?"),
        ("runs limit=few", "limit=few: write a number of runs"),
        ("runs since=later", "later is no moment: write 2026-01-31"),
        ("runs --mpa .", "Did you mean --map? %replicate help runs lists them."),
        ("runs --map . --all .", "give one of them"),
        ("runs --map . --delete", "--delete goes with a filter"),
        ("runs --arg 5 .", "--arg 5: write NAME=VALUE"),
        ("runs '.a =='", "syntax error"),
        ("export", "Write %replicate export PATH."),
        ("attach a b", "b is one word too many: write %replicate attach [ID]."),
        ("attach nothing", "No run of the history has an id that begins with nothing"),
        ("statu", "Did you mean status?"),
        ("serve x", "x is one word too many: write %replicate serve."),
        ("serve --stop", "No engine runs in this kernel"),
        ("show", "Write %replicate show ID."),
        ("show nothing", "asked for at the API by its whole id"),
        (f"show {'q' * 26}", "There is no API token to ask Replicate with: %replicate login"),
        ("diff a", "Write %replicate diff A B."),
        ("diff a b c", "c is one word too many"),
        ("code ???", "%replicate runs lists them."),
        ("cancel", "Nothing runs in this kernel."),
        ("cancel x --all", "Give an id, or --all: not both."),
        ("cancel x", "No run of the history has an id that begins with x."),
        ("rerun", "Write %replicate rerun ID [key=value …]"),
        ("rerun x y", "y: behind the id only changed inputs stand"),
        ("rerun x --mpa", "There is no option --mpa."),
        ("rerun x a=1", "No run of the history has an id that begins with x."),
    ],
)
def test_a_line_that_makes_no_sense_is_told(told, line, lines_told):
    assert told in lines_told[line]


@pytest.fixture(scope="module")
def lines_told(request, tmp_path_factory):
    """What each wrong line is told, all of them by one kernel."""
    import nbformat
    from nbclient import NotebookClient

    marks = next(
        mark for mark in test_a_line_that_makes_no_sense_is_told.pytestmark
        if mark.name == "parametrize"
    )  # fmt: skip
    lines = [line for line, _ in marks.args[1]]
    cells = [nbformat.v4.new_code_cell(f"%replicate {line}") for line in lines]
    notebook = nbformat.v4.new_notebook(cells=cells)
    home = tmp_path_factory.mktemp("home")
    NotebookClient(notebook, timeout=60, allow_errors=True, kernel_name="python3").execute(
        env={**os.environ, "REPLICATE_MAGIC_HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
    )
    return {
        line: " ".join("\n".join(cell.outputs[0]["traceback"]).split())
        for line, cell in zip(lines, notebook.cells, strict=True)
    }


def test_every_command_has_a_help_text(execute):
    listed, *each = execute(
        "%replicate help", *(f"%replicate {name} -h" for name in ("runs", "attach", "plot"))
    )

    assert "  attach [ID]" in listed.printed
    assert "--skip-errors" in each[0].printed
    assert "model=owner/name" in each[0].printed
    assert "model=owner/name" not in each[1].printed
    assert each[2].printed.startswith("%replicate plot [METRIC] [filters] [options]")


def test_attach_draws_what_a_dead_kernel_had_begun(execute, replicate, environment, tmp_path):
    """The kernel is killed in the middle of a stream; the next one has the whole answer."""
    replicate.tells(say("Once"), hold(), say(" upon a time"), become("succeeded"))
    begun = execute_and_kill(environment, CELL, lambda: replicate.wait_for("stream"))
    assert begun
    replicate.release()
    replicate.until(lambda: replicate.predictions[0]["status"] == "succeeded")
    before, attached, after, nothing, again = execute(
        "x = %replicate runs\nprint(x.status.tolist(), x.tag.tolist(), x.prompt.tolist())",
        "x = %replicate attach",
        "x = %replicate runs\nprint(x.status.tolist(), x.tag.tolist(), x.output.tolist())",
        "%replicate attach",
        f"x = %replicate attach {replicate.predictions[0]['id'][:9]}",
    )

    assert before.text == "['starting'] ['fruit'] ['Name 2 fruits.']"
    assert "Once upon a time" in attached.text
    assert "acme/poet · succeeded" in attached.text
    assert after.text == "['succeeded'] ['fruit'] ['Once upon a time']"
    assert nothing.text == "Every run in the history has ended."
    assert "Once upon a time" in again.text
    assert len(replicate.seen("create")) == 1
    assert not replicate.seen("cancel")


CLIENT = """
import replicate
model = replicate.Client(base_url=_.base_url, api_token=_.token).models.get("local/waifu2x")
print(model.name)
"""


@pytest.mark.slow
def test_serve_starts_the_engine_of_this_kernel_for_other_clients(execute):
    started, client, again, status, ended, after, restarted = execute(
        "%replicate serve",
        CLIENT,
        "e = %replicate serve\nprint(e.base_url, e.token)",
        "%replicate status",
        "%replicate serve --stop",
        "print(e, e.alive)",
        "f = %replicate serve\nprint(f.token != e.token)",
    )
    address, token = again.printed.split()

    assert address in started.text
    assert "local/smollm2-135m-instruct" in started.bundles[0]["text/html"]
    assert token not in json.dumps([one.raw for one in (started, status, ended, after)])
    assert client.printed == "waifu2x\n"
    assert f"runs at {address}" in status.text
    assert "The engine has ended" in ended.printed
    assert "has ended; it was at" in after.printed
    assert after.printed.endswith("False\n")
    assert restarted.printed == "True\n"


def test_attach_tells_of_what_this_kernel_runs_itself(execute, replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    start = "import replicate_magic as rm\njob = rm.start('acme/poet', prompt='x')"
    wait = "while not job.prediction.id: pass"
    *_, nothing = execute(start, wait, "%replicate attach")

    assert nothing.printed.startswith("Nothing but what this kernel runs itself: 1 job runs.")


@pytest.mark.model
def test_a_run_of_an_engine_that_outlives_its_kernel_is_attached(engine, execute, environment):
    """As on Replicate: the kernel is killed, the prediction goes on, and the next kernel has it."""
    environment |= {"REPLICATE_BASE_URL": engine.base_url, "REPLICATE_API_TOKEN": engine.token}
    prompt = "Write a long story about a ship and its cat."
    cell = f"%%replicate local/smollm2-135m-instruct max_tokens=150 seed=1\n{prompt}"
    assert execute_and_kill(environment, cell, lambda: streaming(environment))
    before, attached, after = execute(
        "x = %replicate runs\nprint(x.status.tolist(), x.output.tolist())",
        "x = %replicate attach",
        "p = %replicate runs --map '{status, id}'\nprint(p.status.tolist())\n"
        "x = %replicate runs\nprint(x['metrics.output_token_count'][0], len(x.output[0]))",
        env=environment,
    )
    tokens, characters = map(int, after.text.splitlines()[1].split())

    assert before.text == "['starting'] ['']"
    assert "local/smollm2-135m-instruct" in attached.text
    assert "succeeded" in attached.text
    assert after.text.startswith("['succeeded']")
    assert 20 < tokens <= 150
    assert characters > 50


def streaming(environment):
    """Wait until the engine has begun to answer the newest prediction, and history has its row."""
    url = f"{environment['REPLICATE_BASE_URL']}/v1/predictions"
    headers = {"authorization": f"Bearer {environment['REPLICATE_API_TOKEN']}"}
    history = History(Path(environment["REPLICATE_MAGIC_HOME"]) / "history.db")
    began_s = time.monotonic()
    while time.monotonic() - began_s < 30:
        [newest, *_] = httpx.get(url, headers=headers).json()["results"] or [{}]
        if newest.get("status") == "processing" and history.has(newest["id"]):
            history.close()
            return
        time.sleep(0.05)
    pytest.fail("the engine has not begun")


def execute_and_kill(environment, cell, until):
    """Run a cell in a kernel, and kill it without a warning when the time has come."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(env=environment)
    try:
        client.execute(cell)
        until()
        kernel = manager.provisioner.process
        kernel.kill()
        return kernel.wait(10) is not None or sys.platform == "win32"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
