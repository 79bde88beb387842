"""Owns the runs of a frame as the explorer searches them; must not search itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.runs.accessor import Jq
from replicate_magic.runs.frame import values_frame
from replicate_magic.views.table import HEADINGS, run_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicate_magic.runs.frame import RunsFrame


class FrameSource:
    """The runs of a frame, by position. Their documents come from the history."""

    columns: tuple[str, ...] = HEADINGS
    trusted = True

    def __init__(self, frame: RunsFrame) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return len(self._frame)

    def documents(self, start: int, stop: int) -> Iterator[str]:
        """The JSON texts of the runs at these positions; of those deleted since, what is known."""
        return Jq(self._frame.iloc[start:stop], tell=_say_nothing).documents()

    def cells(self, positions: Sequence[int]) -> list[tuple[str, ...]]:
        """What the table shows of each of these runs."""
        return run_texts(self._frame.iloc[list(positions)])

    def name(self, position: int) -> str:
        """What an error calls a run."""
        return f"run {self._frame['id'].iloc[position]}"

    def frame(self, positions: Sequence[int]) -> RunsFrame:
        """A frame of these runs."""
        found: RunsFrame = self._frame.iloc[list(positions)].reset_index(drop=True)
        return found

    def values_frame(self, values: Sequence[Any]) -> RunsFrame:
        """A frame of the outputs of a jq program, one row each."""
        return values_frame(list(values))


def _say_nothing(_: str) -> None:
    """The table shows a run that was deleted since as the frame has it."""
