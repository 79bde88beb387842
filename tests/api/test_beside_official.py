"""What the README says of the official client beside this one, done with both."""

from __future__ import annotations

import pytest
import replicate as official
from replicate_server import answer, become, say

import replicate_magic as rm

pytestmark = pytest.mark.slow
PROMPT = {"prompt": "Write a poem."}


@pytest.fixture
def client(replicate):
    client = official.Client(api_token=replicate.token, base_url=replicate.url)
    yield client
    client._client.close()  # it leaves its connections open


def test_a_create_that_was_refused_for_the_rate_is_sent_again_by_us_alone(replicate, client):
    replicate.fails("create", answer(429, {"detail": "Slow down.", "retry_after": 0.1}))
    with pytest.raises(official.exceptions.ReplicateError):
        client.models.predictions.create("acme/poet", input=PROMPT)
    assert len(replicate.seen("create")) == 1
    replicate.fails("create", answer(429, {"detail": "Slow down.", "retry_after": 0.1}))
    assert rm.run("acme/poet", **PROMPT).ok
    assert len(replicate.seen("create")) == 3


def test_an_aborted_prediction_is_a_prediction_for_us_and_a_validation_error_for_it(
    replicate, client
):
    replicate.tells(say("a"), become("aborted", completed_at="2026-01-01T00:00:00Z"))
    with pytest.raises(ValueError, match="unexpected value"):
        client.run("acme/poet", input=PROMPT)
    with pytest.raises(rm.PredictionFailed) as raised:
        rm.run("acme/poet", **PROMPT)
    assert (raised.value.prediction.status, raised.value.prediction.text) == ("aborted", "a")


def test_inputs_are_checked_before_they_are_sent_by_us_alone(replicate, client):
    client.models.predictions.create("acme/poet", input={"prmpt": "x"})
    assert len(replicate.seen("create")) == 1
    with pytest.raises(rm.InputError, match="prompt"):
        rm.run("acme/poet", prmpt="x")
    assert len(replicate.seen("create")) == 1
