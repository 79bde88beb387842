"""Owns fetching the files a model gave; must not decide what is drawn."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from replicate_magic.cell.plan import media_type_of
from replicate_magic.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicate_magic.api.client import Client
    from replicate_magic.prediction import OutputFile

PREVIEW_BYTES = 5_000_000
"""The largest file that is fetched to be shown."""
_AT_ONCE = 10
_MOST_FILES = 20
_WITHIN_S = 20.0


async def previews(client: Client, files: Sequence[OutputFile]) -> tuple[OutputFile, ...]:
    """The files with the bytes of those that can be had and are not too large to show.

    A file that cannot be had in time stays a link, and so do all behind the twentieth; the run has
    succeeded all the same.
    """
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(file: OutputFile) -> OutputFile:
        try:
            async with places, asyncio.timeout(_WITHIN_S):
                return await _preview(client, file)
        except TimeoutError:
            return file

    shown = await asyncio.gather(*map(one, files[:_MOST_FILES]))
    return (*shown, *files[_MOST_FILES:])


async def _preview(client: Client, file: OutputFile) -> OutputFile:
    try:
        if file.url.startswith("data:"):
            data: bytes | None = _decoded(file.url)
            size: int | None = len(data or b"")
        else:
            data, size = await client.download(file.url, PREVIEW_BYTES)
    except (ConnectionLost, ValueError):
        return file
    if data is None or len(data) > PREVIEW_BYTES:
        return replace(file, size_bytes=size)
    return replace(file, size_bytes=size, media_type=media_type_of(data), preview=data)


def _decoded(url: str) -> bytes:
    """The bytes of a `data:` URL (RFC 2397)."""
    head, _, body = url.partition(",")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
