"""Many predictions at once from Python, against a server that can refuse and tear."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pandas as pd
import pytest
from replicate_server import CONCATENATED, Model, answer, become, hold, openapi, reset, say

import replicate_magic as rm
from replicate_magic import batching, session
from replicate_magic.batches import _order

QUICK = (say("Hello"), become("succeeded"))
SEEDED = openapi(
    CONCATENATED,
    prompt={"type": "string", "x-order": 0},
    seed={"type": "integer", "x-order": 1},
    temperature={"type": "number", "maximum": 1, "x-order": 2},
)


def prompts(server):
    return [one.json["input"]["prompt"] for one in server.seen("create")]


def inputs(server):
    return [one.json["input"] for one in server.seen("create")]


@pytest.fixture
def seeded(replicate):
    replicate.models["acme/seeded"] = Model(official=True, schema=SEEDED)
    return replicate


@pytest.fixture
def begin(replicate):
    """Begins a batch in the background."""

    def begun(model="acme/poet", **given):
        options = {
            "concurrency": None, "timeout": None, "cached": False,
            "tag": None, "log": True, "save": True, "force": False, "max_cost": None,
        }  # fmt: skip
        going = given.pop("keep_going", False)
        named = {name: given.pop(name, default) for name, default in options.items()}
        rows, grid, repeat = (given.pop(name, None) for name in ("rows", "grid", "repeat"))
        order = _order(
            model, rows, grid, repeat or 1, None, given, named.pop("concurrency"),
            named.pop("timeout"), **named,
        )  # fmt: skip
        view = batching.NoBatchView()
        return batching.begin(order, view, lambda _: None, keep_going=going)

    return begun


def test_each_row_each_combination_and_each_repeat_is_one_request(seeded):
    seeded.tells(*QUICK)
    rows = pd.DataFrame({"text": ["a", "b"], "label": [1, 2]})

    frame = rm.batch(
        "acme/seeded", rows=rows, prompt="Sum up {{row.text}}", grid={"temperature": [0.1, 0.9]},
        repeat=2, tag="sums",
    )  # fmt: skip

    assert len(seeded.seen("create")) == 8
    assert frame["prompt"].tolist() == ["Sum up a"] * 4 + ["Sum up b"] * 4
    assert frame["input.temperature"].tolist() == [0.1, 0.1, 0.9, 0.9] * 2
    assert frame["input.seed"].tolist() == [1, 2] * 4
    assert frame["row.label"].tolist() == [1] * 4 + [2] * 4
    assert frame["status"].tolist() == ["succeeded"] * 8
    assert frame["output"].tolist() == ["Hello"] * 8
    assert frame["tag"].tolist() == ["sums"] * 8
    assert frame["id"].is_unique
    assert set(frame["id"]) == {one["id"] for one in seeded.predictions}


def test_the_models_stand_side_by_side(replicate):
    replicate.tells(*QUICK)
    frame = rm.batch(["acme/poet", "acme/sketch"], rows=["a", "b"], prompt="{{row}}")

    assert frame["model"].tolist() == ["acme/poet", "acme/sketch"] * 2
    assert frame["prompt"].tolist() == ["a", "a", "b", "b"]


def test_no_stream_is_opened_and_few_requests_are_made(replicate):
    replicate.tells(say("Hello", after_s=0.1), become("succeeded"))
    rm.batch("acme/poet", rows=range(24), prompt="n {{row}}", concurrency=8)

    assert not replicate.seen("stream")
    assert len(replicate.seen("create")) == 24
    assert len(replicate.seen("get")) <= 48
    assert len(replicate.seen("model")) == 1


def test_as_many_run_at_a_time_as_is_said(replicate, begin):
    replicate.tells(hold(), *QUICK)
    job = begin(rows=range(7), prompt="n {{row}}", concurrency=3)
    replicate.wait_for("create", 3)
    time.sleep(0.3)
    at_first = len(replicate.seen("create"))
    while not job.done:
        if any(one["status"] != "succeeded" for one in replicate.predictions):
            replicate.release()
        time.sleep(0.05)

    assert at_first == 3
    assert job.wait()["status"].tolist() == ["succeeded"] * 7


def test_those_that_fail_stay_in_the_frame_and_are_told(replicate):
    failed = (become("failed", error="The model refused."),)
    replicate.tells_in_turn(QUICK, failed, QUICK)
    with pytest.raises(rm.BatchFailed) as caught:
        rm.batch("acme/poet", rows=["a", "b", "c"], prompt="{{row}}", concurrency=1)
    frame = caught.value.frame

    assert frame["status"].tolist() == ["succeeded", "failed", "succeeded"]
    assert frame["error"].tolist()[1] == "The model refused."
    assert "1 of 3 predictions did not succeed: 1 failed." in str(caught.value)
    assert "request 2 (acme/poet): The model refused." in str(caught.value)
    assert f"%replicate resume {frame['local.batch'][0]}" in str(caught.value)


def test_keep_going_raises_nothing(replicate):
    replicate.tells_in_turn((become("failed", error="No."),), QUICK)
    frame = rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}", concurrency=1, keep_going=True)

    assert frame["status"].tolist() == ["failed", "succeeded"]


def test_without_credit_nothing_more_is_created_and_the_rest_is_kept(replicate):
    replicate.tells(*QUICK)
    no_credit = answer(402, {"title": "Insufficient credit", "detail": "Top up.", "status": 402})
    replicate.fails("create", None, no_credit, always=no_credit)
    with pytest.raises(rm.BatchFailed, match="No more were sent") as caught:
        rm.batch("acme/poet", rows=range(20), prompt="n {{row}}", concurrency=1)
    frame = caught.value.frame

    assert len(replicate.seen("create")) == 2
    assert frame["status"].tolist() == ["succeeded", *["not sent"] * 19]
    assert frame["id"].isna().tolist() == [False, *[True] * 19]
    assert frame["error"][2].startswith("Not sent:")


def test_a_value_that_the_schema_refuses_is_told_before_anything_is_sent(seeded):
    with pytest.raises(rm.InputError) as caught:
        rm.batch("acme/seeded", prompt="x", grid={"temperature": [0.1, 7, 8]})

    assert "Request 2 (temperature=7)" in str(caught.value)
    assert "Request 3 (temperature=8)" in str(caught.value)
    assert not seeded.seen("create")


def test_rows_without_the_column_send_nothing(replicate):
    with pytest.raises(rm.CellError, match="no column txt"):
        rm.batch("acme/poet", rows=[{"text": "a"}], prompt="{{row.txt}}")

    assert not replicate.seen("create")


@pytest.mark.slow
def test_a_create_that_breaks_off_is_looked_up_and_not_sent_again(replicate):
    replicate.tells(*QUICK)
    replicate.fails("create", None, reset())
    frame = rm.batch(
        "acme/poet", rows=["a", "b", "c"], prompt="{{row}}", concurrency=1, keep_going=True
    )

    assert prompts(replicate) == ["a", "b", "c"]
    assert frame["status"].tolist() == ["succeeded", "not sent", "succeeded"]
    assert "not clear whether the prediction was created" in frame["error"][1]


def test_a_generator_is_read_no_faster_than_its_requests_are_sent(replicate, begin):
    replicate.tells(hold(), *QUICK)
    read = []

    def rows():
        for number in itertools.count():
            read.append(number)
            yield {"n": number}

    job = begin(rows=rows(), prompt="n {{row.n}}", concurrency=2)
    replicate.wait_for("create", 2)
    time.sleep(0.3)
    few = len(read)
    job.cancel()
    replicate.until(lambda: job.done)

    assert few <= 4
    assert job.tally.total is None
    assert job.frame["status"].tolist()[:2] == ["canceled", "canceled"]


def test_a_generator_that_breaks_ends_the_batch_and_keeps_what_is_done(replicate):
    replicate.tells(*QUICK)

    def rows():
        yield "a"
        yield "b"
        raise RuntimeError("the file is gone")

    with pytest.raises(rm.BatchFailed, match="the file is gone") as caught:
        rm.batch("acme/poet", rows=rows(), prompt="{{row}}", concurrency=1)

    assert caught.value.frame["status"].tolist() == ["succeeded", "succeeded"]


def test_one_request_is_canceled_and_the_others_go_on(replicate, begin):
    replicate.tells(hold(), *QUICK)
    job = begin(rows=["a", "b", "c"], prompt="{{row}}", concurrency=2)
    replicate.wait_for("get", 2)
    job.cancel(2)
    for _ in range(3):  # as a page says it until it is heard
        job.cancel(0)
    replicate.wait_for("cancel")
    while not job.done:
        if any(one["status"] not in {"succeeded", "canceled"} for one in replicate.predictions):
            replicate.release()
        time.sleep(0.05)

    assert len(replicate.seen("cancel")) == 1
    assert job.frame["status"].tolist() == ["canceled", "succeeded", "not sent"]
    assert job.frame["error"][2] == "Canceled before it was sent."


def test_only_what_is_looked_at_is_streamed(replicate, begin):
    replicate.tells(say("Once"), hold(), become("succeeded"))
    job = begin(rows=["a", "b"], prompt="{{row}}", concurrency=2)
    replicate.wait_for("create", 2)
    replicate.until(lambda: all(entry.prediction.id for entry in job.tally.entries))
    job.look(1)
    replicate.wait_for("stream")
    replicate.until(lambda: job.tally.entries[1].prediction.streamed.text() == "Once")
    streams = replicate.seen("stream")
    watched = job.tally.entries[1].prediction.id
    job.cancel()
    replicate.until(lambda: job.done)

    assert [one.path.rpartition("/")[2] for one in streams] == [watched]


def test_cancelling_ends_all_that_run_at_once(replicate, begin):
    replicate.tells(hold(), *QUICK)
    job = begin(rows=range(20), prompt="n {{row}}", concurrency=8)
    replicate.wait_for("get", 8)
    began_s = time.monotonic()
    job.cancel()
    replicate.until(lambda: job.done)

    assert time.monotonic() - began_s < 3
    assert len(replicate.seen("cancel")) == 8
    assert len(replicate.seen("create")) == 8
    assert job.frame["status"].tolist() == ["canceled"] * 8 + ["not sent"] * 12
    assert [run["status"] for run in replicate.predictions] == ["canceled"] * 8
    assert rm.runs()["status"].tolist() == ["canceled"] * 8


def test_an_awaited_batch_leaves_the_loop_free_and_is_canceled_with_its_task(replicate):
    replicate.tells(hold(), *QUICK)

    async def main():
        task = asyncio.create_task(rm.abatch("acme/poet", rows=range(4), prompt="n {{row}}"))
        ticks = 0
        while len(replicate.seen("get")) < 4:
            await asyncio.sleep(0.01)
            ticks += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ticks

    assert asyncio.run(main()) > 3
    replicate.until(lambda: all(run["status"] == "canceled" for run in replicate.predictions))


def test_two_batches_run_at_the_same_time(replicate):
    replicate.tells(*QUICK)
    frames = {}

    def run(name):
        frames[name] = rm.batch("acme/poet", rows=range(5), prompt=f"{name} {{{{row}}}}")

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(prompts(replicate)) == sorted(f"{name} {n}" for name in "ab" for n in range(5))
    assert frames["a"]["prompt"].tolist() == [f"a {n}" for n in range(5)]
    assert len(set(frames["b"]["local.batch"])) == 1
    assert frames["a"]["local.batch"][0] != frames["b"]["local.batch"][0]


def test_the_frame_answers_jq(replicate):
    replicate.tells(*QUICK)
    frame = rm.batch("acme/poet", rows=["a", "b"], prompt="{{row}}")

    assert frame.jq.map(".input.prompt")["value"].tolist() == ["a", "b"]
    assert frame.jq.filter(".local.batch_item == 1")["prompt"].tolist() == ["b"]


def test_a_job_tells_what_there_is_while_it_runs(replicate, begin):
    replicate.tells_in_turn(QUICK, (hold(), *QUICK))
    job = begin(rows=["a", "b", "c"], prompt="{{row}}", concurrency=1)
    replicate.wait_for("create", 2)
    replicate.until(lambda: job.tally.entries[1].prediction.id)
    frame = job.frame
    with pytest.raises(TimeoutError, match="goes on"):
        job.wait(timeout=0.1)
    told = repr(job)
    replicate.release()
    job.wait(10)

    assert frame["status"].tolist()[0] == "succeeded"
    assert frame["id"].isna().tolist() == [False, False, True]
    assert frame["status"].tolist()[2] == "waiting"
    assert "1 succeeded" in told


def test_nothing_of_a_batch_is_kept_where_history_is_off(replicate):
    replicate.tells(*QUICK)
    frame = rm.batch("acme/poet", rows=["a"], prompt="{{row}}", log=False)

    assert frame["output"].tolist() == ["Hello"]
    assert len(rm.runs()) == 0
    with pytest.raises(rm.NotFound):
        rm.resume()


def test_an_empty_frame_is_told(replicate):
    with pytest.raises(rm.CellError, match="no rows"):
        rm.batch("acme/poet", rows=pd.DataFrame({"text": []}), prompt="{{row.text}}")


@pytest.mark.slow
def test_a_time_is_each_requests_own(replicate):
    replicate.tells(say("Once", after_s=0.4), become("succeeded"))
    frame = rm.batch("acme/poet", rows=range(4), prompt="n {{row}}", concurrency=1, timeout=6)

    assert frame["status"].tolist() == ["succeeded"] * 4
    assert {one.headers["cancel-after"] for one in replicate.seen("create")} == {"6s"}


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_canceled_alone(replicate):
    replicate.tells_in_turn((hold(), *QUICK), QUICK)
    with pytest.raises(rm.BatchFailed, match="time was over") as caught:
        rm.batch("acme/poet", rows=range(2), prompt="n {{row}}", concurrency=2, timeout=1)

    assert caught.value.frame["status"].tolist() == ["canceled", "succeeded"]
    session.close()
