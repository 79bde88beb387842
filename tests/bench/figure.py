"""What a bench finds out: ours, and that of somebody else who does the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure; less is better.

    Attributes:
        name: what was done.
        ours: how much of the unit it took us.
        unit: of `ours` and `peer`.
        beside: who the peer is; empty where there is none.
        peer: how much it took them.
        asked: the most that the ratio may be, or without a peer `ours`; `None` where none is set.
    """

    name: str
    ours: float
    unit: str
    beside: str = ""
    peer: float | None = None
    asked: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def missed(self) -> bool:
        """Whether it is more than was asked."""
        found = self.ours if self.ratio is None else self.ratio
        return self.asked is not None and found > self.asked
