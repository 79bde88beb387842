"""Owns fetching small files that a model gave into memory; must not decide what is drawn."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

from replicate_magic.cell.files import media_type_of
from replicate_magic.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replicate_magic.api.client import Client
    from replicate_magic.prediction import OutputFile

PREVIEW_BYTES = 5_000_000
"""The largest file that is fetched to be shown."""
_AT_ONCE = 10
_MOST_FILES = 20
_WITHIN_S = 20.0


class Previews:
    """Fetches output files as they become known, within `async with`; leaving it ends what runs.

    A file that cannot be had in time stays a link, and so do all behind the twentieth; the run has
    succeeded all the same.
    """

    def __init__(self, client: Client, came: Callable[[OutputFile], None]) -> None:
        self._client = client
        self._came = came
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._fetching: dict[str, asyncio.Task[None]] = {}

    @property
    def pending(self) -> bool:
        """Whether a file is being fetched."""
        return not all(task.done() for task in self._fetching.values())

    def fetch(self, files: Sequence[OutputFile]) -> None:
        """Begin to fetch those that are new."""
        for file in files[:_MOST_FILES]:
            if file.url not in self._fetching:
                self._fetching[file.url] = asyncio.create_task(self._fetch(file))

    async def settle(self, deadline_s: float) -> None:
        """Wait until all have come or cannot be had, or it has taken too long (loop time)."""
        left_s = deadline_s - asyncio.get_running_loop().time()
        if self._fetching:
            await asyncio.wait(self._fetching.values(), timeout=max(min(left_s, _WITHIN_S), 0))

    async def _fetch(self, file: OutputFile) -> None:
        async with self._places:
            self._came(await _preview(self._client, file))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)


async def _preview(client: Client, file: OutputFile) -> OutputFile:
    try:
        if file.url.startswith("data:"):
            data: bytes | None = data_of(file.url)[1]
            size: int | None = len(data or b"")
        else:
            data, size = await client.download(file.url, PREVIEW_BYTES)
    except (UnexpectedAnswer, ValueError):
        return file
    if data is None or len(data) > PREVIEW_BYTES:
        return replace(file, size_bytes=size)
    return replace(file, size_bytes=size, media_type=media_type_of(data), preview=data)


def data_of(url: str) -> tuple[str, bytes]:
    """The media type and the bytes of a `data:` URL (RFC 2397).

    Raises:
        ValueError: it is none.
    """
    head, comma, body = url.removeprefix("data:").partition(",")
    if not comma:
        raise ValueError("it is no data: URL")
    media_type = head.removesuffix(";base64") or "text/plain"
    if not head.endswith(";base64"):
        return media_type, unquote_to_bytes(body)
    try:
        return media_type, base64.b64decode(unquote_to_bytes(body), validate=True)
    except binascii.Error as error:
        raise ValueError("it is no base64") from error
