"""A list as the API answers it: `next`, `previous` and `results`.

Knows requests, not what is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .problems import Problem
from .state import state_of
from .wire import paginate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

T = TypeVar("T")


def page_json(
    request: Request,
    items: Sequence[T],
    *,
    show: Callable[[T], dict[str, Any]],
    key: Callable[[T], int] | None = None,
) -> dict[str, Any]:
    """The page of *items* that the request's `cursor` names, as JSON.

    Args:
        request: Names the cursor, and the URL that the links point to.
        items: All of the list.
        show: Turns an item into JSON.
        key: Falls from one item to the next; their position from the end where left out.

    Raises:
        Problem: 404 if the cursor cannot be read.
    """
    numbered = [
        (key(item) if key else len(items) - index, item) for index, item in enumerate(items)
    ]
    try:
        cursor = request.query_params.get("cursor")
        page = paginate(numbered, key=lambda pair: pair[0], cursor=cursor)
    except ValueError as error:
        raise Problem(404, str(error)) from error
    return {
        "next": _link(request, page.next),
        "previous": _link(request, page.previous),
        "results": [show(item) for _, item in page.results],
    }


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.url.include_query_params(cursor=cursor).query
    return f"{state_of(request).base_url}{request.url.path}?{query}"
