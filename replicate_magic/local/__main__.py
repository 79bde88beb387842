"""Starts the embedded engine as a process: `python -m replicate_magic.local`.

Owns the socket, the signals and the watch over the parent; `app` owns the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from .app import create_app, default_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette

HOST = "127.0.0.1"
BACKLOG = 128
PARENT_POLL_S = 1.0
GRACE_S = 1
# Longer than clients keep an idle connection (httpx: 5 s), so that it is never the engine that
# closes one just as a request is sent on it.
KEEP_ALIVE_S = 75
LAST_RESORT_S = 4.0


def main(arguments: list[str] | None = None) -> None:
    """Serve until told to stop."""
    options = _parse(arguments)
    listener = _listen(options.port)
    base_url = f"http://{HOST}:{listener.getsockname()[1]}"
    token = secrets.token_urlsafe(32)
    home = options.home or _default_home()
    app = create_app(base_url=base_url, token=token, models=default_models(home))
    announce = _announce_to_parent if options.exit_with_parent else _announce_to_user
    announce(base_url, token)
    # After the announcement, which moves standard error: loggers keep the one they find.
    server = _make_server(app)
    if options.exit_with_parent:
        _watch_parent(server)
    _serve(server, listener)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m replicate_magic.local",
        description="Runs local models behind Replicate's HTTP API, on 127.0.0.1 only.",
    )
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--home", type=Path, help="folder for weights; default: the user's data")
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="announce as JSON, and end when standard input is closed",
    )
    return parser.parse_args(arguments)


def _default_home() -> Path:
    if home := os.environ.get("REPLICATE_MAGIC_HOME", "").strip().strip("'\""):
        return Path(home).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("replicate_magic", appauthor=False)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's delay off only on sockets that name TCP; it costs 44 ms a request.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        # On Windows this option would let another process take the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        sys.exit(f"Cannot listen on {HOST}:{port}: {error}. Choose another --port.")
    return listener


class _Server(uvicorn.Server):
    """Cancels what runs before it closes connections: open streams get their last event."""

    def __init__(self, config: uvicorn.Config, *, cancel_all: Callable[[], None]) -> None:
        super().__init__(config)
        self._cancel_all = cancel_all

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cancel_all()
        await super().shutdown(sockets)


def _make_server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    return _Server(config, cancel_all=app.state.parts.runner.cancel_all)


def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(sockets=[listener]))
    sys.stderr.flush()
    # A model that is still in native code would hold up an ordinary exit.
    os._exit(0)


def _announce_to_parent(base_url: str, token: str) -> None:
    print(json.dumps({"base_url": base_url, "token": token}), flush=True)  # noqa: T201 - the protocol with the parent
    # The parent reads no more; nothing that is printed later may block or fail.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _announce_to_user(base_url: str, token: str) -> None:
    print("The embedded engine is running. Press Ctrl-C to stop it.", flush=True)  # noqa: T201 - a command's answer
    print(f"export REPLICATE_BASE_URL={base_url}")  # noqa: T201
    print(f"export REPLICATE_API_TOKEN={token}", flush=True)  # noqa: T201
    _hide_native_noise()


def _hide_native_noise() -> None:
    """Python's own errors keep going to the terminal, what native code writes does not."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _watch_parent(server: uvicorn.Server) -> None:
    """End with the parent, however it ends: its pipe closes, or we get another parent."""
    parent = os.getppid()

    def end() -> None:
        server.should_exit = True
        time.sleep(LAST_RESORT_S)
        os._exit(1)

    def until_pipe_closes() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        end()

    def until_orphaned() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_S)
        end()

    watches = [until_pipe_closes] + ([until_orphaned] if os.name == "posix" else [])
    for watch in watches:
        threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
