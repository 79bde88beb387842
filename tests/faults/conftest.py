"""A home of a module's own, and as many servers as it asks for."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from replicate_server import TOKEN, Replicate

from replicate_magic import session


@pytest.fixture(scope="module")
def module_home(tmp_path_factory):
    """A home without history, of all the tests of a module; nothing of ours is left at its end."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLICATE_MAGIC_HOME", str(folder))
        patch.setenv("REPLICATE_API_TOKEN", TOKEN)
        patch.setenv("REPLICATE_BASE_URL", "")
        yield folder
        session.close()


@pytest.fixture(scope="module")
def serve(module_home):
    """Starts a server at which the environment then points: a run keeps the one it began at."""
    with ExitStack() as servers, pytest.MonkeyPatch.context() as patch:

        def start():
            server = servers.enter_context(Replicate())
            patch.setenv("REPLICATE_BASE_URL", server.url)
            return server

        yield start
        session.close()
