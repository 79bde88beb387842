"""A true Cog server as a model: what goes in, what comes out, how it is stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import replicate_magic as rm
from replicate_magic import errors
from replicate_magic.runs.history import the_history

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[2] / "README.md").read_text()
PNG = b"\x89PNG\r\n\x1a\n"


def rows(**query):
    return rm.runs(**query)


# -- what comes out -----------------------------------------------------------------------------


def test_words_are_seen_as_they_come(writer, until):
    job = rm.start(writer.url, prompt="bees", words=4, pause_s=0.2)
    seen = until(lambda: "bees 1 " in job.prediction.text and job.prediction)
    assert not seen.final
    assert seen.status == "processing"
    prediction = job.wait()
    assert prediction.text == "bees 0 bees 1 bees 2 bees 3 "
    assert prediction.streamed.parts() == prediction.output
    assert prediction.logs == "writing about bees\n"


def test_the_json_is_as_replicate_writes_it(writer):
    before = datetime.now(UTC)
    prediction = rm.run(writer.url, prompt="bees", voice="loud")
    assert prediction.output == ["BEES 0 ", "BEES 1 ", "BEES 2 "]
    assert prediction.input == {"prompt": "bees", "voice": "loud"}
    assert prediction.metrics["output_token_count"] == 3
    assert 0 < prediction.metrics["predict_time"] <= prediction.metrics["total_time"]
    assert before <= prediction.created_at <= prediction.started_at <= prediction.completed_at
    assert prediction.raw["error"] is None
    assert prediction.urls == {"cancel": f"{writer.url}/predictions/{prediction.id}/cancel"}


def test_a_run_has_its_row_and_is_found_by_the_address(writer):
    prediction = rm.run(f"{writer.url}/", prompt="bees", tag="mine")
    [row] = rows(model=writer.url).to_dict("records")
    assert (row["id"], row["model"], row["status"]) == (prediction.id, writer.url, "succeeded")
    assert (row["prompt"], row["output"]) == ("bees", prediction.text)
    assert row["tag"] == "mine"
    assert rows().jq.map(".metrics.output_token_count")["value"].tolist() == [3]
    assert len(rows(model="http://127.0.0.1:1")) == 0


def test_a_failure_keeps_its_words_and_its_logs(writer):
    with pytest.raises(rm.PredictionFailed, match="out of words") as caught:
        rm.run(writer.url, prompt="bees", fails=True)
    assert caught.value.prediction.output == ["bees 0 ", "bees 1 ", "bees 2 "]
    assert caught.value.prediction.logs == "writing about bees\n"
    assert rows()["status"].tolist() == ["failed"]


def test_without_the_stream_the_same_comes(writer):
    prediction = rm.run(writer.url, prompt="bees", words=3, pause_s=0.1, stream=False)
    assert prediction.text == "bees 0 bees 1 bees 2 "
    assert len(prediction.streamed) == 0


# -- what goes in -------------------------------------------------------------------------------


def test_inputs_are_checked_by_the_servers_schema(writer):
    with pytest.raises(errors.InputError, match="plain, loud"):
        rm.run(writer.url, prompt="bees", voice="shrill")
    with pytest.raises(errors.InvalidInput, match="words: 0 is less than the minimum of 1"):
        rm.run(writer.url, prompt="bees", words=0, force=True)
    assert len(rows()) == 0


def test_info_tells_the_inputs_of_the_server(writer):
    info = rm.info(writer.url)
    assert [one.name for one in info.inputs] == ["prompt", "words", "pause_s", "voice", "fails"]
    assert info.prompt_key == "prompt"
    assert info.name == writer.url
    assert "cog 0.23" in str(info)


@pytest.mark.parametrize("size_bytes", [1_000, 400_000], ids=["small", "large"])
def test_a_file_goes_in_and_another_comes_out(copier, tmp_path, size_bytes):
    data = PNG + os.urandom(size_bytes)
    path = tmp_path / "cat.png"
    path.write_bytes(data)
    prediction = rm.run(copier.url, file=path)
    [file] = prediction.files
    assert file.path.read_bytes() == data
    assert file.path.suffix == ".png"
    kept = json.dumps(the_history().find(prediction.id)[0].raw["input"])
    assert (len(kept) > size_bytes) == (size_bytes < 256_000)  # a row holds no large files


def test_a_file_in_memory_and_one_of_a_prediction_go_in(copier):
    data = PNG + bytes(300_000)
    first = rm.run(copier.url, file=data)
    assert rm.run(copier.url, file=first).files[0].path.read_bytes() == data


def test_a_file_that_is_too_large_for_a_request_is_told(copier, tmp_path):
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(101 * 1024 * 1024)
    with pytest.raises(errors.InputError, match=r"huge\.bin has more than 104,857,600 bytes"):
        rm.run(copier.url, file=path)


# -- a server that does not stream --------------------------------------------------------------


def test_logs_are_seen_while_it_runs(copier, until):
    job = rm.start(copier.url, file=PNG, steps=3, pause_s=0.4)
    seen = until(lambda: "step 2 of 3" in job.prediction.logs and job.prediction)
    assert not seen.final
    assert "step 3" not in seen.logs
    assert rows()["status"].tolist() == ["starting"]  # kept from when it was taken
    assert job.wait().ok
    assert rows()["status"].tolist() == ["succeeded"]


def test_the_logs_of_what_failed_stay_though_the_server_forgets_them(copier):
    with pytest.raises(rm.PredictionFailed, match="paper jam") as caught:
        rm.run(copier.url, file=PNG, steps=2, pause_s=0.4, fails=True)
    assert "step 1 of 2" in caught.value.prediction.logs


# -- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_cancel_ends_it_at_the_server(writer, until, stream):
    job = rm.start(writer.url, prompt="bees", words=100, pause_s=0.2, stream=stream)
    until(lambda: job.prediction.text)
    began = time.monotonic()
    job.cancel()
    until(lambda: job.done)
    assert time.monotonic() - began < 2
    assert job.prediction.status == "canceled"
    assert job.prediction.output[0] == "bees 0 "
    assert rows()["status"].tolist() == ["canceled"]
    writer.until_it_says("READY", within_s=1)


def test_a_run_that_is_over_time_is_canceled(copier):
    with pytest.raises(rm.PredictionTimeout) as caught:
        rm.run(copier.url, file=PNG, steps=100, pause_s=0.2, timeout=1)
    assert caught.value.prediction.status == "canceled"
    copier.until_it_says("READY", within_s=1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_cancels_it(writer):
    code = (
        "import sys, replicate_magic as rm\n"
        "try: rm.run(sys.argv[1], prompt='bees', words=100, pause_s=0.2)\n"
        "except KeyboardInterrupt as interrupt: print(interrupt.prediction.status)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, writer.url], stdout=subprocess.PIPE, text=True
    ) as process:
        writer.until_it_says("BUSY")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10)[0] == "canceled\n"
    writer.until_it_says("READY", within_s=1)
    assert rows()["status"].tolist() == ["canceled"]


CELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "replicate_magic")
shell.run_cell(sys.argv[1], store_history=True).raise_error()
print(json.dumps(shell.user_ns["_"].raw))
"""


