"""The official Python client, unchanged, against the engine."""

import io
import time

import pytest

replicate = pytest.importorskip("replicate")

MODEL = "local/smollm2-135m-instruct"
SHORT = {"prompt": "Explain Jupyter in one sentence.", "max_tokens": 5, "seed": 1}


@pytest.fixture
def client(engine, monkeypatch):
    monkeypatch.setenv("REPLICATE_BASE_URL", engine.base_url)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    client = replicate.Client(api_token=engine.token)
    yield client
    # It has no close of its own.
    client._client.close()


@pytest.fixture(scope="module")
def text(api, model_runs):
    """What the model answers to the short input."""
    text = "".join(api.run(**SHORT)["output"])
    assert len(text) > 10
    return text


@pytest.mark.model
def test_run_gives_the_text(client, text):
    assert "".join(client.run(MODEL, input=SHORT)) == text


@pytest.mark.model
def test_run_by_version_gives_the_same_text(client, text):
    version = client.models.get(MODEL).latest_version.id
    assert "".join(client.run(f"{MODEL}:{version}", input=SHORT)) == text


@pytest.mark.model
def test_stream_gives_the_same_text(client, text):
    assert "".join(str(event) for event in client.stream(MODEL, input=SHORT)) == text


@pytest.mark.model
def test_a_created_prediction_can_be_waited_for(client):
    prediction = client.models.predictions.create(MODEL, input=SHORT)
    prediction.wait()
    assert prediction.status == "succeeded"
    assert prediction.metrics["output_token_count"] > 0


@pytest.mark.model
def test_a_created_prediction_can_be_polled(client):
    version = client.models.get(MODEL).latest_version
    prediction = client.predictions.create(version=version, input=SHORT)
    end = time.monotonic() + 30
    while prediction.status not in {"succeeded", "failed"} and time.monotonic() < end:
        prediction.reload()
    assert prediction.status == "succeeded"


@pytest.mark.model
def test_cancel_cancels(client, long_input):
    prediction = client.models.predictions.create(MODEL, input=long_input)
    prediction.cancel()
    prediction.wait()
    assert prediction.status == "canceled"


@pytest.mark.model
def test_a_deployment_runs(client):
    deployment = client.deployments.get(MODEL)
    prediction = deployment.predictions.create(input=SHORT)
    prediction.wait()
    assert prediction.status == "succeeded"


@pytest.mark.model
def test_a_failure_is_a_model_error(client):
    with pytest.raises(replicate.exceptions.ModelError):
        client.run(MODEL, input={"prompt": "word " * 3000})


def test_invalid_input_is_a_replicate_error(client):
    with pytest.raises(replicate.exceptions.ReplicateError, match="Input validation failed"):
        client.run(MODEL, input={})


def test_models_are_listed_and_found(client):
    assert [model.name for model in client.models.list()] == ["smollm2-135m-instruct"]
    assert [model.name for model in client.models.search("smollm2")] == ["smollm2-135m-instruct"]
    assert client.models.get(MODEL).default_example.status == "succeeded"


def test_predictions_are_listed(client):
    created = client.models.predictions.create(MODEL, input=SHORT)
    assert client.predictions.list().results[0].id == created.id


def test_files_are_created_shown_and_deleted(client):
    file = client.files.create(io.BytesIO(b"content"), filename="a.txt")
    assert client.files.get(file.id).checksums == file.checksums
    assert next(one.id for one in client.files.list()) == file.id
    client.files.delete(file.id)


def test_account_hardware_and_collections_are_understood(client):
    assert client.accounts.current().username == "local"
    assert client.hardware.list()[0].sku == "cpu"
    assert [one.slug for one in client.collections.list()] == ["local"]
