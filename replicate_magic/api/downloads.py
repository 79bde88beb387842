"""Owns saving the files a model gave: fetching them to disk, and where they lie there.

It must not decide whether they are saved, and no fault of it fails a run.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from replicate_magic.api import file_answers, protocol
from replicate_magic.api.files import data_of
from replicate_magic.api.folder import Folder
from replicate_magic.errors import ConnectionLost, UnexpectedAnswer
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replicate_magic.api.client import Client, Incoming
    from replicate_magic.api.file_answers import Extent
    from replicate_magic.api.folder import Part
    from replicate_magic.prediction import OutputFile

    Told = Callable[[int, int | None], None]
    Again = Callable[[str, float], None]

MOST_BYTES = 1_000_000_000
"""The largest file that is saved, where nothing else is said."""
MOST_IN_ALL_BYTES = 10_000_000_000
"""How much is kept in all, where nothing else is said."""
_AT_ONCE = 10
_BLOCK_BYTES = 2 * 1024 * 1024  # less, and the two threads wait for the interpreter's lock
_SILENCE_S = 30.0
_WITHIN_S = 3600.0  # Replicate deletes the file an hour after the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What became of a file that was to be saved.

    Attributes:
        file: with path, length, media type and digest where it was saved; else as it was.
        trouble: why it was not saved, as the end of a sentence; else empty.
    """

    file: OutputFile
    trouble: str = ""


class _RefusedError(Exception):
    """The file is not to be had, or not wanted, however often it is asked for."""


class _UnfitError(_RefusedError):
    """What came is no continuation of what is there."""


def _nobody(*_: object) -> None:
    pass


