"""Owns what is asked of many runs while somebody types, and how it is answered; must not draw it.

A search is a coroutine on the one loop: all that it knows changes there. Its steps, some thousands
of runs each, run on threads. A new question cancels the search before it.
"""

from __future__ import annotations

import json
import keyword
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge
from replicate_magic.errors import CellError, HistoryError, ReplicateMagicError
from replicate_magic.plain import count, one_line
from replicate_magic.searching import Search, rows_to_show, step, whole
from replicate_magic.views.explore import MOST_ROWS, ExploreView, Findings, Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.searching import Source
    from replicate_magic.views.html import Bundle

DRAW_S = 0.3
"""The time between two tables of one search, in seconds."""
ROWS = 100
"""How many rows are shown at first, and each time that more are asked for."""


_LIVE: deque[Explorer] = deque()
_MOST_LIVE = 3  # each holds a frame of all its runs; a cell that is run again makes another


class Explorer:
    """A table of runs that follows a jq program while it is typed.

    Args:
        source: the runs.
        put: puts a value under a name into the user's namespace.
    """

    def __init__(self, source: Source, *, put: Callable[[str, Any], None]) -> None:
        self._source = source
        self._put = put
        self._call: bridge.Call[None, None] | None = None
        self._newest = Question(program="", mode="filter", number=0)
        self._search = self._shown = Search(self._newest, source)
        self._limit = ROWS
        self._error = ""
        self._view = ExploreView(
            ask=lambda question: _on_the_loop(partial(self._ask, question)),
            more=lambda: _on_the_loop(self._more),
            open_row=self._open_row,
            keep=self._keep,
        )

    def show(self, *, static: Bundle | None = None) -> None:
        """Display it, with the newest runs.

        Args:
            static: what is shown where no widget can be drawn, by MIME type.
        """
        self._shown.show(*rows_to_show(self._shown, self._limit))
        self._draw()
        self._view.show(static)
        _LIVE.append(self)
        while len(_LIVE) > _MOST_LIVE:
            _LIVE.popleft().close()

    def close(self) -> None:
        """End what runs, and leave in the table's place what a saved file can show."""
        if self._call:
            self._call.cancel()
        self._view.close()

    # -- on the loop's thread -----------------------------------------------------------------

    def _ask(self, question: Question) -> None:
        self._newest, self._error, self._limit = question, "", ROWS
        self._go_on(Search(question, self._source))

    def _more(self) -> None:
        self._limit = min(max(self._limit, len(self._search.rows)) + ROWS, MOST_ROWS)
        self._go_on(self._search)

    def _go_on(self, search: Search) -> None:
        """Search from where it is."""
        if self._call:
            self._call.cancel()
        self._search = search
        self._call = bridge.Call(lambda _: self._follow(search))
        self._call.start()

    async def _follow(self, search: Search) -> None:
        try:
            await self._to_its_end(search)
        except ReplicateMagicError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  (nobody waits for the call: the page is told)
            self._fail(f"{type(error).__name__}: {error}")

    async def _to_its_end(self, search: Search) -> None:
        drawn_s = -DRAW_S
        while not search.complete:
            search.add(await bridge.apart(partial(step, search, search.searched)))
            if not search.complete and time.monotonic() - drawn_s >= DRAW_S:
                await self._show(search)
                drawn_s = time.monotonic()
        await self._show(search)

    async def _show(self, search: Search) -> None:
        search.show(*await bridge.apart(partial(rows_to_show, search, self._limit)))
        self._shown = search
        self._draw()

    def _fail(self, error: str) -> None:
        """Tell what is wrong; the table that is shown stays, and is what more is asked of."""
        self._error, self._search = error, self._shown
        self._draw()

    def _draw(self) -> None:
        search = self._shown
        self._view.draw(
            Findings(
                number=self._newest.number,
                columns=search.columns,
                rows=tuple(search.rows),
                matched=search.matched,
                searched=search.searched,
                total=search.total,
                error=self._error,
                note=search.note,
                unit="row" if search.maps else "run",
                done=search.complete or bool(self._error),
            )
        )

    # -- on whichever thread hears the page ---------------------------------------------------

    def _open_row(self, position: int) -> str:
        document = next(iter(self._source.documents(position, position + 1)), None)
        if document is None:
            raise HistoryError(f"{self._source.name(position)} is no longer in the history")
        try:
            return json.dumps(json.loads(document), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return document

    def _keep(self, name: str) -> str:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise CellError(f"`{one_line(name, limit=60)}` cannot be the name of a variable")
        found = whole(self._shown)
        if found.maps:
            values = [value for _, value in found.outputs]
            self._put(name, self._source.values_frame(values))
            return f"`{name}` holds {count(len(values), 'row')}"
        self._put(name, self._source.frame(found.positions))
        return f"`{name}` holds {count(len(found.positions), 'run')}"


def close() -> None:
    """End those that are live; each leaves its first rows in its place."""
    while _LIVE:
        _LIVE.pop().close()


def _on_the_loop(work: Callable[[], None]) -> None:
    bridge.the_loop().loop.call_soon_threadsafe(work)
