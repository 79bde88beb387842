"""One real engine for all tests of the room, and how to speak to it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import jsonschema
import pytest

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

    def __init__(self, engine):
        self.engine = engine
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
            f"/models/{MODEL}/predictions", json={"input": values}, headers=headers
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
