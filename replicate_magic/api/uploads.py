"""Owns sending an input's file to the API ahead, once while it lives there.

It must not decide which inputs are sent so.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import stat
import time
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO
from weakref import WeakValueDictionary

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.cell.files import MOST_FILE_BYTES
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

    from replicate_magic.api.answers import Answer, StoredFile
    from replicate_magic.api.client import Client

_PIECE_BYTES = 1024 * 1024
_LEAST_BYTES = 64 * 1024
_STEP_S = 0.05  # what takes longer to send is sent, and told, in smaller steps
_MARGIN = timedelta(hours=1)  # a prediction may wait for its turn before it reads the file
_MOST_TRIES = 2
_MOST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to send, from disk or from memory.

    Attributes:
        name: the file's name as Replicate is to know it.
        media_type: such as `image/png`.
        path: where it lies on this machine, or `None`.
        data: its bytes, where it has no path.
        metadata: what is to lie beside it, as a JSON text; empty for nothing.
    """

    name: str
    media_type: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that lies at the API.

    Attributes:
        url: its address there.
        size_bytes: its length.
        until: when it is not to be used any more, by the server's clock.
    """

    url: str
    size_bytes: int
    until: datetime


Memory = dict[tuple[str, str], Kept]
"""What lies there, by `Client.account` and the file's sha256."""


def _nobody(_reason: str, _delay_s: float) -> None:
    pass


async def sha256_of(upload: Upload) -> str:
    """The sha256 of a file in hex, where it is not to be sent yet.

    Raises:
        InputError: it cannot be read, or is too large to be sent.
    """
    with closing(await asyncio.to_thread(_Source, upload)) as source:
        await source.read_through()
        return source.digest


