"""Owns how far a run's files are on their way, and how often that is told; must not move any.

Bytes come in thousands of pieces, and are told ten times a second. What is over before a person
would see it is not told at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, Self

from replicate_magic.plain import one_line
from replicate_magic.prediction import Moving, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 0.2
"""How long files have moved before anything is told of it, in seconds."""
FRAME_S = 0.1
"""The time between two events, in seconds."""


class Way:
    """One file on its way; leaving the `with` block ends it.

    Attributes:
        name: the file's name, safe to print.
        done_bytes: how many bytes have gone, or come.
        total_bytes: how many there are, or `None` where that is not known.
        waits: whether it is to be tried again, and has not begun anew.
        over: whether it has ended, wherever it is.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        self.name = one_line(name, limit=40) or "file"
        self.done_bytes = 0
        self.total_bytes: int | None = None
        self.waits = self.over = False
        self._attempt = 1
        self._progress = progress

    def told(self, done_bytes: int, total_bytes: int | None) -> None:
        """Take how far it is; called for each piece, so this is little work."""
        self.done_bytes, self.total_bytes, self.waits = done_bytes, total_bytes, False
        self._progress.tell_soon()

    def again(self, reason: str, delay_s: float) -> None:
        """Tell that it is tried again."""
        self.waits = True
        self._attempt += 1
        self._progress.tell_again(self, reason, delay_s, self._attempt)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.over:
            self.waits, self.over = False, True
            self.total_bytes = self.done_bytes
            self._progress.tell_end()


class Progress:
    """How far all files are that a run moves in one direction; on the loop.

    Args:
        direction: up, or down.
        tell: handed the events: at most one each `FRAME_S`, and one at the end.
        at_s: the seconds since the run began.
    """

    def __init__(
        self,
        direction: Literal["up", "down"],
        tell: Callable[[Moving | Retry], None],
        at_s: Callable[[], float],
    ) -> None:
        self._direction = direction
        self._tell = tell
        self._at_s = at_s
        self._ways: list[Way] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # of the loop's time
        self._is_told = False

    def begin(self, name: str) -> Way:
        """Begin with a file, which counts from now on, whether or not it moves yet."""
        if not self._ways:
            self._due_s = asyncio.get_running_loop().time() + PATIENCE_S
        way = Way(name, self)
        self._ways.append(way)
        self.tell_soon()
        return way

    def tell_soon(self) -> None:
        """Tell when it is time to; also of what has long been waiting for its first byte."""
        if self._timer is None and self._ways:
            self._timer = asyncio.get_running_loop().call_at(self._due_s, self._tell_now)

    def tell_again(self, way: Way, reason: str, delay_s: float, attempt: int) -> None:
        """Tell at once that a file is tried again."""
        self._is_told = True
        self._tell(
            Retry(reason=reason, delay_s=delay_s, at_s=self._at_s(), attempt=attempt, file=way.name)
        )

    def tell_end(self) -> None:
        """Tell that a file has ended: soon, or where it was the last one at once."""
        if not all(way.over for way in self._ways):
            self.tell_soon()
            return
        if self._timer:
            self._timer.cancel()
        if self._is_told:
            self._tell(self._moving())
        self._ways, self._timer, self._is_told = [], None, False

    def _tell_now(self) -> None:
        self._timer = None
        self._due_s = asyncio.get_running_loop().time() + FRAME_S
        self._is_told = True
        self._tell(self._moving())

    def _moving(self) -> Moving:
        known = [way.total_bytes for way in self._ways if way.total_bytes is not None]
        return Moving(
            direction=self._direction,
            name=self._ways[0].name if len(self._ways) == 1 else "",
            files=len(self._ways),
            done_files=sum(way.over for way in self._ways),
            done_bytes=sum(way.done_bytes for way in self._ways),
            total_bytes=sum(known) if len(known) == len(self._ways) else None,
            fraction=_fraction(self._ways, known),
            waits=any(way.waits for way in self._ways),
            at_s=self._at_s(),
        )


def _fraction(ways: list[Way], known: list[int]) -> float | None:
    """How much is done of all bytes; files that have not begun are taken to be like the others."""
    if not known or any(way.done_bytes and way.total_bytes is None for way in ways):
        return None
    expected = sum(known) * len(ways) / len(known)
    return min(sum(way.done_bytes for way in ways) / expected, 1.0) if expected else None
