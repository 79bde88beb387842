"""Routes for files: upload, list, show, download, delete.

Reads requests and writes answers; files are kept by `files`.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from . import problems
from .bodies import Part, parse_json, parse_multipart, read_body
from .files import StoredFile, file_json, store
from .model import File
from .paging import page_json
from .problems import Problem
from .state import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

MAX_BYTES = 100 * 1024 * 1024
TOO_LARGE = "Files must be less than 100MB in size"
NAME_MAX_CHARS = 255
_FORM_OVERHEAD_BYTES = 64 * 1024
_DEFAULT_TYPE = "application/octet-stream"
_SAFE_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


async def create(request: Request) -> Response:
    """`POST /files`, a form with the part `content` and maybe `metadata`, `filename`, `type`."""
    limit = MAX_BYTES + _FORM_OVERHEAD_BYTES
    body = await read_body(request, max_bytes=limit, detail=TOO_LARGE)
    # In a thread, since hashing 100 MB would hold up every stream.
    file = await asyncio.to_thread(_store, request.headers.get("content-type", ""), body)
    state_of(request).files.add(file)
    return JSONResponse(file_json(file, state_of(request).base_url), status_code=201)


async def list_all(request: Request) -> Response:
    """`GET /files`."""
    state = state_of(request)
    files = state.files.newest_first()
    return JSONResponse(
        page_json(request, files, show=lambda file: file_json(file, state.base_url))
    )


async def get(request: Request) -> Response:
    """`GET /files/{id}`."""
    return JSONResponse(file_json(_named(request), state_of(request).base_url))


async def delete(request: Request) -> Response:
    """`DELETE /files/{id}`."""
    state_of(request).files.remove(_named(request).id)
    return Response(status_code=204)


async def download(request: Request) -> Response:
    """`GET /files/{id}/download`, with the token or with a signed query."""
    file = _named(request)
    query = request.query_params
    if "signature" in query:
        given = {name: query.get(name, "") for name in ("owner", "expiry", "signature")}
        if not state_of(request).files.is_signed(file.id, **given):
            raise problems.not_found("File not found")
    disposition = f"attachment; filename*=utf-8''{quote(file.name)}"
    return StreamingResponse(
        file.chunks(),
        media_type=file.media_type,
        headers={
            "content-length": str(file.size_bytes),
            # What was uploaded as a web page must not run as one of this origin.
            "content-disposition": disposition,
            "x-content-type-options": "nosniff",
        },
    )


def _store(content_type: str, body: bytes) -> StoredFile:
    parts = parse_multipart(content_type, body)
    file, metadata = _upload(parts)
    if len(body) - len(file.content) > _FORM_OVERHEAD_BYTES:
        raise Problem(413, "The form's other parts must be less than 64KB in size")
    try:
        return store(file, metadata=metadata)
    except OSError as error:
        raise Problem(
            507, f"The file could not be kept in {tempfile.gettempdir()}: {error}. Make room there."
        ) from error


def _upload(parts: Sequence[Part]) -> tuple[File, dict[str, Any]]:
    by_name = {part.name: part for part in parts}
    if "content" not in by_name:
        raise Problem(400, "The form has no part named content.", title="Malformed form")
    content = by_name["content"]
    if len(content.content) > MAX_BYTES:
        raise Problem(413, TOO_LARGE)
    name = _text(by_name, "filename") or content.filename or "file"
    media_type = _text(by_name, "type") or content.media_type
    file = File(
        name=name.replace("\\", "/").rpartition("/")[2][:NAME_MAX_CHARS],
        media_type=media_type if _SAFE_TYPE.fullmatch(media_type) else _DEFAULT_TYPE,
        content=content.content,
    )
    return file, _metadata(_text(by_name, "metadata"))


def _text(parts: dict[str, Part], name: str) -> str:
    return parts[name].content.decode("utf-8", "replace").strip() if name in parts else ""


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = parse_json(text or "{}")
    except ValueError as error:
        raise Problem(400, f"metadata is not valid JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise Problem(422, "metadata must be a JSON object", title="Input validation failed")
    return metadata


def _named(request: Request) -> StoredFile:
    file = state_of(request).files.get(request.path_params["id"])
    if file is None:
        raise problems.not_found("File not found")
    return file


ROUTES = [
    Route("/files", create, methods=["POST"]),
    Route("/files", list_all, methods=["GET"]),
    Route("/files/{id}", get, methods=["GET"]),
    Route("/files/{id}", delete, methods=["DELETE"]),
    Route("/files/{id}/download", download, methods=["GET"]),
]
