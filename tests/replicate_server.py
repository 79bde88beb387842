"""A Replicate of the tests' own, on real sockets, that can lie and tear.

```python
with Replicate() as server:
    server.tells(say("Hello"), hold(), say(" world"), become("succeeded"))
    server.fails("create", answer(429, {"retry_after": 1}))    # the first create; then honest
    server.fails("get", always=reset())
    …                                                           # run something against server.url
    assert len(server.seen("create")) == 2
    assert not server.strangers_with_token()
```

It speaks HTTP/1.1 on two ports: the API on one, streams and files on "another origin". What a
prediction does is a story: steps that are played once it is created. What goes wrong is a fault: a
coroutine function that is handed the `Exchange` and answers it in place of the honest answer.

Routes: model, versions, version, deployment, search, create, get, list, cancel, upload, account,
stream, file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from email.utils import format_datetime
from itertools import chain, repeat
from urllib.parse import parse_qs, urlsplit

FINAL = {"succeeded", "failed", "canceled", "aborted"}
TOKEN = "r8_made_up_for_the_tests"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
OLDER = "0f5c1fb2b7f24a0e9a9d6c6f3bf6e3a1a6f50a1f8ed1f0a1c7f4d1c0ffeedeed"
CONCATENATED = {
    "type": "array",
    "items": {"type": "string"},
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}


def openapi(output=None, **inputs):
    """A model's schema; `inputs` are the properties of its input."""
    inputs = inputs or {"prompt": {"type": "string", "x-order": 0}}
    schemas = {"Input": {"type": "object", "properties": inputs}}
    if output is not None:
        schemas["Output"] = output
    return {"openapi": "3.0.2", "components": {"schemas": schemas}}


# -- what a prediction does -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a story: `change` is put into the prediction, the rest is done as well."""

    after_s: float = 0.002
    chunk: str | None = None  # appended to the output, and sent on the stream
    log: str = ""  # appended to the logs, and sent on the stream
    event: tuple[str, str] | None = None  # name and data, sent on the stream alone
    change: dict = field(default_factory=dict)
    held: bool = False  # wait for `release()`


def say(chunk, after_s=0.002):
    return Step(chunk=chunk, after_s=after_s)


def log(text):
    return Step(log=text)


def become(status, *, after_s=0.002, **change):
    return Step(change={"status": status, **change}, after_s=after_s)


def on_stream(name, data):
    return Step(event=(name, data))


def hold():
    return Step(held=True)


HELLO = (say("Hello"), say(" world"), become("succeeded"))


class Scripted:
    """A prediction and the story it plays; lives on the server's loop."""

    def __init__(self, raw, story, now):
        self.raw = raw
        self.events = []  # (name, data) as the stream sends them
        self.holding = self.ended = False
        self._story, self._now = story, now
        self._released, self._news = asyncio.Event(), asyncio.Event()

    async def play(self):
        for step in self._story:
            await asyncio.sleep(step.after_s)
            if step.held:
                await self._hold()
            if self.ended:
                return
            self.take(step)

    async def _hold(self):
        self.holding = True
        self._tell()
        await self._released.wait()
        self._released.clear()
        self.holding = False

    def take(self, step):
        raw = self.raw
        if raw["status"] == "starting":
            raw |= {"status": "processing", "started_at": self._now()}
        if step.chunk is not None:
            raw["output"] = [*(raw.get("output") or []), step.chunk]
            self.events.append(("output", step.chunk))
        if step.log:
            raw["logs"] += step.log
            self.events.append(("logs", step.log))
        if step.event:
            self.events.append(step.event)
        raw |= step.change
        if raw["status"] in FINAL:
            self._end()
        self._tell()

    def _end(self):
        self.ended = True
        self.raw.setdefault("metrics", {"predict_time": 0.5, "total_time": 0.75})
        self.raw.setdefault("completed_at", self._now())
        reason = {"succeeded": "{}", "canceled": '{"reason":"canceled"}'}
        self.events.append(("done", reason.get(self.raw["status"], '{"reason":"error"}')))

    def cancel(self):
        if not self.ended:
            self.take(Step(change={"status": "canceled"}))

    def release(self):
        self._released.set()

    async def news(self):
        """The next change."""
        await self._news.wait()

    def _tell(self):
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def after(self, number):
        """The stream's events from `number` on, as bytes, to the `done`."""
        while True:
            for name, data in self.events[number:]:
                yield sse(name, data, id=f"1690212292:{number}")
                number += 1
                if name == "done":
                    return
            await self.news()


