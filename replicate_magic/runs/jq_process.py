"""Owns the helper processes that run jq programs; must not know what a program means.

A jq program can read the environment, and so the token; it can loop where no interrupt reaches it,
and a fault in it aborts the whole process. A helper has an empty environment, limits and deadlines.
A call takes helpers for itself. Those that have answered everything they were asked are kept for
the next call and all others are killed, so that no call can read an answer to another one.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from replicate_magic.errors import JqError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

_WORKER = Path(__file__).with_name("jq_worker.py")
_SIZES = struct.Struct(">QQ")
_PIECE_BYTES = 1 << 18
_SLICE_S = 0.1  # how long an interrupt can go unseen where it came just before the wait
_MOST = 1 if sys.platform == "win32" else min(2, os.cpu_count() or 1)
_REQUESTS_ALONE = 4  # as many are answered before a second helper would be ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a helper is asked; `jq_worker` describes `header` and `text`."""

    header: dict[str, Any]
    text: str
    first: int  # the position of its first document among all of the call
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a helper answered, and to what."""

    request: Request
    header: dict[str, Any]
    text: str


class HelperError(Exception):
    """A helper was lost over a request: `why` says how, and is None where its time was up."""

    def __init__(self, request: Request, why: str | None) -> None:
        super().__init__(why or "no answer in time")
        self.request = request
        self.why = why


def exchange(requests: Iterable[Request]) -> Generator[Reply, None, None]:
    """The replies, in the order of the requests; close it where not all of them are wanted.

    Requests are taken from the iterable one ahead of what can be dealt, and dealt to one helper,
    to two where there are many.

    Raises:
        HelperError: a helper took longer than a request's `deadline_s` without a sign of life, or
            it ended.
        JqError: a helper could not be started.
    """
    team: list[_Helper] = []
    try:
        yield from _in_order(_dealt(requests, team))
    finally:
        for helper in reversed(team):  # the first is the next call's first, and knows more programs
            helper.leave()


def close() -> None:
    """Ends the helpers that are not in use. The next use starts a new one."""
    while helper := _idle():
        helper.end()


def _in_order(replies: Iterable[tuple[int, Reply]]) -> Iterator[Reply]:
    early: dict[int, Reply] = {}
    turn = 0
    for number, reply in replies:
        early[number] = reply
        while turn in early:
            yield early.pop(turn)
            turn += 1


def _dealt(requests: Iterable[Request], team: list[_Helper]) -> Iterator[tuple[int, Reply]]:
    """Numbered replies as they come. A helper is busy again before its last reply is handed on."""
    numbered = enumerate(requests)
    numbers: dict[_Helper, int] = {}
    upcoming = next(numbered, None)
    received: tuple[int, Reply] | None = None
    while True:
        while upcoming and (helper := _free(team, upcoming[0])):
            numbers[helper] = upcoming[0]
            helper.send(upcoming[1])
            upcoming = next(numbered, None)
        if received:
            yield received
        busy = [helper for helper in team if helper.asked]
        if not busy:
            return
        helper = _first_ready(busy)
        reply = helper.receive()
        received = (numbers[helper], reply) if reply else None


def _free(team: list[_Helper], number: int) -> _Helper | None:
    for helper in team:
        if not helper.asked:
            return helper
    if team and (len(team) == _MOST or number < _REQUESTS_ALONE):
        return None
    team.append(_idle() or _Helper())
    return team[-1]


class _Helper:
    """One process, which answers one request at a time."""

    def __init__(self) -> None:
        self._process = _started()
        self._owner_pid = os.getpid()
        self._until = 0.0
        self.asked: Request | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def replies(self) -> int:
        return cast("IO[bytes]", self._process.stdout).fileno()

    def is_usable(self) -> bool:
        """Whether it runs; after a fork it is still the parent's."""
        return self._owner_pid == os.getpid() and self._process.poll() is None

    def send(self, request: Request) -> None:
        """Hands over a request; the helper is waiting for one, and reads it at once."""
        self.asked = request
        self._until = time.monotonic() + request.deadline_s
        header = json.dumps(request.header).encode()
        text = request.text.encode(errors="surrogatepass")
        self._write(_SIZES.pack(len(header), len(text)) + header)
        self._write(text)

    def receive(self) -> Reply | None:
        """The reply, or None where the helper only says that it gets on."""
        request = cast("Request", self.asked)
        header_size, text_size = _SIZES.unpack(self._read(_SIZES.size))
        if not header_size:
            self._until = time.monotonic() + request.deadline_s
            return None
        header = json.loads(self._read(header_size))
        text = self._read(text_size).decode()
        self.asked = None
        return Reply(request=request, header=header, text=text)

    def check_time(self) -> None:
        if time.monotonic() >= self._until:
            raise HelperError(cast("Request", self.asked), None)

    def leave(self) -> None:
        """Ends the part in a call: kept where nothing is owed, so that no answer is left over."""
        if self.asked or len(_IDLE) >= _MOST or not self.is_usable():
            self.end()
        else:
            _IDLE.append(self)

    def end(self) -> None:
        process = self._process
        for pipe in (process.stdin, process.stdout):
            cast("IO[bytes]", pipe).close()
        if self._owner_pid == os.getpid():
            process.kill()
            process.wait()

    def _write(self, data: bytes) -> None:
        pipe = cast("IO[bytes]", self._process.stdin).fileno()
        rest = memoryview(data)
        while rest:
            while not _ready([pipe], selectors.EVENT_WRITE):
                self.check_time()
            try:
                rest = rest[os.write(pipe, rest[:_PIECE_BYTES]) :]
            except OSError as error:  # Windows has another one than BrokenPipeError
                raise self._lost() from error

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            while not _ready([self.replies], selectors.EVENT_READ):
                self.check_time()
            piece = os.read(self.replies, min(size - len(data), _PIECE_BYTES))
            if not piece:
                raise self._lost()
            data += piece
        return bytes(data)

    def _lost(self) -> HelperError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return HelperError(cast("Request", self.asked), how)


