"""Owns the process that runs jq programs; must not run one in the process it is imported in.

A jq program can read the environment, and so the token; it can loop where no interrupt reaches it,
and a fault in it aborts the whole process. The helper has an empty environment, limits and a
deadline, and is ended and started again whenever something goes wrong.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import re
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from replicate_magic.errors import JqError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORKER = Path(__file__).with_name("jq_worker.py")
_LENGTH = struct.Struct(">Q")
_CHUNK_BYTES = 1 << 18
_SLICE_S = 0.1  # how long an interrupt can go unseen where it came just before the wait
_ARG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({"ENV", "__loc__", "__prog_args"})


def outputs(
    program: str,
    document: str,
    *,
    args: Mapping[str, Any] | None = None,
    deadline_s: float = 10.0,
) -> list[Any]:
    r"""Runs a jq program on one JSON text, in the helper process.

    Args:
        program: a jq 1.8 program; `env`, `$ENV`, `input`, `halt` and modules are not available.
        document: one JSON text. Half a surrogate pair in it becomes U+FFFD.
        args: values that JSON can hold; `{"x": 1}` binds `$x`.
        deadline_s: seconds after which the program is stopped.

    Returns:
        All outputs, in order. Integers that the program leaves alone are exact, whatever their
        size; NaN becomes `None` and an infinity the largest float, as in jq.

    Raises:
        JqError: the program does not compile (with jq's own words and a caret), fails on the
            document, takes too long or too much memory, or jq is not installed.

    Example:
        `outputs(".a[] + $x", '{"a": [1, 2]}', args={"x": 1})` gives `[2, 3]`.
    """
    [answer] = _answers(program, [document], args=args or {}, deadline_s=deadline_s)
    if "error" in answer:
        raise JqError(f"jq: {answer['error']}\n    {one_line(program)}")
    try:
        values: list[Any] = json.loads(answer["outputs"])
    except (ValueError, RecursionError) as error:
        raise JqError(
            f"an output of the jq program `{one_line(program)}` is nested too deeply, or a number "
            "in it is too long, for Python to read"
        ) from error
    return values


def check(program: str) -> None:
    """Compiles a jq program and does not run it, so that a mistake costs nothing.

    Raises:
        JqError: it does not compile, or jq is not installed.
    """
    _answers(program, [], args={}, deadline_s=10.0)


def close() -> None:
    """Ends the helper process, if there is one. The next use starts a new one."""
    _HELPER.close()


def _answers(
    program: str, documents: Sequence[str], *, args: Mapping[str, Any], deadline_s: float
) -> list[dict[str, str]]:
    """One answer per document, as `jq_worker` describes them."""
    request = {
        "program": _checked_program(program),
        "args": _checked_args(args),
        "documents": documents,
        "deadline_s": deadline_s,
    }
    try:
        reply = json.loads(_HELPER.exchange(json.dumps(request).encode(), deadline_s=deadline_s))
    except TimeoutError as error:
        raise JqError(
            f"the jq program `{one_line(program)}` ran longer than {deadline_s:g} s and was stopped"
        ) from error
    except ChildProcessError as error:
        raise JqError(
            f"jq broke down ({error}) on the program `{one_line(program)}`: it may need more than "
            "2 GiB of memory; if every program does this, try `python -c 'import jq'`"
        ) from error
    if "compile_error" in reply:
        raise JqError(reply["compile_error"])
    answers: list[dict[str, str]] = reply["answers"]
    return answers


def _checked_program(program: str) -> str:
    if "\0" in program:
        raise JqError(f"the jq program `{one_line(program)}` holds a NUL character")
    try:
        program.encode()
    except UnicodeEncodeError as error:
        raise JqError(f"the jq program {program!a} holds half a surrogate pair") from error
    return program


def _checked_args(args: Mapping[str, Any]) -> str:
    for name in args:
        if not _ARG_NAME.fullmatch(name) or name in _RESERVED:
            raise JqError(f"jq args: `{name}` cannot be the name of one, or is jq's own")
    try:
        text = json.dumps(dict(args), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise JqError(f"jq args: only values that JSON can hold, please: {error}") from error
    return text


class _Helper:
    """At most one helper process, and the lock round an exchange with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner_pid = 0

    def exchange(self, request: bytes, *, deadline_s: float) -> bytes:
        """The helper's answer.

        Raises:
            TimeoutError: there is no answer after `deadline_s` seconds.
            ChildProcessError: the helper ended; the message says how.
            JqError: the helper could not be started.
        """
        with self._lock:
            until = time.monotonic() + deadline_s
            try:
                process = self._running()
                _send(process, request, until)
                return _receive(process, until)
            except BaseException:  # an interrupt too: the answer to this request must never be read
                self._end()
                raise

    def close(self) -> None:
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process and self._owner_pid == os.getpid() and self._process.poll() is None:
            return self._process
        self._end()
        self._process, self._owner_pid = _started(), os.getpid()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _requests(process).close()
        _replies(process).close()
        if self._owner_pid == os.getpid():  # after a fork the helper is still the parent's
            process.kill()
            process.wait()


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
        os.set_blocking(_requests(process).fileno(), False)
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


def _requests(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdin)


def _replies(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdout)


def _send(process: subprocess.Popen[bytes], request: bytes, until: float) -> None:
    pipe = _requests(process).fileno()
    rest = memoryview(_LENGTH.pack(len(request)) + request)
    while rest:
        _wait(pipe, selectors.EVENT_WRITE, until)
        try:
            rest = rest[os.write(pipe, rest[:_CHUNK_BYTES]) :]
        except OSError as error:  # Windows has another one than BrokenPipeError
            raise ChildProcessError(_ending(process)) from error


def _receive(process: subprocess.Popen[bytes], until: float) -> bytes:
    (size,) = _LENGTH.unpack(_read(process, _LENGTH.size, until))
    return _read(process, size, until)


def _read(process: subprocess.Popen[bytes], size: int, until: float) -> bytes:
    pipe = _replies(process).fileno()
    data = bytearray()
    while len(data) < size:
        _wait(pipe, selectors.EVENT_READ, until)
        chunk = os.read(pipe, min(size - len(data), _CHUNK_BYTES))
        if not chunk:
            raise ChildProcessError(_ending(process))
        data += chunk
    return bytes(data)


def _wait(pipe: int, event: int, until: float) -> None:
    """Returns when the pipe is ready or closed; TimeoutError after `until`, a monotonic time."""
    while not _ready(pipe, event):
        if time.monotonic() >= until:
            raise TimeoutError


if sys.platform == "win32":

    def _ready(pipe: int, event: int) -> bool:
        # Pipes cannot be selected on Windows. Looking into one needs no second thread; the helper
        # reads a request whole before it works, so that a write ends by itself.
        import _winapi
        import msvcrt

        if event == selectors.EVENT_WRITE:
            return True
        try:
            available = _winapi.PeekNamedPipe(msvcrt.get_osfhandle(pipe), 0)[0]
        except BrokenPipeError:
            return True
        if not available:
            time.sleep(0.005)
        return bool(available)

else:

    def _ready(pipe: int, event: int) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            return bool(selector.select(_SLICE_S))


def _ending(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
    code = process.returncode
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


_HELPER = _Helper()
atexit.register(close)
