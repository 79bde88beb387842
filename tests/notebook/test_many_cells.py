"""Cells that mean many requests, in real kernels."""

from __future__ import annotations

import pytest
from replicate_server import CONCATENATED, Model, become, hold, openapi, say

pytestmark = pytest.mark.slow

QUICK = (say("Hello"), become("succeeded"))
SCHEMA = openapi(
    CONCATENATED,
    prompt={"type": "string", "x-order": 0},
    temperature={"type": "number", "maximum": 1, "x-order": 1},
)
SETUP = "import pandas as pd, replicate_magic as rm\ntexts = pd.DataFrame({'text': ['a', 'b']})"


@pytest.fixture
def environment(environment, tmp_path):
    return {**environment, "REPLICATE_MAGIC_HOME": str(tmp_path / "home")}


@pytest.fixture(autouse=True)
def _model(replicate):
    replicate.models["acme/warm"] = Model(official=True, schema=SCHEMA)


def prompts(server):
    return [one.json["input"]["prompt"] for one in server.seen("create")]


def test_a_cell_of_rows_a_grid_and_models_gives_a_frame(execute, replicate):
    replicate.tells(*QUICK)
    cells = execute(
        SETUP,
        "%%replicate acme/warm --rows texts --grid temperature=0.1,0.9 -o df --tag t\n"
        "Sum up {{row.text}} with {{1 + 1}} words",
        "print(df is _, df.shape[0], df.status.tolist(), df['input.temperature'].tolist())\n"
        "print(df.jq.map('.input.prompt').value.tolist()[::2])",
        "%%replicate acme/warm acme/poet\nWhich of you?",
        "print(_.model.tolist(), _.output.tolist())",
        "x = %replicate run acme/poet --repeat 2 'hello you'\nprint(x.prompt.tolist())",
        "%%replicate acme/poet --rows texts --jq '{p: .input.prompt}' -o found\n{{row.text}}",
        "print(found.p.tolist(), type(_).__name__, 'status' in _)",
    )
    _, _, first, _, models, line, _, found = cells

    assert first.text.splitlines()[0].startswith("True 4 ['succeeded', 'succeeded'")
    assert first.text.splitlines()[0].endswith("[0.1, 0.9, 0.1, 0.9]")
    assert "['Sum up a with 2 words', 'Sum up b with 2 words']" in first.text
    assert models.text == "['acme/warm', 'acme/poet'] ['Hello', 'Hello']"
    assert line.printed.splitlines()[-1] == "['hello you', 'hello you']"
    assert found.text == "['a', 'b'] RunsFrame True"
    assert not [cell.error for cell in cells if cell.error]


def test_what_makes_no_sense_is_told_and_sends_nothing(execute, replicate):
    cells = execute(
        SETUP,
        "%%replicate acme/warm --rows texts\n{{row.txt}}",
        "%%replicate acme/warm --rows nothing\n{{row.text}}",
        "%%replicate acme/warm --grid temperature=0.1,7\nhi",
        "%%replicate acme/warm --repeat 51\nhi",
        "%%replicate acme/warm --repeat 2 --wait=5\nhi",
        "%%replicate acme/warm --rows texts --repeat 3 --dry-run\nSum up {{row.text}}",
        "%%replicate acme/warm stray --repeat 2\nhi",
        "%%replicate acme/warm --concurrency 4\nhi",
        "%%replicate acme/warm --keep-going\nhi",
        "%%replicate acme/warm --rows {{['a']}} --concurrency 4 --keep-going --dry-run\n{{row}}",
        "import os; os.environ['REPLICATE_MAGIC_REPLAY'] = 'only'",
        "%%replicate acme/warm --rows texts\n{{row.text}}",
    )
    _, column, name, value, many, wait, dry, stray, at_once, going, one, _, replay = cells

    assert "no column txt" in column.told
    assert "--rows nothing" in name.told
    assert "Request 2 (temperature=7)" in value.told
    assert "51 requests" in many.told
    assert "--yes" in many.told
    assert "--wait is for one prediction" in wait.told
    assert dry.printed.startswith("6 requests. Estimated cost: unknown.")
    assert "Sum up a" in dry.printed
    assert dry.printed.rstrip().endswith("Nothing was sent.")
    assert "stray is neither an input nor an option" in stray.told
    assert "--concurrency is for several requests, and this is one" in at_once.told
    assert "--keep-going is for several requests, and this is one" in going.told
    assert one.printed.startswith("1 request.")
    assert "BatchFailed" in replay.error
    assert not replicate.seen("create")


def test_an_interrupt_keeps_what_is_done_and_a_resume_runs_the_rest(page, replicate):
    replicate.tells_in_turn(QUICK)
    replicate.tells(say("Once"), hold(), become("succeeded"))
    page.run(SETUP)
    page.start(
        "%%replicate acme/poet --rows {{['a', 'b', 'c']}} --concurrency 1 -o df\nSay {{row}} now"
    )
    replicate.wait_for("create", 2)
    replicate.until(lambda: [p["status"] for p in replicate.predictions[1:]] == ["processing"])
    page.manager.interrupt_kernel()
    page.wait()
    error, told = page.shown().error, page.shown().told
    kept = page.value("df.status.tolist(), df is _")
    replicate.tells(*QUICK)
    page.run("x = %replicate resume")
    after = page.value("x.status.tolist(), x.output.tolist()")

    assert error.startswith("KeyboardInterrupt")
    assert "of 3 predictions 1 succeeded, 1 canceled, 1 not sent" in told
    assert "%replicate resume" in told
    assert kept == "(['succeeded', 'canceled', 'not sent'], True)"
    assert len(replicate.seen("cancel")) == 1
    assert after == "(['succeeded', 'succeeded', 'succeeded'], ['Hello', 'Hello', 'Hello'])"
    assert prompts(replicate) == ["Say a now", "Say b now", "Say b now", "Say c now"]


def test_many_run_in_the_background_and_are_waited_for(page, replicate):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    page.run("%%replicate acme/poet --repeat 3 --bg -o job\nhi")
    replicate.wait_for("create", 3)
    assert page.value("1 + 1") == "2"
    assert page.value("type(job).__name__, job.done, job is _") == "('BatchJob', False, True)"
    replicate.release()
    page.run("frame = %replicate wait")
    assert page.value("frame.status.tolist()") == "['succeeded', 'succeeded', 'succeeded']"
    page.run("%replicate wait")
    assert page.shown().printed == "Nothing runs in the background.\n"


def test_a_batch_of_which_some_fail_stops_the_notebook(execute, replicate):
    replicate.tells_in_turn(QUICK, (become("failed", error="No."),))
    failed, kept, going = execute(
        "%%replicate acme/poet --rows {{['a', 'b']}} --concurrency 1\nSay {{row}}",
        "print(_.status.tolist(), _.error.tolist())",
        "%%replicate acme/poet --rows {{['a', 'b']}} --keep-going\nSay {{row}}",
    )

    assert failed.error.startswith("BatchFailed: 1 of 2 predictions did not succeed: 1 failed.")
    assert kept.text.startswith("['succeeded', 'failed'] [")
    assert kept.text.endswith("'No.']")
    assert going.error is None
