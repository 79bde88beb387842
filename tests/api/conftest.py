"""A Replicate of their own for the tests of the client, and a package that starts anew."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from replicate_server import Replicate

from replicate_magic import session
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.order import Conditions


@pytest.fixture
def replicate(monkeypatch):
    """A server; the environment points at it, and nothing of ours is left when the test ends."""
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", server.token)
        yield server
        session.close()


class Run:
    """A run in a thread of its own, and all the snapshots that its view was handed."""

    def __init__(self, pool, conditions, model, inputs, *, wants_previews):
        self.wants_previews = wants_previews
        self.snapshots = []
        self.cancel = self.closed = None
        target, draft = read_target(model), Draft(inputs=inputs)
        self._ended = pool.submit(
            session.the_session().drive, target, draft, Conditions(**conditions), self
        )

    def on_cancel(self, cancel):
        self.cancel = cancel

    def update(self, prediction):
        self.snapshots.append(prediction)

    def close(self, prediction, answer=None, *, why=""):
        self.closed = prediction, why

    def shows(self, text):
        """Whether the newest snapshot has this text."""
        return bool(self.snapshots) and self.snapshots[-1].text == text

    @property
    def retries(self):
        """What was said to be tried again, in the words of the snapshots."""
        told = [one.retry.reason for one in self.snapshots if one.retry]
        return list(dict.fromkeys(told))

    @property
    def ended(self):
        return self._ended.result(60).ended()

    @property
    def prediction(self):
        return self.ended.prediction


@pytest.fixture
def begin(replicate):
    """Starts a model without waiting for it; `conditions` are those of the session."""
    with ThreadPoolExecutor() as pool:

        def start(model, conditions=(), *, wants_previews=False, **inputs):
            conditions = {"timeout_s": 30, "began_s": time.monotonic(), **dict(conditions)}
            return Run(pool, conditions, model, inputs, wants_previews=wants_previews)

        yield start
        session.close()  # what still runs is cancelled, so that the threads end
