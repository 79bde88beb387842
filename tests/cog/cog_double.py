"""A double of a Cog server, on a real socket, for what a true one does only when it is ill.

```python
with Double() as server:
    server.puts = [answers(409, error="At capacity"), answers(200, status="succeeded", output="x")]
    server.healths = ["BUSY", "READY"]
    …                                            # run something against server.url
    assert [put.json for put in server.seen("PUT")] == …
```

`puts` and `healths` are taken in turn, and the last of each for ever. A put is a function that is
handed the HTTP handler and the id.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WRITER = json.loads((Path(__file__).parent / "writer/.cog/openapi_schema.json").read_text())
COPIER = json.loads((Path(__file__).parent / "copier/.cog/openapi_schema.json").read_text())


@dataclass(frozen=True, kw_only=True)
class Seen:
    method: str
    path: str
    headers: dict
    json: object


# -- how a PUT is answered ----------------------------------------------------------------------


def answers(code, body=None, /, *, after_s=0.0, **told):
    """JSON, with the id among it where it is of a prediction; or a text."""

    def put(handler, prediction_id):
        time.sleep(after_s)
        handler.reply(code, body if body is not None else {"id": prediction_id, **told})

    return put


def streams(*events, torn=False, then=None):
    """Events `(name, data)`; then the end of the connection, in order or torn."""

    def put(handler, prediction_id):
        handler.begin_stream()
        for name, data in events:
            handler.send_event(name, {"id": prediction_id, **data})
        if then:
            then()
        handler.hang_up(torn=torn)

    return put


def word(index):
    return ("output", {"chunk": f"word {index} ", "index": index})


START = ("start", {"status": "processing"})
BUSY = answers(409, error="At capacity - all prediction slots busy", status="failed")


def done(words, status="succeeded", **more):
    output = [word(index)[1]["chunk"] for index in range(words)]
    told = {"status": status, "output": output, "logs": "", "metrics": {"predict_time": 0.5}}
    return ("completed", {**told, **more})


def holds(event, answer):
    """Wait for a `threading.Event`, then answer."""

    def put(handler, prediction_id):
        event.wait(20)
        answer(handler, prediction_id)

    return put


# -- the server ---------------------------------------------------------------------------------


class Double:
    """The server, in threads of its own while the `with` block lasts.

    Attributes:
        openapi: the schema; `None` for a server that has none, another value for a broken one.
        puts, healths: see above; a health is a status, or the whole JSON.
        states: the JSON of predictions that run, by id: questions about them are answered.
        has_put: whether there is a PUT at all.
        cancel: how `POST …/cancel` is answered, an HTTP status.
        requests: all that came, as `Seen`.
    """

    def __init__(self):
        self.openapi = COPIER
        self.puts = [answers(200, status="succeeded", output="x")]
        self.healths = ["READY"]
        self.states = {}
        self.has_put = True
        self.cancel = 200
        self.requests = []
        self._turn = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def seen(self, method, end=""):
        return [one for one in self.requests if one.method == method and one.path.endswith(end)]

    def creates(self):
        """The requests that would run something."""
        sent = [one for one in self.seen("PUT") if one.json["input"] != 0]
        return [*sent, *self.seen("POST", "/predictions")]

    def next(self, steps):
        with self._turn:
            return steps.pop(0) if len(steps) > 1 else steps[0]

    def close_door(self):
        """Take no more connections."""
        self._server.shutdown()  # while it still looks at its socket, that is not closed
        self._server.socket.close()

    def __enter__(self):
        double = self

        class Handler(_Handler):
            server_double = double

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self):
        with suppress(OSError, ValueError):  # its door was closed
            self._server.serve_forever(0.02)

    def __exit__(self, *_):
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._thread.join(5)
        self._server.socket.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Whoever hangs up in the middle does what a test wants."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(*_)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_double: Double

    def log_message(self, *_):
        pass

    def _heard(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = json.loads(body) if body else None
        one = Seen(method=self.command, path=self.path, headers=headers, json=told)
        self.server_double.requests.append(one)
        return one

    def do_GET(self):
        self._heard()
        double = self.server_double
        match self.path:
            case "/":
                self.reply(200, {"cog_version": "0.23.1"})
            case "/openapi.json" if double.openapi is not None:
                self.reply(200, double.openapi)
            case "/openapi.json":
                self.reply(503, {"error": "OpenAPI schema not available"})
            case "/health-check":
                health = double.next(double.healths)
                self.reply(200, {"status": health} if isinstance(health, str) else health)
            case _:
                self.reply(404, {})

    def do_PUT(self):
        request = self._heard()
        double, prediction_id = self.server_double, self.path.rpartition("/")[2]
        is_question = request.json["input"] == 0 and "event-stream" not in self.headers["accept"]
        if not double.has_put:
            self.reply(405, {"detail": "Method Not Allowed"})
        elif not is_question:
            double.next(double.puts)(self, prediction_id)
        elif state := double.states.get(prediction_id) or double.states.get("any"):
            self.reply(202, {"id": prediction_id, **state})
        else:
            self.reply(422, {"detail": [{"loc": ["body", "input"], "msg": "no object"}]})

    def do_POST(self):
        request, double = self._heard(), self.server_double
        if self.path.endswith("/cancel"):
            self.reply(double.cancel, {})
        else:
            double.next(double.puts)(self, request.json["id"])

    def reply(self, status, body):
        kind = "text/html" if isinstance(body, str) else "application/json"
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()

    def send_event(self, name, data):
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()
        time.sleep(0.01)

    def hang_up(self, *, torn):
        self.close_connection = True
        if torn:
            time.sleep(0.05)  # a reset at once would overtake the bytes
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