def _idle() -> _Helper | None:
    """A helper that is kept, taken away from all other threads: a deque's `pop` is atomic."""
    while True:
        try:
            helper = _IDLE.pop()
        except IndexError:
            return None
        if helper.is_usable():
            return helper
        helper.end()


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(_WORKER), _jq_folder()]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
        "bufsize": 0,
    }
    try:
        process = subprocess.Popen(command, **pipes, **_apart())
    except OSError as error:
        raise JqError(f"the process that runs jq could not be started: {error}") from error
    if sys.platform != "win32":
        os.set_blocking(cast("IO[bytes]", process.stdin).fileno(), False)
    return process


def _apart() -> dict[str, Any]:
    """What keeps the helper from the environment, and from interrupts meant for the kernel."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        return {"env": kept, "creationflags": flags}
    return {"env": {"HOME": "/nonexistent"}, "start_new_session": True}  # jq includes `~/.jq`


def _jq_folder() -> str:
    """Where the jq library lies: the isolated helper does not look into site-packages by itself."""
    spec = importlib.util.find_spec("jq")
    if spec is None or spec.origin is None:
        raise JqError("jq programs need the jq library: run `pip install jq`")
    return str(Path(spec.origin).parent)


def _first_ready(busy: list[_Helper]) -> _Helper:
    """The helper that has something to say; HelperError where none has and one's time is up."""
    while not (ready := _ready([helper.replies for helper in busy], selectors.EVENT_READ)):
        for helper in busy:
            helper.check_time()
    return next(helper for helper in busy if helper.replies in ready)


if sys.platform == "win32":

    def _ready(pipes: list[int], event: int) -> list[int]:
        # Pipes cannot be selected on Windows. Looking into one needs no second thread; the helper
        # reads a request whole before it works, so that a write ends by itself.
        import _winapi
        import msvcrt

        [pipe] = pipes
        if event == selectors.EVENT_WRITE:
            return pipes
        try:
            available = _winapi.PeekNamedPipe(msvcrt.get_osfhandle(pipe), 0)[0]
        except BrokenPipeError:
            return pipes
        if not available:
            time.sleep(0.005)
        return pipes if available else []

else:

    def _ready(pipes: list[int], event: int) -> list[int]:
        """Those that are ready or closed, as soon as there is one; none after a moment."""
        with selectors.DefaultSelector() as selector:
            for pipe in pipes:
                selector.register(pipe, event)
            return [key.fd for key, _ in selector.select(_SLICE_S)]


_IDLE: deque[_Helper] = deque()
atexit.register(close)
