"""The API's error answers.

Each is raised as a `Problem` where it is found and becomes `application/problem+json` (RFC 9457)
in one place. The sentences are those of Replicate.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from .validate import InvalidField


class Problem(Exception):
    """An error answer.

    Attributes:
        status: The HTTP status.
        body: The JSON object that is sent, `status` included.
    """

    def __init__(self, status: int, detail: str, *, title: str | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        named = {"title": title} if title else {}
        self.body: dict[str, Any] = {**named, "detail": detail, "status": status, **more}


def unauthenticated() -> Problem:
    """No token or a wrong one."""
    return Problem(401, "You did not pass a valid authentication token", title="Unauthenticated")


def not_found(detail: str = "The requested resource could not be found.") -> Problem:
    """There is no such thing."""
    return Problem(404, detail)


def unknown_version() -> Problem:
    """The `version` of a new prediction names nothing here."""
    return Problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        title="Invalid version or not permitted",
    )


def invalid_input(fields: Sequence[InvalidField]) -> Problem:
    """A body that does not fit its schema: one line of `detail` for each of *fields*."""
    lines = [f"- {field.field or '(root)'}: {field.description}\n" for field in fields]
    return Problem(
        422,
        "".join(lines),
        title="Input validation failed",
        invalid_fields=[asdict(field) for field in fields],
    )


def answer(problem: Problem) -> JSONResponse:
    """The answer that carries *problem*."""
    return JSONResponse(
        problem.body, status_code=problem.status, media_type="application/problem+json"
    )


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for `Problem`."""
    return answer(cast("Problem", error))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for unknown paths and methods."""
    refused = cast("HTTPException", error)
    if refused.status_code == 404:
        return answer(not_found())
    detail = refused.detail
    if refused.status_code == 405:
        detail = f'Method "{request.method}" not allowed.'
    response = answer(Problem(refused.status_code, detail))
    response.headers.update(refused.headers or {})
    return response


async def on_crash(_request: Request, error: Exception) -> JSONResponse:
    """Starlette's handler for errors of our own; the traceback goes to the server's log."""
    return answer(Problem(500, f"The engine failed: {type(error).__name__}: {error}"))
