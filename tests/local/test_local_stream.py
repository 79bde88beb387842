"""The event stream, as bytes on the wire."""

import json
import re
import time
from itertools import pairwise

import httpx
import pytest

pytestmark = pytest.mark.model

STORY = {"prompt": "Explain Jupyter in one sentence.", "max_tokens": 10, "seed": 1}


@pytest.fixture(scope="module")
def story(api, model_runs):
    """A prediction that has ended, and its events as they came meanwhile."""
    prediction = api.create(**STORY)
    live = api.events(prediction)
    return api.final(prediction), live


def text_of(events):
    return "".join(data for _, event, data in events if event == "output")


def test_the_stream_carries_the_output_and_ends_with_done(story):
    prediction, events = story
    assert text_of(events) == "".join(prediction["output"])
    assert events[-1][1:] == ("done", "{}")


def test_it_needs_no_token_and_says_hi(story):
    prediction, _ = story
    answer = httpx.get(prediction["urls"]["stream"])
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith(": hi\n\n")


def test_every_event_has_an_id_that_rises(story):
    ids = [event_id for event_id, _, _ in story[1]]
    assert all(re.fullmatch(r"\d{10}:\d+", event_id) for event_id in ids)
    numbers = [tuple(map(int, event_id.split(":"))) for event_id in ids]
    assert numbers == sorted(set(numbers))


def test_a_late_subscriber_gets_it_from_the_start(api, story):
    prediction, live = story
    assert api.events(prediction) == live


def test_last_event_id_resumes_behind_that_event(api, story):
    prediction, events = story
    assert api.events(prediction, last_event_id=events[3][0]) == events[4:]


def test_an_id_that_is_none_replays_everything(api, story):
    prediction, events = story
    assert api.events(prediction, last_event_id="nonsense") == events


def test_nothing_is_left_after_the_last_id(api, story):
    prediction, events = story
    assert api.events(prediction, last_event_id=events[-1][0]) == []


def test_tokens_are_sent_one_by_one(api, long_input):
    prediction = api.processing(**long_input)
    arrivals = []
    with httpx.stream("GET", prediction["urls"]["stream"], timeout=30) as answer:
        for chunk in answer.iter_raw():
            arrivals.append((time.monotonic(), chunk))
            if len(arrivals) == 12:
                break
    api.cancel(prediction)
    gaps = [b[0] - a[0] for a, b in pairwise(arrivals[2:])]
    assert max(gaps) < 0.5
    assert sorted(gaps)[len(gaps) // 2] < 0.1


def test_a_canceled_prediction_ends_its_stream_with_the_reason(api, long_input):
    prediction = api.processing(**long_input)
    api.cancel(prediction)
    assert api.events(prediction)[-1][1:] == ("done", '{"reason":"canceled"}')


def test_a_failed_prediction_streams_its_error(api):
    prediction = api.run(prompt="Hi.", json_schema={"type": "banana"})
    error, done = api.events(prediction)[-2:]
    assert (error[1], json.loads(error[2])) == ("error", {"detail": prediction["error"]})
    assert done[1:] == ("done", '{"reason":"error"}')


def test_logs_are_streamed(api):
    prediction = api.run(prompt="Hi.", max_tokens=1)
    logs = [data for _, event, data in api.events(prediction) if event == "logs"]
    assert any("Using seed" in line for line in logs)


def test_a_guessed_stream_is_a_404(engine):
    assert httpx.get(f"{engine.base_url}/v1/streams/guess").status_code == 404
