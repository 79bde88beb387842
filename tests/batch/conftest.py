"""A Replicate of their own for the tests of batches, and a package that starts anew."""

from __future__ import annotations

import sys

import pytest
from replicate_server import Replicate

from replicate_magic import session


@pytest.fixture
def replicate(monkeypatch, home):
    """A server; the environment points at it, and nothing of ours is left when the test ends."""
    turn_s = sys.getswitchinterval()
    with Replicate() as server:
        monkeypatch.setenv("REPLICATE_BASE_URL", server.url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", server.token)
        yield server
        session.close()
    assert sys.getswitchinterval() == turn_s


def prompts(server):
    """The prompts of the creates, in the order they came."""
    return [one.json["input"]["prompt"] for one in server.seen("create")]
