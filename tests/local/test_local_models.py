"""What a model may do, with small models in an engine of this process, behind a real socket."""

import asyncio
import re
import threading
import urllib.request
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from replicate_magic.local.model import File, Log, Metrics, ModelError, Output
from replicate_magic.local.predictions import Prediction, Predictions, now, to_json
from replicate_magic.local.runner import Runner
from replicate_magic.local.smollm2_info import INFO

PNG = b"\x89PNG not really"


class Small:
    """A model of one line; `act` is what it does."""

    def __init__(self, name, act, output=None):
        self.info = replace(
            INFO,
            name=name,
            input_schema={
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "image": {"type": "string", "format": "uri"},
                },
            },
            output_schema=output or {"type": "string"},
        )
        self._act = act

    def unavailable(self):
        return None

    def prepare(self, emit, canceled):
        pass

    def run(self, input, emit, canceled):  # noqa: A002
        self._act(input, emit, canceled)


def echo(values, emit, _canceled):
    emit(Log(text="echoing\n"))
    emit(Output(value=values["text"]))
    emit(Metrics(values={"echo_count": 1}))


def paint(_values, emit, _canceled):
    emit(Output(value=File(name="a.png", media_type="image/png", content=PNG)))


def measure(values, emit, _canceled):
    with urllib.request.urlopen(values["image"]) as image:
        emit(Output(value=image.read().decode("latin-1")))


def refuse(_values, _emit, _canceled):
    raise ModelError("This text cannot be said.")


def crash(_values, _emit, _canceled):
    raise ZeroDivisionError("by zero")


def hold(_values, emit, canceled):
    emit(Output(value="holding"))
    canceled.wait(30)


def babble(_values, emit, _canceled):
    emit(Output(value="said"))
    LATE.append(threading.Timer(0.05, emit, [Metrics(values={"late": 1})]))
    LATE[-1].start()


LATE = []
MODELS = {
    "babble": babble,
    "echo": echo,
    "paint": paint,
    "measure": measure,
    "refuse": refuse,
    "crash": crash,
    "hold": hold,
}


@pytest.fixture(scope="module")
def client(served):
    with served([Small(name, act) for name, act in MODELS.items()]) as client:
        yield client


def run(client, name, **values):
    return client.post(f"/models/local/{name}/predictions", json={"input": values}).json()


def test_an_output_that_is_no_list_is_the_value_itself(client):
    prediction = run(client, "echo", text="Hi.")
    assert prediction["output"] == "Hi."
    assert prediction["logs"] == "echoing\n"
    assert prediction["metrics"]["echo_count"] == 1


def test_a_file_output_is_a_url_that_needs_no_token(client):
    prediction = run(client, "paint")
    answer = httpx.get(prediction["output"])
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")


def test_a_model_can_fetch_a_file_that_was_uploaded(client):
    file = client.post("/files", files={"content": ("a.png", PNG, "image/png")}).json()
    prediction = run(client, "measure", image=file["urls"]["get"])
    assert prediction["output"] == PNG.decode("latin-1")
    assert prediction["input"] == {"image": file["urls"]["get"]}


def test_a_model_can_fetch_a_data_url(client):
    assert run(client, "measure", image="data:text/plain,hello")["output"] == "hello"


@pytest.mark.parametrize("change", [("expiry=", "expiry=9"), ("owner=local", "owner=x")])
def test_a_file_url_that_was_changed_is_a_404(client, change):
    url = run(client, "paint")["output"].replace(*change)
    assert httpx.get(url).status_code == 404


def test_a_refusal_is_the_predictions_error(client):
    prediction = run(client, "refuse")
    assert prediction["status"] == "failed"
    assert prediction["error"] == "This text cannot be said."


def test_a_crash_fails_the_prediction_and_the_next_one_runs(client, capsys):
    assert run(client, "crash")["error"] == "ZeroDivisionError: by zero"
    assert run(client, "crash")["status"] == "failed"
    assert "Traceback" in capsys.readouterr().err


def test_a_busy_model_does_not_hold_up_another(client):
    held = client.post(
        "/models/local/hold/predictions", json={"input": {}}, headers={"prefer": ""}
    ).json()
    assert run(client, "echo", text="Hi.")["status"] == "succeeded"
    assert client.post(held["urls"]["cancel"]).json()["status"] == "canceled"


def test_models_with_other_schemas_have_other_versions(client):
    listed = client.get("/models").json()["results"]
    assert len({model["latest_version"]["id"] for model in listed}) == len(MODELS)


def test_ids_are_unlike_each_other(client):
    ids = {run(client, "echo", text="")["id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[a-z2-7]{26}", one) for one in ids)


def test_what_a_model_says_after_its_end_is_dropped(client):
    prediction = run(client, "babble")
    LATE[0].join()
    assert client.get(prediction["urls"]["get"]).json() == prediction


async def run_into_deadlines():
    """A prediction that runs and one that waits behind it, both past their deadlines.

    Without HTTP, where a deadline is five seconds away at least.
    """
    kept = Predictions()
    runner = Runner([Small("hold", hold)], kept, keep_file=str, reachable=str)
    runner.start()

    def submit(left_s):
        at = now()
        prediction = Prediction(
            model="local/hold",
            version="0" * 64,
            input={},
            output_is_list=False,
            created_at=at,
            deadline=at + timedelta(seconds=left_s),
        )
        kept.add(prediction)
        runner.submit(prediction)
        return prediction

    running = submit(0.5)
    while not running.output:
        await running.changed.wait()
    queued = submit(0.1)
    await running.until_final(10)
    await runner.stop()
    return running, queued


def test_a_deadline_cancels_what_runs_and_aborts_what_waits(fits):
    ended = asyncio.run(run_into_deadlines())
    running, queued = (to_json(prediction, "http://127.0.0.1:1") for prediction in ended)
    fits("prediction", running)
    fits("prediction", queued)
    assert (running["status"], queued["status"]) == ("canceled", "aborted")
    assert running["deadline"] <= running["completed_at"]
    assert 0.1 <= queued["metrics"]["total_time"] < 0.5
