"""The tests' own Replicate leaves nothing behind; a leftover fails whichever test comes next."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

from replicate_server import Replicate


def test_a_connection_that_comes_as_the_server_ends_is_closed():
    for _ in range(30):
        with ExitStack() as connections, Replicate() as server:
            place = "127.0.0.1", urlsplit(server.url).port
            for _ in range(8):
                connections.enter_context(socket.create_connection(place))
    gc.collect()  # what was left open says so now, which is an error
