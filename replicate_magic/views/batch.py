"""Owns the live table of a batch: the widget, and its end as a document.

The page's side is `batch.js`; what it is sent is `batch_frames.py`'s.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anywidget
from traitlets import Dict, Unicode

from replicate_magic.plain import count
from replicate_magic.views import comparison, widgets
from replicate_magic.views.batch_frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.tally import Tally
    from replicate_magic.views import Look

_KEPT = 5  # finished tables: each may hold a document of a megabyte


class BatchTable(anywidget.AnyWidget):
    """The widget: what the page has been sent, and the way to it.

    Its traits are read only to tell a page that comes late; frames go as messages, each of a
    bounded size, and such a page asks for the rest.

    Args:
        tally: the batch.
        answers: whether what the models answer is shown.
    """

    _esm = widgets.page_side("batch", "js")
    _css = widgets.page_side("batch", "css")
    table = Dict().tag(sync=True, to_json=lambda _, table: table.from_number(0))
    html = Unicode().tag(sync=True, to_json=lambda _, table: table.markup)

    def __init__(self, tally: Tally, *, answers: bool) -> None:
        self.frames = Frames(answers=answers)
        self.markup = ""
        self._tally: Tally | None = tally
        self._last: dict[str, Any] = {}
        self._over = False
        self._cancel: Callable[[int | None], None] | None = None
        self._look: Callable[[int, bool], None] | None = None
        super().__init__()
        widgets.let_clicks_in(self.comm)
        self.on_msg(self._hear)

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """Call `cancel` on a click; it may come on any thread."""
        self._cancel = cancel

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """Call `look` where a row is opened or closed; it may come on any thread."""
        self._look = look

    def tell(self, tally: Tally) -> None:
        """Send the page what is new, in one message; nothing where nothing is."""
        self._tally = tally
        frame = self.frames.new(tally, time.monotonic())
        if frame:
            self.send(frame)

    def end(self, tally: Tally, markup: str, *, why: str, stays: bool) -> None:
        """Tell that all has ended.

        Args:
            tally: what is known.
            markup: safe HTML to be shown in place of the table, for a page that asks for news.
            why: what went wrong, in a line or two.
            stays: whether the table itself stays, and may still be asked for its rows.
        """
        self._over, self.frames.why = True, why
        frame = self.frames.new(tally, time.monotonic(), over=True)
        if frame:
            self.send({**frame, "behind": self.frames.is_behind})
        self._cancel = self._look = None  # and all that is behind them
        self.markup = "" if stays else markup
        if not stays:
            self._last = {**self.from_number(0), "rows": [], "next": None}
            self._tally = None

    def from_number(self, first: int) -> dict[str, Any]:
        """All that a late page has to know, rows from one on."""
        if self._tally is None:
            return self._last
        return self.frames.from_number(self._tally, first, time.monotonic(), over=self._over)

    def _hear(self, _table: BatchTable, content: Any, _buffers: Any) -> None:
        match content:
            case {"ask": "cancel", "number": int() | None as number}:
                self.send({"heard": number})
                if self._cancel:
                    self._cancel(number)
            case {"ask": "look", "number": int(number), "known": known}:
                self._open(number, known)
            case {"ask": "look away", "number": int(number)}:
                self._look_away(number)
            case {"ask": "news", "from": int(first)}:
                self.send(self.from_number(first))
            case {"ask": "end"}:
                self.send({"html": self.markup})

    def _open(self, number: int, known: Any) -> None:
        tally = self._tally
        if tally is None or not self.frames.answers or not 0 <= number < len(tally.entries):
            return
        if self._look:
            self._look(number, True)  # noqa: FBT003  (the view's protocol)
        frame, left = self.frames.look(tally, number, known)
        for one in left:
            self._look_away(one)
        self.send(frame)

    def _look_away(self, number: int) -> None:
        self.frames.look_away(number)
        if self._look:
            self._look(number, False)  # noqa: FBT003  (the view's protocol)


class LiveBatchView:
    """Draws a batch as a live table, and leaves a document in its place.

    Args:
        look: how much is shown, and how.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._table: BatchTable | None = None
        self._place = widgets.Place()
        self._cancel: Callable[[int | None], None] | None = None
        self._on_look: Callable[[int, bool], None] | None = None

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """Call `cancel` where the person asks for it."""
        self._cancel = cancel

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """Call `look` where a row is opened or closed."""
        self._on_look = look

    def update(self, tally: Tally) -> None:
        """Send the table what is new."""
        self._opened(tally).tell(tally)

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Leave what is to stay in the table's place."""
        if tally is None:
            self._leave_nothing()
            return
        bundle = comparison.bundle(tally, self._look, why=why)
        if self._table:
            stays = self._look.keep_widget
            self._table.end(tally, bundle["text/html"], why=why, stays=stays)
            _FINISHED.add(self._table, stays=stays)
        self._place.leave(bundle, beside=self._table if self._look.keep_widget else None)

    def _opened(self, tally: Tally) -> BatchTable:
        if self._table is None:
            self._table = BatchTable(tally, answers=self._look.answer)
            if self._cancel:
                self._table.on_cancel(self._cancel)
            if self._on_look:
                self._table.on_look(self._on_look)
            self._place.show(self._table, _begun(tally))
        return self._table

    def _leave_nothing(self) -> None:
        self._place.leave_nothing()
        if self._table:
            widgets.close(self._table)


def _begun(tally: Tally) -> str:
    """What a reader without widgets is told of a batch on its way."""
    of = count(tally.total, "request") if tally.total is not None else "requests"
    return f"{of} on their way: batch {tally.batch_id}"


_FINISHED = widgets.Finished(_KEPT)  # holds nothing before its first use


def close() -> None:
    """Close the tables that are kept."""
    _FINISHED.close()
