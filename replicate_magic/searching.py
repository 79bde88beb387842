"""Owns one search of many runs: its steps, and what they come to; must not know who asks.

Steps are functions of what is known; they run on any thread, and `Search.add` on the owner's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from replicate_magic.plain import count
from replicate_magic.runs import jq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replicate_magic.views.explore import Question, Row

NEWEST = 1_000
"""How many runs are searched before the first table is drawn."""
CHUNK = 4_000
"""How many runs a step searches after that: a fifth of a second's work."""
_OUTPUTS = 10_000  # of a map, held at most: those of a large history could fill the memory
_COLUMNS = 30
_VALUE = "value"
_DEADLINE_S = 5.0  # for one document: whoever types has another question by then


class Source(Protocol):
    """The runs that are searched, newest first; all is called on any thread."""

    columns: tuple[str, ...]
    """The headings of the cells."""
    trusted: bool
    """Whether `json.dumps` has written the documents."""

    def __len__(self) -> int:
        """How many runs there are."""

    def documents(self, start: int, stop: int) -> Iterator[str]:
        """The JSON texts of the runs at these positions."""

    def cells(self, positions: Sequence[int]) -> list[tuple[str, ...]]:
        """What the table shows of each of these runs, as short texts."""

    def name(self, position: int) -> str:
        """What an error calls a run."""

    def frame(self, positions: Sequence[int]) -> Any:
        """A DataFrame of these runs."""

    def values_frame(self, values: Sequence[Any]) -> Any:
        """A DataFrame of the outputs of a jq program, one row each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What some of the runs came to."""

    searched: int
    positions: list[int] = field(default_factory=list)
    outputs: list[tuple[int, Any]] = field(default_factory=list)
    skipped: int = 0
    first_error: str = ""
    suggests_map: bool = False


class Search:
    """A question, and what is known of its answer.

    Attributes:
        source: the runs.
        question: what is asked of them.
        total: how many there are.
        asks_all: whether there is no program.
        maps: whether rows are outputs of the program, and not runs.
        searched: how many runs the program has seen.
        matched: how many rows there are.
        positions: the runs that are kept.
        outputs: the first outputs of a map, each with the position of its run.
        columns: the headings of `rows`.
        rows: the rows that are shown.
    """

    def __init__(self, question: Question, source: Source, *, most_outputs: int = _OUTPUTS) -> None:
        self.source, self.question, self.total = source, question, len(source)
        self.asks_all = not question.program.strip()
        self.maps = question.mode != "filter" and not self.asks_all
        self.positions: Sequence[int] = range(self.total) if self.asks_all else []
        self.searched = self.matched = self.total if self.asks_all else 0
        self.outputs: list[tuple[int, Any]] = []
        self.columns = () if self.maps else source.columns
        self.rows: list[Row] = []
        self._most_outputs = most_outputs
        self._skipped, self._first_error, self._suggests_map = 0, "", True

    @property
    def complete(self) -> bool:
        """Whether all runs were searched."""
        return self.searched >= self.total

    @property
    def note(self) -> str:
        """What is to be known besides the rows."""
        if self._skipped:
            failed, seen = f"{self._skipped:,}", count(self.searched, "run")
            return (
                f"The program fails on {failed} of {seen}, left out; the first: {self._first_error}"
            )
        if self._suggests_map and self.complete and not self.maps and not self.asks_all:
            return "This keeps every run; “map” makes a row of what the program gives for each."
        return ""

    def add(self, step: Step) -> None:
        """Add what some of the runs came to."""
        self.searched = step.searched
        self.matched += len(step.outputs if self.maps else step.positions)
        self.positions = [*self.positions, *step.positions]
        self.outputs += step.outputs[: self._most_outputs - len(self.outputs)]
        self._skipped += step.skipped
        self._first_error = self._first_error or step.first_error
        self._suggests_map = self._suggests_map and step.suggests_map

    def show(self, columns: tuple[str, ...], rows: list[Row]) -> None:
        """Show these rows too."""
        self.columns = columns
        self.rows += rows


def step(search: Search, start: int) -> Step:
    """Search some of the runs, from this one on; all of them where the program takes them as one.

    Raises:
        JqError: the program does not compile, is too slow, or fails where it takes all.
    """
    source, question = search.source, search.question
    if question.mode == "all":
        found = jq.together(
            question.program,
            source.documents(0, search.total),
            names=source.name,
            deadline_s=_DEADLINE_S,
        )
        return Step(searched=search.total, outputs=[(-1, value) for value in _rows_of_all(found)])
    stop = min(start + (CHUNK if start else NEWEST), search.total)
    asked: dict[str, Any] = {
        "names": lambda position: source.name(start + position),
        "skip_errors": True,
        "trusted": source.trusted,
        "deadline_s": _DEADLINE_S,
    }
    documents = source.documents(start, stop)
    if question.mode == "map":
        made = jq.mapped(question.program, documents, **asked)
        numbered = enumerate(made.outputs, start)
        return Step(
            searched=stop,
            outputs=[(position, value) for position, values in numbered for value in values],
            skipped=made.skipped,
            first_error=made.first_error,
        )
    kept = jq.matches(question.program, documents, **asked)
    return Step(
        searched=stop,
        positions=[position for position, flag in enumerate(kept.flags, start) if flag],
        skipped=kept.skipped,
        first_error=kept.first_error,
        suggests_map=kept.suggests_map,
    )


def _rows_of_all(outputs: list[Any]) -> list[Any]:
    """A list that a program makes of all runs is as many rows."""
    return [row for output in outputs for row in (output if isinstance(output, list) else [output])]


def rows_to_show(search: Search, limit: int) -> tuple[tuple[str, ...], list[Row]]:
    """The columns, and the rows up to `limit` that are not shown yet."""
    known = len(search.rows)
    if search.maps:
        return _rows_of_values(search.columns, search.outputs[known:limit])
    positions = search.positions[known:limit]
    cells = search.source.cells(positions)
    return search.columns, list(zip(positions, cells, strict=True))


def _rows_of_values(
    columns: tuple[str, ...], outputs: list[tuple[int, Any]]
) -> tuple[tuple[str, ...], list[Row]]:
    """Objects by their keys, in the order these are first seen; other values in a column of one."""
    places = {name: place for place, name in enumerate(columns)}
    rows = []
    for position, value in outputs:
        fields = value if isinstance(value, dict) else {_VALUE: value}
        for name in fields:
            if len(places) < _COLUMNS:
                places.setdefault(name, len(places))
        cells = [""] * len(places)
        for name, inner in fields.items():
            if name in places:
                cells[places[name]] = _cell(inner)
        rows.append((position, tuple(cells)))
    return tuple(places), rows


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def whole(search: Search) -> Search:
    """The search with all that it finds: what is not known of it is searched for now."""
    if search.complete and len(search.outputs) == (search.matched if search.maps else 0):
        return search
    found = Search(search.question, search.source, most_outputs=sys.maxsize)
    while not found.complete:
        found.add(step(found, found.searched))
    return found
