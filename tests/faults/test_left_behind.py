"""What a process had created that ended before it knew the id is found, and not created again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from replicate_server import (
    CONCATENATED,
    TOKEN,
    Model,
    Replicate,
    answer,
    become,
    hold,
    late,
    openapi,
    reset,
    say,
)

import replicate_magic as rm
from replicate_magic import session
from replicate_magic.left_behind import look_for_left
from replicate_magic.runs.history import the_history

ROOT = Path(rm.__file__).parents[1]
QUICK = (say("Hello"), become("succeeded"))
RUN = """
import json, sys
import replicate_magic as rm
rm.run("acme/poet", tag="x", **json.loads(sys.argv[1]))
"""


@pytest.fixture
def server(monkeypatch, home):
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
        server.tells(*QUICK)
        yield server
        session.close()


@contextmanager
def process(**inputs):
    """A process that runs a prediction, and is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(inputs)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as running:
        yield running
        running.kill()


def die(server, prompt, *, fault, **inputs):
    """A process dies while the API has its request, and has not answered."""
    server.fails("create", fault)
    asked = len(server.seen("create"))
    with process(prompt=prompt, **inputs):
        server.wait_for("create", asked + 1)
    server.fails("create")


def hold_back():
    """It is heard, and nothing is done about it."""

    async def fault(_):
        await asyncio.sleep(60)

    return fault


def requests_kept():
    """How many requests history has; those that have a row go behind the caller's back."""
    with closing(sqlite3.connect(the_history().path)) as file:
        return file.execute("SELECT count(*) FROM sent").fetchone()[0]


def test_the_same_request_takes_up_what_had_been_created(server):
    die(server, "Sing.", fault=late(60))
    server.until(lambda: len(server.predictions) == 1)
    prediction = rm.run("acme/poet", prompt="Sing.")

    assert len(server.seen("create")) == 1
    assert prediction.id == server.predictions[0]["id"]
    assert prediction.text == "Hello"
    assert rm.runs()["id"].tolist() == [prediction.id]
    server.until(lambda: requests_kept() == 0)


def test_it_is_taken_up_once(server):
    die(server, "Sing.", fault=late(60))
    first, second = rm.run("acme/poet", prompt="Sing."), rm.run("acme/poet", prompt="Sing.")

    assert first.id != second.id
    assert len(server.seen("create")) == 2


def test_another_request_has_nothing_to_do_with_it(server):
    die(server, "Sing.", fault=late(60))
    rm.run("acme/poet", prompt="Dance.")

    assert len(server.seen("create")) == 2
    assert not server.seen("list")
    assert requests_kept() == 1


def test_what_was_never_created_is_created_by_the_next(server):
    die(server, "Sing.", fault=hold_back())
    prediction = rm.run("acme/poet", prompt="Sing.")

    assert prediction.ok
    assert len(server.predictions) == 1
    server.until(lambda: requests_kept() == 0)


def test_where_it_cannot_be_looked_for_nothing_is_sent(server):
    die(server, "Sing.", fault=late(60))
    server.fails("list", always=answer(500, b"down"))
    with pytest.raises(rm.ReplicateMagicError) as caught:
        rm.run("acme/poet", prompt="Sing.")

    assert "it could be paid twice" in "".join(caught.value.__notes__)
    assert len(server.seen("create")) == 1
    server.fails("list")
    assert rm.run("acme/poet", prompt="Sing.").id == server.predictions[0]["id"]


def test_attach_looks_for_all_of_it(server):
    server.tells(say("He"), hold(), say("llo"), become("succeeded"))
    die(server, "Sing.", fault=late(60))
    die(server, "Dance.", fault=hold_back())
    told = []
    [record] = look_for_left(told.append)

    assert record.id == server.predictions[0]["id"]
    assert [line.split(",")[0].split(" (")[0] for line in told] == ["acme/poet", "acme/poet"]
    assert "is in the history now" in told[0]
    assert "hardly created" in told[1]
    [row] = rm.runs().to_dict("records")
    assert (row["id"], row["prompt"], row["tag"]) == (record.id, "Sing.", "x")
    assert [one.id for one in session.the_session().unfinished()] == [record.id]
    server.release()
    assert rm.attach(record.id).text == "Hello"
    assert look_for_left(told.append) == []
    server.until(lambda: requests_kept() == 0)


def test_a_process_that_lives_has_its_request_for_itself(server):
    server.fails("create", late(2))
    with process(prompt="Sing."):
        server.wait_for("create")
        told = []

        assert look_for_left(told.append) == []
        rm.run("acme/poet", prompt="Sing.")
        assert len(server.seen("create")) == 2
        assert not told


@pytest.mark.parametrize(
    "fault",
    [
        None,
        answer(422, b'{"detail": "no"}'),
        pytest.param(answer(500, b"down"), marks=pytest.mark.slow),  # it is looked for in vain
        pytest.param(reset(), marks=pytest.mark.slow),
    ],
)
def test_nothing_is_kept_of_what_came_to_an_end(server, fault):
    server.fails("create", fault)
    job = rm.start("acme/poet", prompt="Sing.")
    with suppress(rm.ReplicateMagicError):
        job.wait()
    server.until(lambda: requests_kept() == 0)
    server.until(lambda: not list((the_history().path.parent / "driving").iterdir()))


def test_an_interrupt_leaves_nothing(server):
    server.tells(hold(), become("succeeded"))
    server.fails("create", late(0.5))
    with process(prompt="Sing.") as running:
        server.wait_for("create")
        running.send_signal(signal.SIGINT)
        running.wait(10)
    server.wait_for("cancel")

    server.until(lambda: requests_kept() == 0)
    assert rm.runs()["status"].tolist() == ["canceled"]


def test_a_secret_input_is_not_kept_and_its_run_is_found_all_the_same(server, home):
    secret = {"type": "string", "format": "password", "x-cog-secret": True}
    schema = openapi(CONCATENATED, prompt={"type": "string"}, key=secret)
    server.models["acme/poet"] = Model(official=True, schema=schema)
    die(server, "Sing.", fault=late(60), key="hunter2-and-more")
    kept = b"".join(file.read_bytes() for file in home.glob("history.db*"))

    assert requests_kept() == 1
    assert b"Sing." in kept
    assert b"hunter2" not in kept
    assert rm.run("acme/poet", prompt="Sing.", key="hunter2-and-more").ok
    assert len(server.seen("create")) == 1


def test_no_history_no_note(server):
    rm.run("acme/poet", prompt="Sing.", log=False)

    assert not the_history().path.exists()


def test_a_history_that_is_locked_holds_nothing_up_for_long(server):
    rm.run("acme/poet", prompt="makes the history")
    with closing(sqlite3.connect(the_history().path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        job = rm.start("acme/poet", prompt="Sing.")
        server.wait_for("create", 2, within_s=3)
        other.execute("COMMIT")
    assert job.wait().ok
