"""Runs the upscaler in a process of its own, and kills it when nobody waits for it any more.

Knows the worker's few words and nothing about pictures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from replicate_magic.local.model import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEADLINE_S = 1800.0
POLL_S = 0.05
TAIL_CHARS = 300

# The module of this very copy of the package, whatever else has its name.
_BOOT = (
    "import sys; root = sys.argv.pop(); root in sys.path or sys.path.insert(0, root); "
    "from replicate_magic.local.waifu2x.worker import main; main()"
)


class Crashed(ModelError):
    """The upscaler broke down, which says nothing about the picture.

    Attributes:
        used_gpu: Whether a graphics card was, or may have been, in use.
    """

    def __init__(self, message: str, *, used_gpu: bool) -> None:
        super().__init__(message)
        self.used_gpu = used_gpu


def upscale(
    values: Mapping[str, Any],
    *,
    log: Callable[[str], None],
    canceled: threading.Event,
    gpu: bool,
) -> bytes | None:
    """The larger picture as PNG, or None once *canceled* is set.

    Args:
        values: Valid input of the model, defaults filled in; `image` is a URL that can be fetched.
        log: Told about the progress, newlines included.
        canceled: Ends the process.
        gpu: Whether a graphics card may be used where there is one.

    Raises:
        ModelError: If the worker refused; the message is its own.
        Crashed: If it broke down.
    """
    with tempfile.TemporaryFile() as errors:
        process = _spawn(errors, gpu=gpu)
        with process, _killed_in_time(process, canceled) as overdue:
            _send(process, {**values, "gpu": gpu})
            told = _Told(cast("IO[bytes]", process.stdout), log)
        if canceled.is_set():
            return None
        if overdue.is_set():
            raise ModelError(f"The upscaler took more than {DEADLINE_S / 60:.0f} minutes.")
        if told.refusal is not None:
            raise ModelError(told.refusal)
        if told.picture is None:
            used_gpu = gpu and told.device not in {None, "cpu"}
            raise Crashed(_last_words(process.returncode, told, errors), used_gpu=used_gpu)
        return told.picture


class _Told:
    """What a worker told until its end.

    Each line is a JSON object with one key: `log`; `device`, which is `cpu`, a graphics card's
    name, or `unknown` while cards are asked for; `refusal`, a fault of the picture; `failure`, one
    of the library; or `size_bytes`, after which that many bytes are the picture.
    """

    def __init__(self, output: IO[bytes], log: Callable[[str], None]) -> None:
        self.device: str | None = None
        self.refusal: str | None = None
        self.failure: str | None = None
        self.picture: bytes | None = None
        for line in output:
            # A worker that is killed leaves half a line.
            with suppress(ValueError):
                self._take(json.loads(line), output, log)

    def _take(self, word: dict[str, Any], output: IO[bytes], log: Callable[[str], None]) -> None:
        match word:
            case {"log": str(text)}:
                log(text)
            case {"device": str(device)}:
                self.device = device
            case {"refusal": str(message)}:
                self.refusal = message
            case {"failure": str(message)}:
                self.failure = message
            case {"size_bytes": int(size)}:
                picture = output.read(size)
                self.picture = picture if len(picture) == size else None


def _spawn(errors: IO[bytes], *, gpu: bool) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[3])
    # Threads that spin while they wait would take the notebook's cores from it.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    if not gpu:
        # A broken driver breaks even those that only ask which cards there are.
        environment |= dict.fromkeys(("VK_DRIVER_FILES", "VK_ICD_FILENAMES"), os.devnull)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise ModelError(f"The upscaler could not be started: {error}") from error


def _send(process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    """Hand over what to do; the pipe stays open, since its end tells the worker to end."""
    pipe = cast("IO[bytes]", process.stdin)
    try:
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()
    except OSError:
        # One that is dead already is noticed where its words are read.
        with suppress(OSError):
            pipe.close()


@contextmanager
def _killed_in_time(
    process: subprocess.Popen[bytes], canceled: threading.Event
) -> Iterator[threading.Event]:
    """Kill *process* once *canceled* is set or time is over; the event given tells the latter."""
    ended, overdue = threading.Event(), threading.Event()
    deadline = time.monotonic() + DEADLINE_S

    def watch() -> None:
        while not ended.is_set():
            if time.monotonic() > deadline:
                overdue.set()
            if canceled.wait(POLL_S) or overdue.is_set():
                process.kill()
                return

    thread = threading.Thread(target=watch, name="waifu2x-watch", daemon=True)
    thread.start()
    try:
        yield overdue
    except BaseException:
        process.kill()
        raise
    finally:
        ended.set()
        thread.join()


def _last_words(code: int, told: _Told, errors: IO[bytes]) -> str:
    if told.failure is not None:
        return f"The upscaler failed: {told.failure}"
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    last = f" Its last words: {lines[-1][-TAIL_CHARS:]}" if lines else ""
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    return f"The upscaler's process ended {how} before it had made a picture.{last}"
