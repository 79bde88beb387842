"""The embedded engine: Replicate's HTTP API on this machine, in a process of its own.

Owns that process, seen from the notebook's side. Imports nothing but the standard library, and
nothing from the rest of the package; the server itself is in `__main__`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Engine", "EngineError", "serve"]

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 3.0
TAIL_CHARS = 2000

# The module of this very copy of the package: `-m` alone would look in the notebook's folder too.
_BOOT = (
    "import runpy, sys; root = sys.argv.pop(1); "
    "root in sys.path or sys.path.insert(0, root); "
    "runpy.run_module('replicate_magic.local', run_name='__main__', alter_sys=True)"
)


class EngineError(RuntimeError):
    """The embedded engine could not be started."""


class Engine:
    """A running engine; leave it with `close()` or as a context manager.

    It also ends when this process ends, however that happens.

    Attributes:
        base_url: Where it is, e.g. `http://127.0.0.1:43211`, without `/v1`.
        token: What it wants as bearer token.
    """

    def __init__(self, *, base_url: str, token: str, process: subprocess.Popen[bytes]) -> None:
        self.base_url = base_url
        self.token = token
        self._process = process
        self._stop = weakref.finalize(self, _stop, process, os.getpid())

    def __repr__(self) -> str:
        return f"<Engine {self.base_url} {'alive' if self.alive else 'ended'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process, and what it is running; again does nothing."""
        self._stop()


def serve(*, port: int = 0, home: Path | None = None) -> Engine:
    """Start an engine and wait until it answers.

    Args:
        port: Where on 127.0.0.1 it listens, 0 for any free port.
        home: The folder for model weights; `REPLICATE_MAGIC_HOME` or the platform's user data
            folder where left out.

    Raises:
        EngineError: If it could not be started; the message says why.

    Example:
        >>> with serve() as engine:
        ...     print(engine.base_url)
        http://127.0.0.1:43211
    """
    _require_extra()
    with tempfile.TemporaryFile() as errors:
        process = _spawn(port, home, errors)
        try:
            return _connect(process, errors)
        except BaseException:
            _stop(process, os.getpid())
            raise


def _require_extra() -> None:
    if not all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn")):
        raise EngineError(
            "the embedded engine needs its extra: pip install 'replicate-magic[local]'"
        )


def _spawn(port: int, home: Path | None, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-P", "-c", _BOOT, root, "--exit-with-parent", "--port", str(port)]
    if home is not None:
        command += ["--home", str(Path(home).expanduser().absolute())]
    environment = {name: os.environ[name] for name in os.environ if name != "REPLICATE_API_TOKEN"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            **_own_group(),
        )
    except OSError as error:
        raise EngineError(f"the embedded engine could not be started: {error}") from error


def _own_group() -> dict[str, Any]:
    """Kernels interrupt their whole process group; the engine must not be part of it."""
    if os.name == "posix":
        return {"start_new_session": True}
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
    return {"creationflags": sum(getattr(subprocess, flag, 0) for flag in flags)}


def _connect(process: subprocess.Popen[bytes], errors: IO[bytes]) -> Engine:
    output = cast("IO[bytes]", process.stdout)
    with _killed_after(process, START_DEADLINE_S), output:
        line = output.readline()
    try:
        where = json.loads(line)
        return Engine(base_url=where["base_url"], token=where["token"], process=process)
    except (ValueError, KeyError) as error:
        process.kill()
        code = process.wait()
        errors.seek(0)
        told = errors.read().decode("utf-8", "replace").strip()[-TAIL_CHARS:]
        told = told or f"no word within {START_DEADLINE_S:.0f} s; it ended with code {code}"
        raise EngineError(f"the embedded engine did not start: {told}") from error


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], deadline_s: float) -> Iterator[None]:
    timer = threading.Timer(deadline_s, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop(process: subprocess.Popen[bytes], owner_pid: int) -> None:
    """Close the engine's standard input, which ends it; kill what does not end."""
    if os.getpid() != owner_pid:
        return
    with contextlib.suppress(OSError):
        cast("IO[bytes]", process.stdin).close()
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started, e.g. a download."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