class Uploads:
    """Sends files to one account; the same bytes once while they live there.

    Args:
        client: the API.
        memory: what is known to lie there; give one to several to have it outlive a client.

    Attributes:
        digests: the sha256 of each file, by the address that it was given.
    """

    def __init__(self, client: Client, memory: Memory | None = None) -> None:
        self.digests: dict[str, str] = {}
        self._client = client
        self._memory: Memory = {} if memory is None else memory
        self._turns: WeakValueDictionary[str | int, asyncio.Lock] = WeakValueDictionary()

    async def url_of(
        self,
        upload: Upload,
        told: Callable[[int, int], None],
        again: Callable[[str, float], None] = _nobody,
    ) -> str:
        """The address that a model's input takes for a file; it is sent where it is not there.

        Args:
            upload: the file.
            told: handed the bytes sent so far, and all of them.
            again: called with the reason and the seconds before it is sent a second time.

        Raises:
            InputError: it cannot be read, is too large, or changed meanwhile.
            APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say, with its name.
        """
        with closing(await asyncio.to_thread(_Source, upload)) as source:
            url = await self._url_of(source, upload, told, again)
        self.digests[url] = source.digest
        told(source.size_bytes, source.size_bytes)
        return url

    async def put(
        self, upload: Upload, told: Callable[[int, int], None], again: Callable[[str, float], None]
    ) -> Answer:
        """Send a file, whatever lies there already; the answer, once it is known to be good.

        The arguments and the errors are those of `url_of`.
        """
        with closing(await asyncio.to_thread(_Source, upload)) as source:
            answer = await self._answer(source, upload, told, again)
            self._taken(answer, source)
            return answer

    async def _url_of(
        self,
        source: _Source,
        upload: Upload,
        told: Callable[[int, int], None],
        again: Callable[[str, float], None],
    ) -> str:
        size = source.size_bytes
        alone = size not in self._turns and not self._may_have(size)
        first = self._turn(size)
        if alone:
            async with first:  # nothing is like it, so that it is hashed as it is sent
                return await self._send(source, upload, told, again)
        await source.read_through()
        async with first:  # whoever is the first of this size knows its digest now
            pass
        async with self._turn(source.digest):
            kept = self._memory.get((self._client.account, source.digest))
            if kept and self._client.server_time() < kept.until:
                return kept.url
            return await self._send(source, upload, told, again)

    def _turn(self, key: str | int) -> asyncio.Lock:
        """Held by whoever sends a file of this digest, or the first of this size.

        It is there as long as anybody has it.
        """
        return self._turns.setdefault(key, asyncio.Lock())

    def _may_have(self, size_bytes: int) -> bool:
        now, account = self._client.server_time(), self._client.account
        return any(
            kept.size_bytes == size_bytes and now < kept.until
            for (owner, _), kept in self._memory.items()
            if owner == account
        )

    async def _send(
        self,
        source: _Source,
        upload: Upload,
        told: Callable[[int, int], None],
        again: Callable[[str, float], None],
    ) -> str:
        return self._taken(await self._answer(source, upload, told, again), source)

    async def _answer(
        self,
        source: _Source,
        upload: Upload,
        told: Callable[[int, int], None],
        again: Callable[[str, float], None],
    ) -> Answer:
        """Send it, a second time where that may help: an upload costs nothing."""
        for last in (False, True):
            try:
                answer = await self._post(source, upload, told)
            except (errors.ConnectionFailed, errors.ConnectionLost) as error:
                if last:
                    raise type(error)(f"{source.subject} was not uploaded. {error}") from error
                reason, delay_s = str(error), protocol.backoff_s(1)
            else:
                if last or not self._may_pass(answer):
                    break
                refusal = str(answers.refusal(answer, subject=source.subject))
                reason = refusal.removeprefix(f"{source.subject}: ")
                delay_s = self._delay_s(answer)
            again(one_line(reason), delay_s)
            await asyncio.sleep(delay_s)
        return answer

    def _may_pass(self, answer: Answer) -> bool:
        """Whether a refusal may be over in a while that one can wait for."""
        passing = answer.status == 429 or answer.status >= 500
        return passing and self._delay_s(answer) <= _MOST_WAIT_S

    def _delay_s(self, answer: Answer) -> float:
        return answers.retry_after_s(answer, self._client.server_time())

    async def _post(
        self, source: _Source, upload: Upload, told: Callable[[int, int], None]
    ) -> Answer:
        form = protocol.file_form(
            upload.name,
            upload.media_type,
            boundary=secrets.token_hex(16),
            metadata=upload.metadata,
        )

        async def body() -> AsyncGenerator[bytes, None]:
            sent = 0
            yield form.head
            async with aclosing(source.pieces()) as pieces, aclosing(_steps(pieces)) as steps:
                async for step in steps:
                    told(sent, source.size_bytes)
                    yield step
                    sent += len(step)
            yield form.tail

        async with aclosing(body()) as whole:
            return await self._client.upload(form, source.size_bytes, whole)

    def _taken(self, answer: Answer, source: _Source) -> str:
        if answer.status == 413:  # by a gateway's page as by the API itself
            raise errors.APIError(
                f"{source.subject} is larger than the API takes (HTTP 413). Put it at an https:// "
                "address and give that. Nothing was run.",
                status=413,
            )
        stored = answers.read_file(answer, subject=source.subject)
        if not source.digest or stored.sha256 not in {None, source.digest}:
            raise errors.UnexpectedAnswer(
                f"{source.subject} is not the same at the API as on this machine. Nothing was run."
            )
        self._keep(stored, source)
        return stored.url

    def _keep(self, stored: StoredFile, source: _Source) -> None:
        now = self._client.server_time()
        for key in [key for key, kept in self._memory.items() if kept.until <= now]:
            del self._memory[key]
        if stored.expires_at and stored.expires_at - _MARGIN > now:
            self._memory[self._client.account, source.digest] = Kept(
                url=stored.url,
                size_bytes=source.size_bytes,
                until=stored.expires_at - _MARGIN,
            )


