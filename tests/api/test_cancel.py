"""Canceling a run from elsewhere, as a card's button does: once, however often it is asked for."""

from __future__ import annotations

import time

import pytest
from replicate_server import Model, become, hold, late, openapi, say

from replicate_magic import PredictionFailed, start

FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}


@pytest.mark.slow
def test_asking_three_times_waits_for_a_slow_cancel_all_the_same(replicate):
    replicate.tells(say("Hello"), hold(), become("succeeded"))
    replicate.fails("cancel", late(0.7))
    job = start("acme/poet", prompt="x")
    replicate.wait_for("stream")
    for _ in range(3):
        job.cancel()
        time.sleep(0.1)  # as a page does that has not been heard
    with pytest.raises(PredictionFailed, match=r"was canceled\.\n"):
        job.wait(10)
    assert len(replicate.seen("cancel")) == 1


def test_a_run_canceled_while_its_pictures_come_is_not_saving_for_ever(replicate, begin):
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILES))
    replicate.fails("file", late(20))
    replicate.files["1.png"] = ("image/png", b"\x89PNG\r\n\x1a\n")
    replicate.tells(become("succeeded", output=[f"{replicate.other_url}/files/1.png"]))
    running = begin("acme/painter", wants_previews=True, prompt="x")
    replicate.wait_for("file")
    running.cancel()
    assert (running.prediction.status, running.prediction.saving) == ("succeeded", False)


@pytest.mark.slow
def test_fetching_pictures_takes_no_longer_than_the_run_was_given(replicate, begin):
    replicate.models["acme/painter"] = Model(official=True, schema=openapi(FILES))
    replicate.fails("file", late(20))
    replicate.files["1.png"] = ("image/png", b"\x89PNG\r\n\x1a\n")
    replicate.tells(become("succeeded", output=[f"{replicate.other_url}/files/1.png"]))
    began_s = time.monotonic()
    running = begin("acme/painter", {"timeout_s": 2}, wants_previews=True, prompt="x")
    assert running.prediction.ok
    assert time.monotonic() - began_s < 5