def test_the_cell_of_the_readme_runs(writer):
    [cell] = re.findall(r"(?ms)^```\n(%%replicate http://localhost:5000\n.*?)^```$", README)
    cell = cell.replace("http://localhost:5000", writer.url)
    done = subprocess.run(
        [sys.executable, "-c", CELL, cell], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    raw = json.loads(done.stdout.splitlines()[-1])
    assert raw["status"] == "succeeded"
    assert "".join(raw["output"]) in done.stdout.replace("\n", " ")


# -- one at a time ------------------------------------------------------------------------------


def test_a_second_run_waits_for_the_first(writer, until):
    first = rm.start(writer.url, prompt="bees", words=5, pause_s=0.2)
    until(lambda: first.prediction.text)
    second = rm.start(writer.url, prompt="wasps")
    told = until(lambda: second.prediction.retry)
    assert told.reason == "busy with another prediction"
    assert second.wait().text == "wasps 0 wasps 1 wasps 2 "
    assert first.wait().completed_at <= second.wait().created_at


def test_a_batch_takes_turns(writer):
    frame = rm.batch(writer.url, rows=["bees", "ants", "flies"], prompt="{{row}}", words=1)
    assert frame["output"].tolist() == ["bees 0 ", "ants 0 ", "flies 0 "]
    assert set(frame["status"]) == {"succeeded"}
    assert frame["id"].nunique() == 3


def test_a_run_that_goes_on_is_no_other_kernels_to_follow(writer, until):
    job = rm.start(writer.url, prompt="bees", words=5, pause_s=0.2)
    until(lambda: job.prediction.text)
    with pytest.raises(errors.CellError, match="only to whoever began it"):
        rm.attach(job.prediction.id)
    assert job.wait().text == "bees 0 bees 1 bees 2 bees 3 bees 4 "
    assert rm.attach(job.prediction.id).ok


# -- a server that is not there yet, or not any more --------------------------------------------


def test_a_setup_is_waited_for(serve, until):
    server = serve("writer", SETUP_S="1.5")
    server.until_it_says("STARTING")
    job = rm.start(server.url, prompt="bees")
    told = until(lambda: job.prediction.retry)
    assert told.reason == "the model is being set up"
    assert job.wait().ok


def test_a_setup_that_failed_is_told_in_its_words(serve):
    server = serve("writer", SETUP_FAILS="no weights here")
    server.until_it_says("SETUP_FAILED")
    with pytest.raises(errors.ServerError, match="RuntimeError: no weights here"):
        rm.run(server.url, prompt="bees")


@pytest.mark.parametrize(
    ("model", "given"),
    [("writer", {"prompt": "bees", "words": 100}), ("copier", {"file": PNG, "steps": 100})],
)
def test_a_server_that_is_killed_is_told_and_ends_the_run(serve, until, model, given):
    server = serve(model)
    server.until_it_says("READY")
    job = rm.start(server.url, pause_s=0.2, **given)
    until(lambda: job.prediction.text or "step 1" in job.prediction.logs)
    server.kill()
    with pytest.raises(rm.PredictionFailed, match="The server ended in the middle of the run"):
        job.wait()
    assert rows()["status"].tolist() == ["failed"]
    with pytest.raises(errors.ConnectionFailed, match="No Cog server answers"):
        rm.run(server.url, **given)
