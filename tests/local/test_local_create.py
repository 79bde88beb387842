"""What a request for a prediction may say, and how it is refused."""

import json
from datetime import datetime, timedelta

import pytest

MODEL = "local/smollm2-135m-instruct"
PATH = f"/models/{MODEL}/predictions"


def refused(api, body, path=PATH, **headers):
    answer = api.post(path, json=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def version_of(api):
    return api.get(f"/models/{MODEL}").json()["latest_version"]["id"]


def test_a_new_prediction_fits_the_schema(api, fits):
    prediction = api.create(prompt="Hi.", max_tokens=1)
    fits("prediction", prediction)
    assert prediction["status"] in {"starting", "processing"}
    assert len(prediction["id"]) == 26
    assert prediction["created_at"].endswith("Z")
    assert prediction["source"] == "api"
    assert prediction["urls"].keys() == {"web", "get", "cancel", "stream"}


@pytest.mark.parametrize("form", ["{name}", "{name}:{id}", "{id}"])
def test_all_three_forms_of_a_version_are_understood(api, form):
    version = form.format(name=MODEL, id=version_of(api))
    body = {"version": version, "input": {"prompt": "Hi.", "max_tokens": 1}}
    answer = api.post("/predictions", json=body)
    assert answer.status_code == 201
    assert answer.json()["model"] == MODEL
    assert answer.json()["version"] == version_of(api)


@pytest.mark.parametrize("version", ["a/b", "0" * 64, f"{MODEL}:latest", ""])
def test_an_unknown_version_is_the_documented_422(api, version):
    problem = refused(api, {"version": version, "input": {}}, "/predictions")
    assert problem["title"] == "Invalid version or not permitted"
    assert problem["detail"].startswith("The specified version does not exist")


def test_a_deployment_runs_its_model_and_is_named(api):
    body = {"input": {"prompt": "Hi.", "max_tokens": 1}}
    answer = api.post(f"/deployments/{MODEL}/predictions", json=body)
    assert answer.status_code == 201
    assert answer.json()["deployment"] == MODEL


def test_an_unknown_model_is_a_404(api):
    assert api.post("/models/local/x/predictions", json={"input": {}}).status_code == 404


def test_a_missing_input_is_named(api):
    problem = refused(api, {"input": {}}, "/models/local/waifu2x/predictions")
    assert problem["title"] == "Input validation failed"
    assert problem["detail"] == "- input: image is required\n"
    assert problem["invalid_fields"] == [
        {"type": "required", "field": "input", "description": "image is required"}
    ]


def test_every_wrong_input_has_its_line(api):
    wrong = {"prompt": 1, "max_tokens": 9999, "temperature": -1, "top_p": True}
    problem = refused(api, {"input": wrong})
    assert [(field["type"], field["field"]) for field in problem["invalid_fields"]] == [
        ("invalid_type", "input.prompt"),
        ("number_lte", "input.max_tokens"),
        ("number_gte", "input.temperature"),
        ("invalid_type", "input.top_p"),
    ]
    assert problem["detail"].count("\n- ") == 3


def test_a_message_that_is_none_has_its_line(api):
    said = [{"role": "robot", "content": "Hi."}, {"role": "user"}, "Hi."]
    problem = refused(api, {"input": {"messages": said}})
    assert [(field["type"], field["field"]) for field in problem["invalid_fields"]] == [
        ("enum", "input.messages.0.role"),
        ("required", "input.messages.1"),
        ("invalid_type", "input.messages.2"),
    ]


def test_a_surplus_field_of_the_body_is_refused(api):
    problem = refused(api, {"input": {"prompt": "Hi."}, "lifetime": 5})
    assert problem["invalid_fields"][0]["type"] == "additional_property_not_allowed"
    assert problem["invalid_fields"][0]["field"] == ""


@pytest.mark.parametrize("body", [{}, [], "text", 7, {"version": 5, "input": {}}])
def test_a_body_of_another_shape_is_refused(api, body):
    assert refused(api, body, "/predictions")["invalid_fields"]


@pytest.mark.parametrize(
    "text", ["{", "", "NaN", '{"input": {"prompt": "\\ud800"}}', b"\xff", "[" * 100_000]
)
def test_malformed_json_is_a_400(api, text):
    answer = api.post(PATH, content=text, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_a_body_without_bounds_is_a_413(api):
    text = json.dumps({"input": {"prompt": "x" * 17_000_000}})
    assert api.post(PATH, content=text).status_code == 413


def test_a_lifetime_sets_the_deadline(api):
    prediction = api.create(headers={"cancel-after": "90s"}, prompt="Hi.", max_tokens=1)
    created, deadline = (datetime.fromisoformat(prediction[n]) for n in ("created_at", "deadline"))
    assert deadline - created == timedelta(seconds=90)


@pytest.mark.parametrize("duration", ["4", "4s", "0", "25h", "soon", "-5", ""])
def test_a_lifetime_that_cannot_be_is_refused(api, duration):
    refused(api, {"input": {"prompt": "Hi."}}, **{"cancel-after": duration})


def test_an_unknown_input_is_ignored_and_told(api):
    prediction = api.create(prompt="Hi.", max_tokens=1, temprature=1)
    assert "Unknown input 'temprature' was ignored." in api.show(prediction)["logs"]
