"""Owns the views of a batch where there is no page: a terminal, and a file that is executed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from IPython.display import display

from replicate_magic.plain import one_line
from replicate_magic.views.comparison import bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.tally import Tally
    from replicate_magic.views import Look


_IN_THE_BAR = frozenset({"succeeded", "waiting"})


class StaticBatchView:
    """Shows nothing until the end: for a file that is executed with nobody watching.

    Args:
        look: how much is shown, and how.
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
            display(bundle(tally, self._look, why=why), raw=True)


class TextBatchView:
    """A bar in a terminal, and the table at the end.

    Args:
        look: how much is shown, and how.
        bar: whether there is a terminal for a bar.
    """

    def __init__(self, look: Look, *, bar: bool) -> None:
        self._look = look
        self._wants_bar = bar and look.status
        self._bar: Any = None

    def on_cancel(self, cancel: Callable[[int | None], None]) -> None:
        """A terminal has Ctrl-C."""

    def on_look(self, look: Callable[[int, bool], None]) -> None:
        """A terminal shows no row while it grows."""

    def update(self, tally: Tally) -> None:
        """Move the bar, on stderr: what is printed may go elsewhere."""
        if not self._wants_bar:
            return
        if self._bar is None:
            self._bar = _bar(tally)
        self._bar.total = tally.total
        self._bar.n = tally.ended
        self._bar.set_postfix_str(_beside(tally))

    def close(self, tally: Tally | None, *, why: str = "") -> None:
        """Take the bar away, and print the table."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if tally is not None:
            print(bundle(tally, self._look, why=why)["text/plain"])  # noqa: T201  (a terminal's own view)


def _bar(tally: Tally) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]  # its items are nobody's
        """A bar that is moved by hand: no thread has to watch it, and none outlives it."""

        monitor_interval = 0

    bar = Bar(total=tally.total, unit="run", file=sys.stderr, leave=False, dynamic_ncols=True)
    bar.start_t -= time.monotonic() - tally.began_s  # its pace is that of the batch
    return bar


def _beside(tally: Tally) -> str:
    """What a bar does not tell: the rest of the counts, and what holds it up."""
    counts = tally.counts()
    told = [f"{many:,} {word}" for word, many in counts.items() if word not in _IN_THE_BAR]
    note = "canceling" if tally.canceling else tally.note
    return one_line(", ".join(filter(None, [*told, note])))
