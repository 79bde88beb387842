"""Owns when the runs of a batch are asked about: near the time that earlier ones took; pure.

A GET that comes too early is wasted, and one that comes late leaves a place empty that the next run
could have. Times are in seconds, from a run's creation to its end.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING

from replicate_magic.api.protocol import poll_delay_s

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED = 100
_LATER = 1.04  # what took 2.00 s takes 2.05 s the next time
_STEP = 0.1  # of a run's age so far: how much later than its end it may be seen
_SHORTEST_S = 0.03
_READS_PER_S = 40.0  # of the 50 that Replicate allows: https://replicate.com/docs/topics/predictions/rate-limits


class Pace:
    """When to ask about the runs of one model.

    Args:
        lasted_s: how long its earlier runs took.
    """

    def __init__(self, lasted_s: Iterable[float] = ()) -> None:
        self.running = 0
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        for seconds in lasted_s:
            self.learn(seconds)

    def learn(self, lasted_s: float) -> None:
        """Take in how long a run took."""
        if lasted_s < 0:
            return
        if len(self._recent) == _REMEMBERED:
            self._sorted.remove(self._recent.popleft())
        self._recent.append(lasted_s)
        insort(self._sorted, lasted_s)

    def delay_s(self, polls: int, age_s: float) -> float:
        """How long to wait before the next GET.

        Args:
            polls: how often this run was asked about.
            age_s: how long ago it was created.
        """
        if not self._sorted:
            return max(poll_delay_s(polls, stream="none"), self._fair_s())
        early_s = self._sorted[len(self._sorted) // 4] * _LATER
        if age_s < early_s:
            return max(early_s - age_s, _SHORTEST_S)
        return max(_STEP * age_s, _SHORTEST_S, self._fair_s())

    def _fair_s(self) -> float:
        """At which pace all of them together stay within what may be read."""
        return self.running / _READS_PER_S
