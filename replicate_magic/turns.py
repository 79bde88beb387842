"""Owns how soon threads of the process get their turn; must not know what any of them does."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN_S = 0.0005
"""How long a thread that holds the interpreter keeps others waiting, where `quick_turns` holds."""
_HALF_MICROSECOND = 5e-7  # Python cuts off what is less than one, also of what it has told itself


class _Turns:
    """How long threads keep each other waiting, and how many want that to be short."""

    def __init__(self) -> None:
        self._wanted = 0
        self._usual_s = self._ours_s = 0.0

    def shorten(self) -> None:
        if not self._wanted:
            self._usual_s = sys.getswitchinterval()
            if self._usual_s > TURN_S:
                sys.setswitchinterval(TURN_S)
            self._ours_s = sys.getswitchinterval()
        self._wanted += 1

    def leave(self) -> None:
        self._wanted -= 1
        is_ours = sys.getswitchinterval() == self._ours_s != self._usual_s
        if is_ours and not self._wanted:  # nobody else has set it
            sys.setswitchinterval(self._usual_s + _HALF_MICROSECOND)


_TURNS = _Turns()


@contextmanager
def quick_turns() -> Iterator[None]:
    """Keep the process's other threads waiting less, while the loop has much to do; on its thread.

    The interpreter lets a busy thread go on for 5 ms before another one gets its turn, and a
    notebook's kernel changes threads a dozen times for each cell.
    """
    _TURNS.shorten()
    try:
        yield
    finally:
        _TURNS.leave()