def sse(name, data, id=None):  # noqa: A002  (the field's name)
    """One event of a stream, as bytes."""
    lines = [f"event: {name}", *(f"data: {line}" for line in data.split("\n"))]
    if id is not None:
        lines.insert(1, f"id: {id}")
    return ("\n".join(lines) + "\n\n").encode()


# -- HTTP -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it came."""

    place: str  # "api" or "other": the port it came to
    method: str
    path: str
    query: dict
    headers: dict  # by lower-case name
    body: bytes
    at_s: float  # time.monotonic()
    route: str

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    pieces: object = None  # an asynchronous iterator of bytes, in place of a body; ended by EOF


def reply(status, body=b"", **headers):
    """A reply with JSON, text or bytes; `_` in a header's name stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = "application/json"
    if isinstance(body, str):
        body, kind = body.encode(), "text/html" if body.lstrip().startswith("<") else "text/plain"
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Reply(status=status, headers={"content-type": kind, **named}, body=body)


class Exchange:
    """A request, and the means to answer it, well or badly.

    Attributes:
        closed: the connection takes no further request.
        told: headers that any answer carries.
    """

    def __init__(self, server, request, writer):
        self.server, self.request = server, request
        self.closed = False
        self.told = {}
        self._writer = writer

    async def honest(self):
        """Do what the request asks for; the answer that it deserves."""
        return await self.server.act(self.request)

    async def send(self, what):
        """Send a reply."""
        length = {"connection": "close"} if what.pieces else {"content-length": len(what.body)}
        headers = {"date": self.server.http_date(), **length, **self.told, **what.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.closed = headers.get("connection") == "close"
        await self.raw(f"HTTP/1.1 {what.status} Scripted\r\n{head}\r\n".encode() + what.body)
        if what.pieces:
            async for piece in what.pieces:
                await self.raw(piece)

    async def raw(self, data):
        """Send bytes of any kind."""
        if self._writer in self.server._silent:
            await asyncio.sleep(600)
        self._writer.write(data)
        await self._writer.drain()

    def reset(self):
        """Tear the connection: the other side sees a reset."""
        self.closed = True
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


# -- faults: how a request is answered badly ----------------------------------------------------


def answer(status, body=b"", **headers):
    """Answer this in place of doing anything."""

    async def fault(exchange):
        await exchange.send(reply(status, body, **headers))

    return fault


def web_page(status=200, text="<html><title>Sign in</title></html>"):
    return answer(status, text, content_type="text/html")


def redirect(url, status=307):
    return answer(status, location=url)


def reset():
    """Tear the connection before anything is done."""

    async def fault(exchange):
        exchange.reset()

    return fault


def torn(after_bytes=0):
    """Do it, then tear the connection after some bytes of the answer's body."""

    async def fault(exchange):
        honest = await exchange.honest()
        if after_bytes:
            whole = {"content-length": len(honest.body), **honest.headers}
            await exchange.send(replace(honest, headers=whole, body=honest.body[:after_bytes]))
            await asyncio.sleep(0.05)  # a reset at once would overtake the bytes
        exchange.reset()

    return fault


def cut(after_bytes):
    """Do it, and answer with JSON that ends early although HTTP is in order."""

    async def fault(exchange):
        honest = await exchange.honest()
        await exchange.send(replace(honest, body=honest.body[:after_bytes]))

    return fault


def done_but(status, body=b"", **headers):
    """Do it, and answer as if it had not been done."""

    async def fault(exchange):
        await exchange.honest()
        await exchange.send(reply(status, body, **headers))

    return fault


def late(seconds):
    """Do it at once, and answer after a while."""

    async def fault(exchange):
        honest = await exchange.honest()
        await asyncio.sleep(seconds)
        await exchange.send(honest)

    return fault


def last_words():
    """Do it and answer, and take no more connections to the API: they are refused."""

    async def fault(exchange):
        honest = await exchange.honest()
        exchange.server.close_door()
        await exchange.send(replace(honest, headers={**honest.headers, "connection": "close"}))

    return fault


def changed(**values):
    """Do it, and answer with some values of the JSON changed."""

    async def fault(exchange):
        honest = await exchange.honest()
        body = json.dumps({**json.loads(honest.body), **values}).encode()
        await exchange.send(replace(honest, body=body))

    return fault


