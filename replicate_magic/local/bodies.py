"""Reads request bodies: bounded, then as JSON or as multipart form.

Knows nothing of what the bodies mean.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.requests import ClientDisconnect

from .problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from starlette.requests import Request

JSON_MAX_BYTES = 16 * 1024 * 1024
_DRAIN_FACTOR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a multipart form."""

    name: str
    filename: str | None
    media_type: str
    content: bytes


async def read_body(request: Request, *, max_bytes: int, detail: str) -> bytes:
    """The whole body.

    Raises:
        Problem: 413 with *detail*, if it has more than *max_bytes*; 400, which nobody reads, if the
            client went away.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= max_bytes:
                chunks.append(chunk)
                continue
            chunks.clear()
            # Many clients read no answer before all is sent, so the rest is read and dropped.
            if size > _DRAIN_FACTOR * max_bytes:
                break
    except ClientDisconnect as error:
        raise Problem(400, "The request broke off.") from error
    if size > max_bytes:
        raise Problem(413, detail)
    return b"".join(chunks)


async def read_json(request: Request) -> Any:
    """The body as JSON.

    Raises:
        Problem: 400 if it is not JSON in UTF-8, 413 if it is too large.
    """
    body = await read_body(
        request, max_bytes=JSON_MAX_BYTES, detail="Request bodies must be less than 16MB in size"
    )
    try:
        return parse_json(body)
    except ValueError as error:
        raise Problem(
            400, f"The request body is not valid JSON: {error}", title="Malformed JSON"
        ) from error


def parse_json(text: str | bytes) -> Any:
    """*text* as JSON that can also be written again.

    Raises:
        ValueError: If it is none, is nested too deeply, or has half a surrogate pair, which is
            legal JSON and no text.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def parse_multipart(content_type: str, body: bytes) -> list[Part]:
    """The parts of a `multipart/form-data` body (RFC 7578).

    Raises:
        Problem: 400 if it is none.
    """
    boundary = _header(f"content-type: {content_type}").get_boundary()
    if boundary is None or not content_type.lower().startswith("multipart/form-data"):
        raise Problem(400, "Send the file as multipart/form-data.", title="Malformed form")
    return list(_parts(b"\r\n" + body, b"\r\n--" + boundary.encode()))


def _parts(body: bytes, delimiter: bytes) -> Iterator[Part]:
    position = body.find(delimiter)
    while position >= 0:
        start = position + len(delimiter)
        if body[start : start + 2] == b"--":
            return
        position = body.find(delimiter, start)
        if position < 0:
            raise Problem(400, "The form ends before its last boundary.", title="Malformed form")
        head_end = body.find(b"\r\n\r\n", start, position)
        if head_end >= 0:
            yield _part(body[start:head_end], body[head_end + 4 : position])


def _part(head: bytes, content: bytes) -> Part:
    headers = _header(head.decode("utf-8", "replace").strip())
    return Part(
        name=str(headers.get_param("name", "", "content-disposition")),
        filename=headers.get_filename(),
        media_type=headers.get_content_type() if "content-type" in headers else "",
        content=content,
    )


def _header(text: str) -> Message:
    return HeaderParser().parsestr(text + "\n\n")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
