"""Predictions that really run: waiting, canceling, deadlines, what the model can do."""

import json
import time

import pytest

MODEL = "local/smollm2-135m-instruct"

pytestmark = pytest.mark.model


def test_a_waited_prediction_comes_back_whole(api, fits):
    answer = api.post(
        f"/models/{MODEL}/predictions",
        json={"input": {"prompt": "Explain Jupyter in one sentence.", "max_tokens": 10}},
        headers={"prefer": "wait"},
    )
    prediction = answer.json()
    fits("prediction", prediction)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait"
    assert prediction["status"] == "succeeded"
    assert len("".join(prediction["output"])) > 10
    assert prediction["error"] is None


def test_the_metrics_are_measured(api):
    prediction = api.run(prompt="Explain Jupyter in one sentence.", max_tokens=10)
    assert len(prediction["output"]) <= prediction["metrics"]["output_token_count"] <= 10
    assert 20 < prediction["metrics"]["input_token_count"] < 40
    first, whole = (prediction["metrics"][n] for n in ("time_to_first_token", "predict_time"))
    assert 0 < first < whole <= prediction["metrics"]["total_time"]
    assert prediction["metrics"]["tokens_per_second"] > 1


@pytest.mark.slow
def test_a_wait_ends_after_its_seconds(api, long_input):
    began = time.monotonic()
    prediction = api.create(headers={"prefer": "wait=1"}, **long_input)
    assert 0.9 < time.monotonic() - began < 3
    assert prediction["status"] in {"starting", "processing"}
    assert "completed_at" not in prediction
    api.cancel(prediction)


def test_the_output_grows_while_it_is_processed(api, long_input):
    prediction = api.processing(**long_input)
    assert prediction["status"] == "processing"
    assert all(isinstance(chunk, str) for chunk in prediction["output"])
    have = len(prediction["output"])
    api.until(prediction, lambda shown: len(shown["output"]) > have)
    api.cancel(prediction)


def test_cancel_stops_a_running_prediction_and_keeps_what_was_measured(api, fits, long_input):
    prediction = api.processing(**long_input)
    began = time.monotonic()
    canceled = api.cancel(prediction)
    assert time.monotonic() - began < 1
    fits("prediction", canceled)
    assert canceled["status"] == "canceled"
    assert canceled["output"]
    assert canceled["metrics"]["output_token_count"] > 0
    assert api.show(canceled) == canceled


def test_cancel_is_idempotent(api):
    prediction = api.run(prompt="Hi.", max_tokens=1)
    assert api.cancel(prediction) == prediction


def test_the_second_prediction_waits_its_turn_and_can_be_canceled_there(api, long_input):
    running = api.processing(**long_input)
    queued = api.create(prompt="Hi.")
    assert api.show(queued)["status"] == "starting"
    canceled = api.cancel(queued)
    assert canceled["status"] == "canceled"
    assert canceled["output"] is None
    assert "started_at" not in canceled
    assert "predict_time" not in canceled["metrics"]
    assert api.show(running)["status"] == "processing"
    api.cancel(running)


def test_the_queue_goes_on_after_a_cancel(api, long_input):
    running = api.processing(**long_input)
    queued = api.create(prompt="Hi.", max_tokens=1)
    api.cancel(running)
    assert api.final(queued)["status"] == "succeeded"


def test_the_same_seed_gives_the_same_text(api):
    values = {"prompt": "Tell me a story.", "max_tokens": 8, "temperature": 1, "seed": 7}
    first = api.run(**values)
    api.run(prompt="Something else.", max_tokens=1)
    assert api.run(**values)["output"] == first["output"]
    assert api.run(**values | {"seed": 8})["output"] != first["output"]


@pytest.mark.slow
def test_a_conversation_is_gone_on_with(api):
    said = [
        {"role": "user", "content": "Name an animal that lives in the sea."},
        {"role": "assistant", "content": "The octopus."},
        {"role": "user", "content": "Describe it in one sentence."},
    ]
    prediction = api.run(messages=said, temperature=0, max_tokens=20)
    assert "octopus" in "".join(prediction["output"])


def test_nothing_to_answer_fails_and_says_so(api):
    prediction = api.run(max_tokens=1)
    assert prediction["status"] == "failed"
    assert "give a prompt, or messages" in prediction["error"]


def test_a_drawn_seed_is_told_in_the_logs(api):
    assert "Using seed: " in api.run(prompt="Hi.", max_tokens=1)["logs"]


def test_json_schema_shapes_the_answer(api):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    prediction = api.run(
        prompt="Extract JSON: Anna is 34 and lives in Oslo.", json_schema=schema, seed=1
    )
    answer = json.loads("".join(prediction["output"]))
    assert {name: type(value) for name, value in answer.items()} == {"name": str, "age": int}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "banana"},
        {"type": 5},
        {"$ref": "#/nowhere"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"type": "string", "minLength": 10**8},
        {"enum": [str(number) for number in range(20_000)]},
    ],
)
def test_a_json_schema_that_cannot_be_used_fails_the_prediction(api, schema):
    prediction = api.run(prompt="Hi.", json_schema=schema)
    assert prediction["status"] == "failed"
    assert prediction["error"].startswith("The json_schema ")
    assert api.run(prompt="Hi.", max_tokens=1)["status"] == "succeeded"


def test_a_prompt_longer_than_the_context_fails_with_both_numbers(api, fits):
    prediction = api.run(prompt="word " * 3000)
    fits("prediction", prediction)
    assert prediction["status"] == "failed"
    assert "tokens; this model's context holds 2048" in prediction["error"]
    assert prediction["error"] in prediction["logs"]


def test_a_huge_prompt_fails_at_once(api):
    prediction = api.run(prompt="x" * 5_000_000)
    assert "5000028 characters" in prediction["error"]
    assert prediction["metrics"]["total_time"] < 2


def test_an_answer_that_was_cut_says_so(api):
    assert "Stopped after 3 tokens" in api.run(prompt="Tell a story.", max_tokens=3)["logs"]


def test_cancel_works_while_a_long_prompt_is_read(api):
    prediction = api.create(prompt="word " * 1500)
    api.until(prediction, lambda shown: shown["status"] == "processing")
    api.cancel(prediction)
    canceled = api.final(prediction)
    assert canceled["status"] == "canceled"
    assert not canceled["output"]


def test_null_is_a_seed_that_is_drawn(api):
    assert "Using seed" in api.run(prompt="Hi.", max_tokens=1, seed=None)["logs"]


def test_the_run_count_is_real(api):
    before = api.get(f"/models/{MODEL}").json()["run_count"]
    api.run(prompt="Hi.", max_tokens=1)
    assert api.get(f"/models/{MODEL}").json()["run_count"] == before + 1
