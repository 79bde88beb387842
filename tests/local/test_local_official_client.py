"""The official Python client, unchanged, against the engine."""

import io
import time

import httpx
import pytest
from PIL import Image

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
        client.run(MODEL, input={"prompt": 5})


def test_models_are_listed_and_found(client):
    assert [model.name for model in client.models.list()] == ["smollm2-135m-instruct", "waifu2x"]
    assert [model.name for model in client.models.search("smollm2")] == ["smollm2-135m-instruct"]
    assert client.models.get(MODEL).default_example.status == "succeeded"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a picture.png"
    Image.radial_gradient("L").resize((20, 10)).save(path)
    return path


def size_of(url):
    """Of the picture that the client gave us, which wraps only https URLs in a file."""
    with Image.open(io.BytesIO(httpx.get(url).content)) as image:
        return image.size


@pytest.mark.usefixtures("needs_upscaler")
@pytest.mark.parametrize("strategy", [None, "base64"])
def test_an_opened_file_is_sent_and_the_larger_picture_can_be_read(client, picture, strategy):
    with picture.open("rb") as file:
        url = client.run("local/waifu2x", input={"image": file}, file_encoding_strategy=strategy)
    assert size_of(url) == (40, 20)


@pytest.mark.usefixtures("needs_upscaler")
def test_an_output_is_the_next_ones_input(client, picture):
    with picture.open("rb") as file:
        first = client.run("local/waifu2x", input={"image": file, "style": "art"})
    assert size_of(client.run("local/waifu2x", input={"image": first, "noise": 0})) == (80, 40)


@pytest.mark.usefixtures("needs_upscaler")
def test_a_broken_picture_is_a_model_error(client):
    broken = io.BytesIO(b"no picture")
    with pytest.raises(replicate.exceptions.ModelError, match="cannot be read"):
        client.run("local/waifu2x", input={"image": broken})


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
