"""What is done about an earlier run of a true Cog server."""

from __future__ import annotations

import base64
import json
import threading
import uuid

import httpx
import pytest

import replicate_magic as rm
from replicate_magic.runs.history import the_history
from replicate_magic.runs.record import Record

pytestmark = pytest.mark.slow


def test_a_run_of_this_kernel_is_canceled_and_seen_to_end(writer, until):
    job = rm.start(writer.url, prompt="x", words=200, pause_s=0.1)
    until(lambda: len(job.prediction.streamed))
    [ended] = rm.cancel(job.prediction.id)

    assert ended.status == "canceled"
    assert job.done
    assert rm.show(ended.id).status == "canceled"


def test_a_run_that_another_kernel_began_is_told_to_stop(writer, until):
    name = base64.b32encode(uuid.uuid4().bytes).decode().lower().rstrip("=")
    answers = []
    body = {"input": {"prompt": "x", "words": 200, "pause_s": 0.1}}
    path = f"{writer.url}/predictions/{name}"
    other = threading.Thread(
        target=lambda: answers.append(httpx.put(path, json=body, timeout=60).json())
    )
    other.start()
    until(lambda: writer.health() == "BUSY")
    raw = {"id": name, "status": "processing", "created_at": "2026-01-01T00:00:00Z", **body}
    the_history().save(Record(raw=raw, model=writer.url, origin=writer.url))
    [told] = rm.cancel(name)
    other.join(20)

    assert answers[0]["status"] == "canceled"
    assert told.status == "processing"  # how it ended, only the other is told
    with pytest.raises(rm.NotFound):
        rm.cancel(name)


def test_a_run_is_asked_for_again_and_written_as_code(writer):
    first = rm.run(writer.url, prompt="it's", words=2)
    again = rm.rerun(first.id, words=3)
    code = rm.code(first.id)
    printed = []
    exec(code.python, {"print": printed.append})

    assert again.input == {**first.input, "words": 3}
    assert printed == [first.output]
    assert json.loads(code.curl.rpartition("-d ")[2].strip("'").replace("'\"'\"'", "'")) == {
        "input": dict(first.input)
    }