class Downloads:
    """Saves output files into a folder, at most ten at once.

    With names by content, the path is `ab/abcdef….png` by the sha256, so that the same bytes are
    one file. With plain names it is the URL's last part, made safe; what lies there already is
    never overwritten, and used where it is the same.

    Args:
        client: the API that the files come from.
        folder: where they are saved; made when the first one comes.
        most_bytes: the largest file that is saved.
        most_in_all_bytes: how much the folder may hold; with plain names, where the reader's own
            files may lie, how much is saved there by this object.
        names: by content, or plain.
        silence_s: for how long nothing may come before a connection counts as broken.
    """

    def __init__(
        self,
        client: Client,
        folder: Path,
        *,
        most_bytes: int = MOST_BYTES,
        most_in_all_bytes: int = MOST_IN_ALL_BYTES,
        names: Literal["content", "plain"] = "content",
        silence_s: float = _SILENCE_S,
    ) -> None:
        self._client = client
        self._folder = Folder(folder.expanduser().absolute(), plain=names == "plain")
        self._most_bytes = most_bytes
        self._most_in_all_bytes = most_in_all_bytes
        self._silence_s = silence_s
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._counting, self._placing = asyncio.Lock(), asyncio.Lock()
        self._held_bytes = 0
        self._counted = names == "plain"

    async def fetch(self, file: OutputFile, told: Told = _nobody, again: Again = _nobody) -> Saved:
        """Save a file; what goes wrong is told in the result, and leaves nothing behind.

        Args:
            file: where it lies.
            told: handed the bytes that have come, and how many there will be, where that is known.
            again: called with the reason and the seconds before it is asked for another time.
        """
        async with self._places:
            try:
                async with asyncio.timeout(_WITHIN_S):
                    return Saved(file=await self._save(file, told, again))
            except TimeoutError:
                trouble = "it took longer than Replicate keeps it"
            except OSError as error:
                trouble = f"{self._folder.path}: {error.strerror or error}"
            except (_RefusedError, UnexpectedAnswer, ValueError) as error:
                trouble = str(error).rstrip(".")
        return Saved(file=file, trouble=one_line(trouble, limit=300))

    async def _save(self, file: OutputFile, told: Told, again: Again) -> OutputFile:
        await self._count()
        part = await asyncio.to_thread(self._folder.begin)
        arrival = _Arrival(part, told)
        is_new = False
        try:
            if file.url.startswith("data:"):
                declared = await self._decode(file.url, arrival)
            else:
                declared = await self._receive(file.url, arrival, again)
            media_type = file_answers.file_type(part.start, declared, file.url)
            async with self._placing:
                path, is_new = await asyncio.to_thread(
                    self._folder.place, part, file.url, media_type
                )
        finally:
            arrival.abandon()
            part.discard()
            self._held_bytes -= arrival.counted_bytes - (part.size_bytes if is_new else 0)
        return replace(
            file, path=path, media_type=media_type, size_bytes=part.size_bytes, sha256=part.digest
        )

    async def _decode(self, url: str, arrival: _Arrival) -> str:
        self._admit(arrival, len(url) * 3 // 4)
        declared, data = await asyncio.to_thread(data_of, url)
        await self._add(arrival, data)
        await arrival.settle()
        return declared

    async def _receive(self, url: str, arrival: _Arrival, again: Again) -> str:
        """Fetch it, and once more where the connection breaks: the rest, or all of it."""
        delay_s = protocol.backoff_s(1)
        try:
            return await self._request(url, arrival)
        except ConnectionLost as error:
            again(one_line(str(error)), delay_s)
            await arrival.settle()
        await asyncio.sleep(delay_s)
        try:
            return await self._request(url, arrival)
        except _UnfitError as error:
            again(str(error), 0.0)
            await arrival.restart()
        return await self._request(url, arrival)

    async def _request(self, url: str, arrival: _Arrival) -> str:
        """The media type that is declared, once all has come."""
        asked = arrival.missing()
        opened = self._client.open_file(url, headers=asked, silence_s=self._silence_s)
        async with opened as coming:
            await arrival.begin(_extent(coming, url))
            self._admit(arrival, arrival.total or 0)
            async for piece in coming.pieces:
                await self._add(arrival, piece)
            await arrival.settle()
            if arrival.total not in {None, arrival.size_bytes}:
                raise ConnectionLost(
                    f"It ended after {arrival.size_bytes:,} of {arrival.total:,} bytes."
                )
            return coming.headers.get("content-type", "")

    async def _add(self, arrival: _Arrival, piece: bytes) -> None:
        self._held_bytes += len(piece)
        await arrival.add(piece)
        self._admit(arrival, arrival.size_bytes)

    # -- how much -----------------------------------------------------------------------------

    async def _count(self) -> None:
        """Find out how much the folder holds: at first, and after it was full."""
        async with self._counting:
            if not self._counted:
                self._held_bytes = await asyncio.to_thread(self._folder.held_bytes)
                self._counted = True

    def _admit(self, arrival: _Arrival, size_bytes: int) -> None:
        """Refuse a file of this size where it is too large, or the folder too full."""
        if size_bytes > self._most_bytes:
            raise _RefusedError(f"it has more than {self._most_bytes:,} bytes")
        coming = max(size_bytes - arrival.size_bytes, 0)
        if self._held_bytes + coming > self._most_in_all_bytes:
            self._counted = self._folder.is_plain  # somebody may make room
            raise _RefusedError(
                f"{self._folder.path} would hold more than {self._most_in_all_bytes:,} bytes"
            )


def _extent(coming: Incoming, url: str) -> Extent:
    """What a good answer brings."""
    status = coming.status
    if status == 429 or status >= 500:
        raise ConnectionLost(f"The address answers HTTP {status}.")
    if status == 416:
        raise _UnfitError("the file has changed while it came")
    if status not in {200, 206}:
        raise _RefusedError(f"the address answers HTTP {status}")
    if file_answers.is_page_instead(coming.headers.get("content-type", ""), url):
        raise _RefusedError("a web page came in its place, perhaps to sign in")
    extent = file_answers.read_extent(status, coming.headers)
    if extent is None:
        raise _UnfitError("a part of the file came that does not say which")
    return extent


# -- to disk ------------------------------------------------------------------------------------


class _Arrival:
    """Bytes on their way into a part: blocks are written on a thread while more come.

    Attributes:
        size_bytes: how many have come and are in the part, or on their way there.
        counted_bytes: how many have come in all, also those that were thrown away.
        total: how many there will be, where that is told.
    """

    def __init__(self, part: Part, told: Told) -> None:
        self.size_bytes = self.counted_bytes = 0
        self.total: int | None = None
        self._validator = ""
        self._part = part
        self._told = told
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    def missing(self) -> dict[str, str]:
        """The headers that ask for what is missing (RFC 9110, 13.1.5 and 14.2)."""
        if not self.size_bytes or (not self._validator and self.total is None):
            return {}
        begin = {"range": f"bytes={self.size_bytes}-"}
        return {**begin, "if-range": self._validator} if self._validator else begin

    async def begin(self, extent: Extent) -> None:
        """What comes from now on is this extent of the file."""
        if extent.start == 0:
            await self.restart()
        elif extent.start != self.size_bytes or not self._is_same(extent):
            raise _UnfitError("the file has changed while it came")
        self.total = self.total if extent.total is None else extent.total
        self._validator = extent.validator or self._validator

    def _is_same(self, extent: Extent) -> bool:
        """Whether nothing speaks against an extent being of the file that has begun to come."""
        known, told = (self.total, self._validator), (extent.total, extent.validator)
        return all(not b or not a or a == b for a, b in zip(known, told, strict=True))

    async def restart(self) -> None:
        """Throw away what has come."""
        if self.size_bytes:
            await self.settle()
            await asyncio.to_thread(self._part.restart)
        self.size_bytes, self.total, self._validator = 0, None, ""

    async def add(self, piece: bytes) -> None:
        """Some more has come."""
        self._block.append(piece)
        self._block_bytes += len(piece)
        self.size_bytes += len(piece)
        self.counted_bytes += len(piece)
        self._told(self.size_bytes, self.total)
        if self._block_bytes >= _BLOCK_BYTES:
            await self._written()
            self._write()

    async def settle(self) -> None:
        """Wait until all that has come is written."""
        await self._written()
        self._write()
        await self._written()

    def abandon(self) -> None:
        """Nobody waits any more for what is being written."""
        if self._writing and not self._writing.cancel() and not self._writing.cancelled():
            self._writing.exception()

    def _write(self) -> None:
        block, self._block, self._block_bytes = self._block, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._part.take, block)

    async def _written(self) -> None:
        if self._writing:
            await self._writing