def declaring(size_bytes):
    """A file, with another length than it has; then the connection ends."""

    async def fault(exchange):
        honest = await exchange.honest()
        headers = {**honest.headers, "content-length": size_bytes, "connection": "close"}
        await exchange.send(replace(honest, headers=headers))

    return fault


def endless(media_type="image/png"):
    """A file without a length, and without an end."""

    async def pieces():
        while True:
            yield bytes(65_536)

    async def fault(exchange):
        await exchange.send(Reply(headers={"content-type": media_type}, pieces=pieces()))

    return fault


def silent_after(size_bytes):
    """A file's beginning, and then nothing more, on a connection that stays."""

    async def fault(exchange):
        honest = await exchange.honest()
        headers = {"content-length": len(honest.body), **honest.headers}
        await exchange.send(replace(honest, headers=headers, body=honest.body[:size_bytes]))
        await asyncio.sleep(60)

    return fault


def slowly(seconds, pieces=20):
    """Do it, and send the answer's body spread over so many seconds."""

    async def spread(body):
        step = -(-len(body) // pieces)
        for begin in range(0, len(body), step):
            yield body[begin : begin + step]
            await asyncio.sleep(seconds / pieces)

    async def fault(exchange):
        honest = await exchange.honest()
        headers = {"content-length": len(honest.body), **honest.headers}
        await exchange.send(replace(honest, headers=headers, body=b"", pieces=spread(honest.body)))

    return fault


def stream_of(*pieces, then=None):
    """A stream of these bytes; its end is orderly, or a reset, or another coroutine function."""

    async def written():
        for piece in pieces:
            yield piece
            await asyncio.sleep(0.02)

    async def fault(exchange):
        headers = {"content-type": "text/event-stream"}
        await exchange.send(Reply(headers=headers, pieces=written()))
        if then:
            await then(exchange)

    return fault


def stream(*, ends_after=None, ids=True, resumes=True, last=b"", torn_off=False):
    """The true stream, up to some events; then some bytes, then its end or a reset."""

    async def fault(exchange):
        scripted = exchange.server.of_stream(exchange.request)
        begin = exchange.server.begin_of(exchange.request) if resumes else 0
        pieces = part_of(scripted.after(begin), ends_after, ids=ids, last=last)
        await exchange.send(replace(EVENTS, pieces=pieces))
        if torn_off:
            await asyncio.sleep(0.05)  # a reset at once would overtake the bytes
            exchange.reset()

    return fault


def stream_cut(at_byte, *, torn_off=False):
    """The true stream up to a byte, wherever that falls; then its end or a reset."""

    async def up_to(pieces):
        left = at_byte
        async for piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    async def fault(exchange):
        scripted = exchange.server.of_stream(exchange.request)
        true = part_of(scripted.after(exchange.server.begin_of(exchange.request)))
        await exchange.send(replace(EVENTS, pieces=up_to(true)))
        if torn_off:
            await asyncio.sleep(0.05)  # a reset at once would overtake the bytes
            exchange.reset()

    return fault


def stream_misnumbered():
    """The true stream, whose ids fall where they should rise; it ends after two events."""

    def downwards(found):
        return b"id: 1690212292:%d\n" % (1_000 - int(found[1]))

    async def backwards(pieces):
        async for piece in pieces:
            yield re.sub(rb"id: \d+:(\d+)\n", downwards, piece)

    async def fault(exchange):
        scripted = exchange.server.of_stream(exchange.request)
        pieces = part_of(scripted.after(exchange.server.begin_of(exchange.request)), 2)
        await exchange.send(replace(EVENTS, pieces=backwards(pieces)))

    return fault


def silent():
    """Hear the request, do nothing, and say nothing, on a connection that stays."""

    async def fault(_):
        await asyncio.sleep(600)

    return fault


def led_away(status=307):
    """A redirect to the same path at the other origin."""

    async def fault(exchange):
        url = f"{exchange.server.other_url}{exchange.request.path}"
        await exchange.send(reply(status, location=url))

    return fault


def at_another_time(ahead, then=None):
    """The server's clock jumps, and then it answers, honestly or not."""

    async def fault(exchange):
        exchange.server.ahead = ahead
        if then:
            await then(exchange)
        else:
            await exchange.send(await exchange.honest())

    return fault


async def part_of(pieces, ends_after=None, *, ids=True, last=b""):
    """A stream as the server sends it: a comment, events, and what comes last."""
    yield b": hi\n\n"
    left = ends_after
    while left != 0 and (piece := await anext(pieces, None)):
        yield piece if ids else re.sub(rb"id: .*\n", b"", piece)
        left = left and left - 1
    yield last


EVENTS = Reply(headers={"content-type": "text/event-stream"})


# -- the server -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Model:
    official: bool
    schema: dict = field(default_factory=lambda: openapi(CONCATENATED))
    versions: tuple = (VERSION, OLDER)  # newest first
    told: bool = True  # whether `is_official` is in the answer
    internal: str | None = None  # the name that predictions carry in place of the model's
    description: str = ""  # as the search tells it


class Replicate:
    """The server, in a thread of its own while the `with` block lasts.

    Attributes:
        models: by `owner/name`.
        deployments: `(model, version)` by `owner/name`.
        hardware: what runs a deployment, by `owner/name`, where that is told.
        answers: what is answered before all else, as `Reply` by `(method, path below /v1)`.
        files: `(media type, bytes)` by the name under `/files/`.
        uploaded: `(name, media type, bytes)` of what `POST /files` was given.
        hears_bytes: how much of a body is read before it is answered, by route; all if not there.
        hears_in_s: the seconds that reading a body takes, by route; none if not there.
        lives: how long an uploaded file does.
        limits: rate limits (`rate_limits.Limits`), or `None`; a refusal comes before any fault.
        connections: how many were made to the API.
        requests: all that came, as `Seen`.
        predictions: the JSON of all predictions, oldest first.
        ahead: how far the server's clock is ahead of ours.
        page_size: of the list of predictions.
        next_base: where the list's cursors lead; the API itself if `None`.
    """

    def __init__(self):
        self.token = TOKEN
        self.models = {
            "acme/poet": Model(official=True),
            "acme/sketch": Model(official=False),
        }
        self.deployments = {"acme/prod": ("acme/poet", VERSION)}
        self.hardware = {}
        self.answers = {}
        self.files = {}
        self.uploaded = []
        self.hears_bytes = {}
        self.hears_in_s = {}
        self.lives = timedelta(hours=24)
        self.limits = None
        self.connections = 0
        self.requests = []
        self.predictions = []
        self.ahead = timedelta(0)
        self.page_size = 100
        self.next_base = None
        self._scripted = {}
        self._stories = iter(())
        self._default = (HELLO, True)
        self._faults = {}
        self._writers = set()
        self._silent = set()  # those on which nothing is said any more
        self._tasks = set()
        self._crashes = []  # of the server itself, or of a fault
        self._news = threading.Condition()
        self._ready = threading.Event()
        self._ports = {"api": 0, "other": 0}
        self._doors = {}

    # -- for tests ---------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://127.0.0.1:{self._ports['api']}"

    @property
    def other_url(self):
        """Another origin: streams and files."""
        return f"http://127.0.0.1:{self._ports['other']}"

    def tells(self, *steps, stream=True):
        """The story of the next prediction, and of those after it that are told no other."""
        self._default = (steps, stream)

    def tells_in_turn(self, *stories):
        """The stories of the next predictions, in the order of their creation."""
        self._stories = chain(self._stories, [(story, True) for story in stories])

    def fails(self, route, *faults, always=None):
        """How the next requests of a route are answered; `None` is the honest answer."""
        self._faults[route] = chain(faults, repeat(always))

    def remember(self, **raw):
        """Add a prediction that has been made before."""
        made = {"id": secrets.token_hex(13), "status": "succeeded", "created_at": self.now()}
        self.predictions.append({**made, "urls": {}, **raw})
        return self.predictions[-1]

    def release(self):
        """Let go on what waits at a `hold()`; it is waited for."""
        self.until(lambda: any(one.holding for one in self._scripted.values()))
        self._call(lambda: [one.release() for one in self._scripted.values()])

    def seen(self, *routes):
        """The requests of some routes, in the order they came."""
        return [request for request in list(self.requests) if request.route in routes]

    def wait_for(self, route, count=1, within_s=10):
        """The first `count` requests of a route, once they have come."""
        self.until(lambda: len(self.seen(route)) >= count, within_s)
        return self.seen(route)[:count]

    def until(self, condition, within_s=10):
        """Wait until a condition holds; it is looked at whenever something happens."""
        end = time.monotonic() + within_s
        with self._news:
            while not condition():
                left = end - time.monotonic()
                assert left > 0, [(one.method, one.path) for one in self.requests]
                self._news.wait(min(left, 0.02))

    @property
    def open_connections(self):
        """How many there are now, to either origin."""
        return len(self._writers)

    def strangers_with_token(self):
        """The requests to the other origin that held the token, anywhere."""
        token = self.token
        others = [request for request in self.requests if request.place == "other"]
        return [one for one in others if token in repr(one) or "authorization" in one.headers]

    def tear(self):
        """Reset all connections that there are."""
        self._call(lambda: [writer.transport.abort() for writer in [*self._writers]])

    def fall_silent(self):
        """Say nothing more on the connections that there are, and leave them open."""
        self._call(lambda: self._silent.update(self._writers))

    def reopen(self):
        """Take connections to the API again, at the same port."""
        asyncio.run_coroutine_threadsafe(self._open("api"), self._loop).result(5)

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._call(self._stop.set)
        self._thread.join(10)
        assert not self._crashes, self._crashes

    # -- the loop ----------------------------------------------------------------------------

    def _call(self, work):
        self._loop.call_soon_threadsafe(work)

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self._open("api")
        await self._open("other")
        self._ready.set()
        await self._stop.wait()
        await self._close_doors()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self, place):
        door = await asyncio.start_server(
            lambda reader, writer: self._connected(place, reader, writer),
            "127.0.0.1",
            self._ports[place],
        )
        self._doors[place] = door
        self._ports[place] = door.sockets[0].getsockname()[1]

    async def _close_doors(self):
        """Those who are on the threshold come in first: asyncio would leave them open for ever."""
        with suppress(NotImplementedError):  # on Windows
            for door in self._doors.values():
                for sock in door.sockets:
                    self._loop.remove_reader(sock)
        if entering := asyncio.all_tasks() - {asyncio.current_task(), *self._tasks}:
            await asyncio.wait(entering)
        for door in self._doors.values():
            door.close()

    def close_door(self):
        """Take no more connections to the API; called on the loop."""
        self._doors["api"].close()

    def _go_on(self, work):
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task):
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._crashes.append(task.exception())

    def _connected(self, place, reader, writer):
        self.connections += place == "api"
        self._writers.add(writer)
        self._go_on(self._converse(place, reader, writer))

    async def _converse(self, place, reader, writer):
        try:
            while request := await self._read(place, reader):
                self._record(request)
                exchange, refusal = Exchange(self, request, writer), None
                if self.limits and request.place == "api":
                    exchange.told, refusal = self.limits.judge(request.route)
                fault = None if refusal else next(self._faults.get(request.route, iter(())), None)
                if refusal:
                    await exchange.send(reply(429, refusal))
                elif fault:
                    await fault(exchange)
                else:
                    await exchange.send(await exchange.honest())
                if exchange.closed:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _read(self, place, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        parts = urlsplit(target)
        route = route_of(place, method, parts.path)
        length = min(
            int(headers.get("content-length", 0)), self.hears_bytes.get(route, sys.maxsize)
        )
        return Seen(
            place=place,
            method=method,
            path=parts.path,
            query={name: values[0] for name, values in parse_qs(parts.query).items()},
            headers=headers,
            body=await self._hear(reader, length, self.hears_in_s.get(route, 0)),
            at_s=time.monotonic(),
            route=route,
        )

    async def _hear(self, reader, length, seconds):
        pieces, step = [], max(length // 20, 1) if seconds else length
        while length:
            pieces.append(await reader.readexactly(min(step, length)))
            length -= len(pieces[-1])
            await asyncio.sleep(seconds / 20)
        return b"".join(pieces)

    def _record(self, request):
        with self._news:
            self.requests.append(request)
            self._news.notify_all()

    # -- Replicate ---------------------------------------------------------------------------

    def time(self):
        """The time by the server's clock."""
        return datetime.now(UTC) + self.ahead

    def now(self):
        return self.time().isoformat().replace("+00:00", "Z")

    def http_date(self):
        return format_datetime(self.time(), usegmt=True)

    async def act(self, request):  # noqa: C901, PLR0911  (one a route)
        """Do what a request asks for; the honest answer."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.place == "api" and token != self.token:
            return problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        if written := self.answers.get((request.method, request.path.removeprefix("/v1"))):
            return written
        path = request.path.removeprefix("/v1").strip("/").split("/")
        match request.route:
            case "create":
                return await self._create(request, path)
            case "stream":
                return self._stream(request)
            case "file":
                return self._file(path[-1], request.headers)
            case "upload":
                return self._upload(request)
            case "list":
                return self._list(request.query)
            case "account":
                return reply(200, {"type": "user", "username": "ada", "name": "Ada"})
            case "search":
                return self._search(request.query)
            case "get" | "cancel":
                return self._prediction(path[1], cancel=request.route == "cancel")
            case "model" | "versions" | "version" | "deployment":
                return self._described(request.route, f"{path[1]}/{path[2]}", path[-1])
        return NOT_FOUND

    def _search(self, query):
        found = []
        for name, model in self.models.items():
            if query["query"].lower() in name.lower():
                owner, _, short = name.partition("/")
                raw = {"owner": owner, "name": short, "description": model.description}
                found.append({"model": {**raw, "run_count": 1_234}, "metadata": {"score": 1}})
        return reply(200, {"query": query["query"], "models": found, "collections": []})

    def _described(self, what, name, last):
        if what == "deployment" and name in self.deployments:
            model, version = self.deployments[name]
            release = {"number": 1, "model": model, "version": version}
            if name in self.hardware:
                release["configuration"] = {"hardware": self.hardware[name]}
            owner, _, short = name.partition("/")
            return reply(200, {"owner": owner, "name": short, "current_release": release})
        model = self.models.get(name)
        if model is None or what == "deployment":
            return NOT_FOUND
        if what == "version":
            known = last in model.versions
            told = {"id": last, "created_at": "2026-01-01T00:00:00Z", "cog_version": "0.16.9"}
            return reply(200, {**told, "openapi_schema": model.schema}) if known else NOT_FOUND
        owner, _, short = name.partition("/")
        latest = [{"id": one, "openapi_schema": model.schema} for one in model.versions]
        if what == "versions":
            return reply(200, {"previous": None, "next": None, "results": latest})
        raw = {"owner": owner, "name": short, "latest_version": latest[0] if latest else None}
        if model.told:
            raw["is_official"] = model.official
        return reply(200, raw)

    async def _create(self, request, path):
        body = request.json
        wanted = self._wanted(path, body)
        if wanted is None:
            return INVALID_VERSION if path == ["predictions"] else NOT_FOUND
        scripted = self._begin(*wanted, body["input"])
        prefer = re.fullmatch(r"wait(?:=(\d+))?", request.headers.get("prefer", ""))
        if prefer:
            with suppress(TimeoutError):
                async with asyncio.timeout(int(prefer[1] or 60)):
                    while not (scripted.ended or scripted.holding):
                        await scripted.news()
        return reply(201, scripted.raw)

    def _wanted(self, path, body):
        """The model and the version that a create names, or `None`."""
        if path[0] == "deployments":
            return self.deployments.get(f"{path[1]}/{path[2]}")
        if path[0] == "models":
            model = self.models.get(f"{path[1]}/{path[2]}")
            return (f"{path[1]}/{path[2]}", "hidden") if model and model.official else None
        named = body.get("version", "")
        for name, model in self.models.items():
            if named in model.versions or named in {f"{name}:{one}" for one in model.versions}:
                return name, named.rpartition(":")[2]
            if named == name and model.official:
                return name, "hidden"
        return None

    def _begin(self, model, version, given):
        key = secrets.token_hex(13)
        story, streamed = next(self._stories, self._default)
        base = f"{self.url}/v1/predictions/{key}"
        urls = {"get": base, "cancel": f"{base}/cancel", "web": f"https://replicate.com/p/{key}"}
        if streamed:
            urls["stream"] = f"{self.other_url}/v1/streams/{key}"
        raw = {
            "id": key,
            "model": self.models[model].internal or model,
            "version": version,
            "input": given,
            "logs": "",
            "error": None,
            "status": "starting",
            "created_at": self.now(),
            "urls": urls,
        }
        self.predictions.append(raw)
        scripted = self._scripted[key] = Scripted(raw, story, self.now)
        self._go_on(scripted.play())
        return scripted

    def _prediction(self, key, *, cancel):
        if cancel and key in self._scripted:
            self._scripted[key].cancel()
        found = [raw for raw in self.predictions if raw["id"] == key]
        return reply(200, found[0]) if found else NOT_FOUND

    def _list(self, query):
        since = datetime.fromisoformat(query.get("created_after", "1970-01-01T00:00:00Z"))
        times = {raw["id"]: datetime.fromisoformat(raw["created_at"]) for raw in self.predictions}
        newest_first = sorted(self.predictions, key=lambda raw: times[raw["id"]], reverse=True)
        found = [raw for raw in newest_first if times[raw["id"]] >= since]
        start = int(query.get("cursor", 0))
        end = start + self.page_size
        following = f"{self.next_base or self.url}/v1/predictions?cursor={end}"
        more = following if end < len(found) else None
        return reply(200, {"previous": None, "next": more, "results": found[start:end]})

    def of_stream(self, request):
        """The prediction whose stream is asked for, or `None`."""
        return self._scripted.get(request.path.rpartition("/")[2])

    def begin_of(self, request):
        """The number of the first event that the reader has not had."""
        last = request.headers.get("last-event-id", "")
        return int(last.rpartition(":")[2]) + 1 if last else 0

    def _stream(self, request):
        scripted = self.of_stream(request)
        if scripted is None:
            return NOT_FOUND
        return replace(EVENTS, pieces=part_of(scripted.after(self.begin_of(request))))

    def _file(self, name, asked):
        if name not in self.files:
            return NOT_FOUND
        media_type, data = self.files[name]
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {"content-type": media_type, "etag": tag, "accept-ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-", asked.get("range", ""))
        if not span or asked.get("if-range", tag) != tag:
            return Reply(headers=headers, body=data)
        start = int(span[1])
        if start >= len(data):
            return Reply(status=416, headers={"content-range": f"bytes */{len(data)}"})
        told = {"content-range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        return Reply(status=206, headers={**headers, **told}, body=data[start:])

    def _upload(self, request):
        kind = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
        form = BytesParser(policy=HTTP).parsebytes(kind + request.body)
        [part] = form.get_payload()
        assert part.get_param("name", header="content-disposition") == "content"
        head, _, rest = request.body.partition(b"\r\n\r\n")
        data = rest[: -len(f"\r\n--{form.get_boundary()}--\r\n")]
        name = re.search(rb'filename="([^\r\n]*)"\r\n', head)[1].decode()
        self.uploaded.append((name, part.get_content_type(), data))
        key, now = secrets.token_hex(13), self.time()
        return reply(
            201,
            {
                "id": key,
                "name": name,
                "content_type": part.get_content_type(),
                "size": len(data),
                "etag": key,
                "metadata": {},
                "checksums": {"sha256": hashlib.sha256(data).hexdigest()},
                "created_at": now.isoformat(),
                "expires_at": (now + self.lives).isoformat(),
                "urls": {"get": f"{self.url}/v1/files/{key}"},
            },
        )


def problem(status, title, detail, **more):
    """An error as Replicate words it."""
    body = {"title": title, "detail": detail, "status": status, **more}
    return reply(status, body, content_type="application/problem+json")


NOT_FOUND = reply(404, {"detail": "The requested resource could not be found.", "status": 404})
INVALID_VERSION = problem(
    422,
    "Invalid version or not permitted",
    "The specified version does not exist (or perhaps you don't have permission to use it?)",
)

_ROUTES = (
    ("api", "POST", r"(/(models|deployments)/[^/]+/[^/]+)?/predictions", "create"),
    ("api", "POST", r"/predictions/[^/]+/cancel", "cancel"),
    ("api", "GET", r"/predictions", "list"),
    ("api", "GET", r"/account", "account"),
    ("api", "GET", r"/search", "search"),
    ("api", "GET", r"/predictions/[^/]+", "get"),
    ("api", "GET", r"/models/[^/]+/[^/]+", "model"),
    ("api", "GET", r"/models/[^/]+/[^/]+/versions", "versions"),
    ("api", "GET", r"/models/[^/]+/[^/]+/versions/[^/]+", "version"),
    ("api", "GET", r"/deployments/[^/]+/[^/]+", "deployment"),
    ("api", "POST", r"/files", "upload"),
    ("other", "GET", r"/streams/[^/]+", "stream"),
    ("other", "GET", r"/files/[^/]+", "file"),
)


def route_of(place, method, path):
    """The name of a route, or an empty string."""
    below = path.removeprefix("/v1")
    for at, verb, pattern, name in _ROUTES:
        if (at, verb) == (place, method) and re.fullmatch(pattern, below):
            return name
    return ""
