"""A batch after a crash, an interrupt or a failure: what is missing runs, and nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from replicate_server import become, hold, late, say

import replicate_magic as rm
from replicate_magic import session
from replicate_magic.cell.hiding import Secrets
from replicate_magic.runs.batch_items import BatchItem, BatchRecord
from replicate_magic.runs.history import the_history

QUICK = (say("Hello"), become("succeeded"))
FAILED = (become("failed", error="No."),)
SCRIPT = """
import json, sys
import replicate_magic as rm
print("began", flush=True)
rm.batch("acme/poet", rows=[f"row {n}" for n in range(6)], prompt="{{row}}", concurrency=2)
"""


def prompts(server):
    return [one.json["input"]["prompt"] for one in server.seen("create")]


@pytest.fixture
def process(replicate, home):
    """A Python process that runs a batch of six, two at a time."""
    started = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    started.stdout.readline()
    yield started
    started.kill()
    started.communicate()


def test_what_failed_is_run_again_and_nothing_else(replicate):
    replicate.tells_in_turn(QUICK, FAILED, QUICK)
    replicate.tells(*QUICK)
    frame = rm.batch(
        "acme/poet", rows=list("abc"), prompt="{{row}}", concurrency=1, keep_going=True
    )
    again = rm.resume()

    assert frame["status"].tolist() == ["succeeded", "failed", "succeeded"]
    assert prompts(replicate) == ["a", "b", "c", "b"]
    assert again["status"].tolist() == ["succeeded"] * 3
    assert again["prompt"].tolist() == ["a", "b", "c"]
    assert again["id"].tolist()[::2] == frame["id"].tolist()[::2]
    assert len(rm.runs()) == 4


def test_a_batch_that_lacks_nothing_sends_nothing(replicate):
    replicate.tells(*QUICK)
    frame = rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", tag="x")
    again = rm.resume(frame["local.batch"][0][:6])

    assert len(replicate.seen("create")) == 2
    assert again["output"].tolist() == ["Hello", "Hello"]
    assert again["tag"].tolist() == ["x", "x"]


def test_a_batch_whose_process_ended_before_its_requests_were_kept_is_told_to_be_run_again(
    replicate,
):
    the_history().begin_batch(BatchRecord(id="b1", total=3))
    one = BatchItem(number=0, target="acme/poet", input={"prompt": "a"}, secrets=Secrets())
    the_history().add_items("b1", [one])

    with pytest.raises(rm.CellError, match=r"b1 has nothing to resume.*Run its cell again"):
        rm.resume()
    assert not replicate.seen("create")


def test_a_batch_some_of_whose_runs_were_deleted_is_still_resumed(replicate):
    replicate.tells(*QUICK)
    frame = rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}")
    the_history().delete([(frame["id"][0], frame["local.origin"][0])])

    assert rm.resume()["id"].tolist() == [frame["id"][1]]
    assert len(replicate.seen("create")) == 2


def test_a_process_that_is_killed_is_taken_up_by_the_next_one(replicate, process):
    """Two have ended, two run, two were never sent; all of them are created once."""
    replicate.tells_in_turn(QUICK, QUICK)
    replicate.tells(say("Once"), hold(), become("succeeded"))
    replicate.wait_for("get", 5)
    replicate.until(lambda: len(replicate.seen("create")) == 4)
    replicate.until(lambda: has_rows(4))
    process.kill()
    process.wait()
    replicate.release()
    replicate.tells(*QUICK)
    frame = rm.resume()

    assert sorted(prompts(replicate)) == [f"row {n}" for n in range(6)]
    assert frame["status"].tolist() == ["succeeded"] * 6
    assert frame["prompt"].tolist() == [f"row {n}" for n in range(6)]
    assert frame["id"].is_unique
    assert set(frame["id"]) == {one["id"] for one in replicate.predictions}


def has_rows(many):
    return len(rm.runs()) >= many


def test_what_was_created_and_never_heard_of_is_found_and_not_sent_again(replicate, process):
    """The process dies between the create and its answer: history knows nothing of it."""
    replicate.fails("create", late(30), always=late(30))
    replicate.tells(*QUICK)
    replicate.until(lambda: len(replicate.predictions) == 2)
    process.kill()
    process.wait()
    assert len(rm.runs()) == 0
    replicate.fails("create")
    frame = rm.resume()

    assert sorted(prompts(replicate)) == [f"row {n}" for n in range(6)]
    assert frame["status"].tolist() == ["succeeded"] * 6
    assert set(frame["id"]) == {one["id"] for one in replicate.predictions}
    assert rm.runs()["local.batch"].tolist() == [frame["local.batch"][0]] * 6


@pytest.mark.slow
def test_alike_requests_that_were_never_heard_of_are_each_found_once(replicate, home):
    script = SCRIPT.replace('f"row {n}" for n in range(6)', '"same" for n in range(3)')
    replicate.fails("create", late(30), always=late(30))
    replicate.tells(*QUICK)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        replicate.until(lambda: len(replicate.predictions) == 2)
        process.kill()
    replicate.fails("create")
    frame = rm.resume()

    assert len(replicate.seen("create")) == 3
    assert frame["id"].is_unique
    assert frame["status"].tolist() == ["succeeded"] * 3


def test_a_batch_that_runs_here_is_not_resumed_beside_it(replicate):
    from replicate_magic import batching
    from replicate_magic.batches import _order

    replicate.tells(hold(), *QUICK)
    order = _order(
        "acme/poet", ["a"], None, 1, None, {"prompt": "{{row}}"}, None, None,
        cached=False, tag=None, log=True, save=True, force=False, max_cost=None,
    )  # fmt: skip
    job = batching.begin(order, batching.NoBatchView(), lambda _: None, keep_going=False)
    replicate.wait_for("get")
    with pytest.raises(rm.CellError, match="runs in this process now"):
        rm.resume()
    job.cancel()
    replicate.until(lambda: job.done)


def test_what_history_answered_is_not_run_by_a_resume(replicate):
    """A batch that took an answer from history has it from there again."""
    replicate.tells(*QUICK)
    rm.run("acme/poet", prompt="a")
    replicate.tells_in_turn(FAILED)
    rm.batch(
        "acme/poet", rows=["a", "b"], prompt="{{row}}", cached=True, concurrency=1, keep_going=True
    )
    frame = rm.resume()

    assert prompts(replicate) == ["a", "b", "b"]
    assert frame["status"].tolist() == ["succeeded"] * 2


def test_a_secret_is_not_kept_and_its_request_not_sent_again(replicate):
    from replicate_server import CONCATENATED, Model, openapi

    schema = openapi(
        CONCATENATED,
        prompt={"type": "string"},
        key={"type": "string", "format": "password", "x-cog-secret": True},
    )
    replicate.models["acme/keyed"] = Model(official=True, schema=schema)
    replicate.tells_in_turn(QUICK, FAILED)
    rm.batch(
        "acme/keyed", rows=["a", "b"], prompt="{{row}}", key="hush-hush-1", concurrency=1,
        keep_going=True,
    )  # fmt: skip
    frame = rm.resume(keep_going=True)

    assert len(replicate.seen("create")) == 2
    assert frame["status"].tolist() == ["succeeded", "not sent"]
    assert "a secret, which history does not keep" in frame["error"][1]
    assert "hush-hush-1" not in json.dumps(frame.astype(str).to_dict())


def test_a_model_that_is_gone_is_told_and_sends_nothing(replicate):
    replicate.tells(*FAILED)
    rm.batch("acme/poet", rows=["a"], prompt="{{row}}", keep_going=True)
    del replicate.models["acme/poet"]
    session.the_session().close()
    for file in (os.environ["REPLICATE_MAGIC_HOME"],):
        for schema in __import__("pathlib").Path(file, "schemas").iterdir():
            schema.unlink()
    with pytest.raises(rm.NotFound):
        rm.resume()

    assert len(replicate.seen("create")) == 1


def test_no_batch_is_told(home):
    with pytest.raises(rm.NotFound, match="no batch"):
        rm.resume("nothing")
