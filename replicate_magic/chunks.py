"""Owns text that grows at its end; must not know what it is the text of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Chunks:
    """Text that grows at its end: snapshots share one list, so that appending is O(1).

    Each snapshot sees only its own length. Only the newest may be extended in place; extending an
    older one copies. One thread extends, any thread reads.
    """

    __slots__ = ("_length", "_parts")

    def __init__(self, parts: list[str] | None = None) -> None:
        self._parts = [] if parts is None else parts
        self._length = len(self._parts)

    def extended(self, more: Sequence[str]) -> Chunks:
        """These chunks followed by `more`."""
        shared = self._parts if len(self._parts) == self._length else self.parts()
        shared.extend(more)
        return Chunks(shared)

    def parts(self, start: int = 0) -> list[str]:
        """The chunks as they came, from the one numbered `start` on."""
        return self._parts[start : self._length]

    def text(self) -> str:
        """All of it, joined."""
        return "".join(self.parts())

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<{self._length} chunks>"
