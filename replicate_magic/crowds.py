"""Owns which creates are under way without an id yet, by what they ask for; must not send them.

What a create that failed has left behind may be another's that asks for the same: as long as any of
them is under way, all that were with it count.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack


class Crowds:
    """Creates under way, with those that were under way beside them."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._with_them: Counter[str] = Counter()

    def enter(self, asked: str) -> ExitStack:
        """What is to be closed once a create has its id, or has failed.

        Args:
            asked: what creates that are alike have in common.
        """
        left = ExitStack()
        self._under_way[asked] += 1
        self._with_them[asked] += 1
        left.callback(self._leave, asked)
        return left

    def is_alone(self, asked: str) -> bool:
        """Whether a create that is under way was never beside another one like it."""
        return self._with_them[asked] <= 1

    def _leave(self, asked: str) -> None:
        self._under_way[asked] -= 1
        if self._under_way[asked] <= 0:
            del self._under_way[asked], self._with_them[asked]