async def _steps(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The bytes in steps that a slow line takes in a moment; a fast one is given whole pieces."""
    most = _LEAST_BYTES
    async for piece in pieces:
        begin = 0
        while begin < len(piece):
            began_s = time.monotonic()
            step = piece[begin : begin + most]
            yield step
            begin += len(step)
            is_quick = time.monotonic() - began_s < _STEP_S
            most = most * 2 if is_quick else max(most // 2, _LEAST_BYTES)


class _Source:
    """The bytes of an upload, read from their start as often as needed; blocks, so on a thread.

    Attributes:
        subject: the file as messages name it.
        size_bytes: its length.
        digest: its sha256 in hex, once it was read through.

    Raises:
        InputError: it cannot be opened, is no file, or is too large.
    """

    def __init__(self, upload: Upload) -> None:
        self.subject = one_line(str(upload.path or upload.name or "file"))
        self.digest = ""
        self._file = self._opened(upload)
        self._state = self._look()
        self.size_bytes = self._state[0]
        if self.size_bytes > MOST_FILE_BYTES:
            self.close()
            raise errors.InputError(
                f"{self.subject} has {self.size_bytes:,} bytes, and Replicate takes files of up to "
                "100 MB. Put it at an https:// address and give that. Nothing was sent."
            )

    async def read_through(self) -> None:
        """Make the digest known."""
        async with aclosing(self.pieces()) as pieces:
            async for _ in pieces:
                pass

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its bytes in order; while one piece is used, the next one is read and hashed.

        Raises:
            InputError: it cannot be read, or is not what it was; before its last piece.
        """
        loop, digest = asyncio.get_running_loop(), hashlib.sha256()
        self._file.seek(0)
        reading = loop.run_in_executor(None, self._read, digest.update)
        left = self.size_bytes
        try:
            if not left:
                await self._end(await reading, digest.hexdigest())
            while left:
                piece = await reading
                left -= len(piece)
                if not piece or left < 0:
                    raise self._changed()
                reading = loop.run_in_executor(None, self._read, digest.update)
                if not left:
                    await self._end(await reading, digest.hexdigest())
                yield piece
        finally:
            if not reading.cancel() and not reading.cancelled():
                reading.exception()  # nobody waits for what was read ahead

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _opened(self, upload: Upload) -> BinaryIO:
        if upload.path is None:
            return BytesIO(upload.data or b"")
        try:
            path = upload.path.expanduser()
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):  # a pipe would hold up everything
                what = "a folder" if stat.S_ISDIR(mode) else "no file that can be sent"
                raise errors.InputError(f"{self.subject} is {what}. Nothing was sent.")
            return path.open("rb")
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in it, no such user's home
            raise self._unreadable(error) from error

    def _look(self) -> tuple[int, int]:
        """The length, and when it was changed."""
        if isinstance(self._file, BytesIO):
            return self._file.seek(0, os.SEEK_END), 0
        facts = os.fstat(self._file.fileno())
        return facts.st_size, facts.st_mtime_ns

    def _read(self, hashed: Callable[[bytes], None]) -> bytes:
        try:
            piece = self._file.read(_PIECE_BYTES)
        except OSError as error:
            raise self._unreadable(error, "run") from error
        hashed(piece)
        return piece

    async def _end(self, more: bytes, digest: str) -> None:
        if more or self._look() != self._state or self.digest not in {"", digest}:
            raise self._changed()
        self.digest = digest

    def _unreadable(self, error: Exception, what: str = "sent") -> errors.InputError:
        reason = getattr(error, "strerror", None) or one_line(str(error)).rstrip(".")
        return errors.InputError(f"{self.subject}: {reason}. Nothing was {what}.")

    def _changed(self) -> errors.InputError:  # some of it may have left, but no whole form
        return errors.InputError(f"{self.subject} changed while it was read. Nothing was run.")
