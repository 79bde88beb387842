"""Owns the views of a batch: a file that is executed, a terminal, a page; must hold no logic."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from IPython.display import display

from replicate_magic.plain import printable
from replicate_magic.views.comparison import bundle, live_html, summary, table_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.tally import Tally
    from replicate_magic.views import Look

_FRAME_S = 0.5


class StaticBatchView:
    """Shows nothing until the end: for a file that is executed with nobody watching.

    Args:
        look: how much is shown.
    """

    def __init__(self, look: Look) -> None:
        self._look = look

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """Nobody is there to cancel."""

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """Nobody looks."""

    def update(self, tally: Tally) -> None:
        """Show nothing."""

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Show what is to stay."""
        if tally is not None:
            display(_bundle(tally, why, self._look), raw=True)


class PageBatchView(StaticBatchView):
    """A display that is written anew while the batch runs, and stays as a table.

    Args:
        look: how much is shown.
    """

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._handle: Any = None
        self._drawn_s = 0.0

    def update(self, tally: Tally) -> None:
        """Draw how far it is, twice a second."""
        now_s = time.monotonic()
        if now_s - self._drawn_s >= _FRAME_S:
            self._drawn_s = now_s
            self._show({"text/plain": summary(tally, now_s), "text/html": live_html(tally, now_s)})

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Leave what is to stay in its place."""
        if tally is not None:
            self._show(_bundle(tally, why, self._look))
        elif self._handle is not None:
            self._show({"text/plain": ""})

    def _show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class TextBatchView(StaticBatchView):
    """A bar in a terminal, and the table at the end.

    Args:
        look: how much is shown.
        bar: whether there is a terminal for a bar.
    """

    def __init__(self, look: Look, *, bar: bool) -> None:
        super().__init__(look)
        self._wants_bar = bar and look.status
        self._bar: Any = None

    def update(self, tally: Tally) -> None:
        """Move the bar."""
        if not self._wants_bar:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=tally.total, unit="run", file=sys.stderr, leave=False)
        counts = tally.counts()
        told = [f"{many:,} {word}" for word, many in counts.items() if word != "waiting"]
        self._bar.set_postfix_str(tally.note or ", ".join(told), refresh=False)
        self._bar.n = tally.ended
        self._bar.refresh()

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Take the bar away, and print the table."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if tally is not None:
            ended_s = tally.ended_s or time.monotonic()
            line = summary(tally, ended_s, ended=True) if self._look.status else ""
            text = table_text(tally) if self._look.answer else ""
            parts = [part for part in (text, line, printable(why)) if part]
            if parts:
                print("\n\n".join(parts))  # noqa: T201  (a terminal's own view)


def _bundle(tally: Tally, why: str, look: Look) -> dict[str, str]:
    return bundle(tally, why, answers=look.answer, status=look.status)
