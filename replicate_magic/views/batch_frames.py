"""Owns what of a batch the page is sent, frame by frame; must not send it.

The page's side is `batch.js`. A frame holds the rows that have changed, at most so many, and what
is known of all where that has changed. Waiting requests of a large batch are not told: their count
is enough. Rows that are looked at have their answers sent. Every frame is stamped with the tally's
version, so that an older one that comes later does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import one_line
from replicate_magic.views import entries
from replicate_magic.views.batch_answers import Answers

if TYPE_CHECKING:
    from replicate_magic.tally import Entry, Tally

MOST_ROWS = 100
"""How many rows a frame has at most."""
_EARLY = 1_000  # requests that are told while they wait
_LINE_CHARS = 240
_PROMPT_CHARS = 160
_MOST_PARAMS = 8
_AGAIN_S = 5.0  # after which what is left is told again, though nothing has ended

Frame = dict[str, Any]


@dataclass(slots=True)
class _Running:
    """A request that runs: when it began, by `time.monotonic()`, and what the page was told."""

    begun_s: float
    told: list[Any]


class Frames:
    """What a page has been sent of a batch.

    `new` is for one thread, the one that updates; what answers the page's questions may be called
    on another at the same time.

    Attributes:
        number: of the newest frame.
        answers: whether what the models answer is shown.
        why: what went wrong in the end, in a line or two.
    """

    def __init__(self, *, answers: bool = True) -> None:
        self.number = 0
        self.answers = answers
        self.why = ""
        self._version = 0
        self._pending: dict[int, None] = {}  # an ordered set
        self._introduced: set[int] = set()
        self._running: dict[int, _Running] = {}
        self._looked = Answers()
        self._facts: Frame = {}
        self._told_s = 0.0

    def new(self, tally: Tally, now_s: float, *, over: bool = False) -> Frame:
        """The next frame; empty where nothing is new.

        Args:
            tally: what is known.
            now_s: the time, by `time.monotonic()`.
            over: whether nothing more will come.
        """
        version = tally.version  # before what it is the version of
        self._notice(tally, version)
        parts = {
            "rows": self._changed_rows(tally, now_s),
            "facts": self._changed_facts(tally, now_s, over=over),
            "answers": self._looked.grown(tally),
        }
        frame: Frame = {name: part for name, part in parts.items() if part}
        if frame:
            self.number += 1
            frame |= {"number": self.number, "version": version}
        return frame

    def from_number(self, tally: Tally, first: int, now_s: float, *, over: bool = False) -> Frame:
        """All that a late page has to know, rows from one on; `next` is where to ask for more."""
        version = tally.version
        rows: list[list[Any]] = []
        after = max(first, 0)
        for entry in islice(tally.entries, tally.place(after), None):
            if len(rows) == MOST_ROWS:
                break
            after = entry.number + 1
            if _is_told(entry):
                rows.append([*self._introduction(entry), *self._state(entry, tally, now_s)])
        more = after if tally.place(after) < len(tally.entries) else None
        facts = self._facts_now(tally, over=over) | _times(tally, now_s)
        return {
            "whole": self.number, "version": version, "rows": rows, "facts": facts, "next": more,
        }  # fmt: skip

    # -- rows -----------------------------------------------------------------------------------

    def _notice(self, tally: Tally, version: int) -> None:
        for entry in tally.changed_since(self._version):
            if _is_told(entry):
                self._pending[entry.number] = None
        self._version = version

    @property
    def is_behind(self) -> bool:
        """Whether there are changes that the page has not been sent."""
        return bool(self._pending)

    def _changed_rows(self, tally: Tally, now_s: float) -> list[list[Any]]:
        numbers = list(islice(self._pending, MOST_ROWS))
        rows = [self._changed_row(tally.entry(number), tally, now_s) for number in numbers]
        for number in numbers:
            self._pending.pop(number, None)
        return [row for row in rows if row]

    def _changed_row(self, entry: Entry, tally: Tally, now_s: float) -> list[Any] | None:
        """A row as `[number, model, params, prompt, kind, word, line, seconds, begun, speed]`.

        What stays the same, `model`, `params` and `prompt`, is null but for the first time.
        """
        running = self._running.get(entry.number)
        if entry.phase == "running" and running is None:
            begun_s = now_s - entry.prediction.seen_after_s
            running = self._running[entry.number] = _Running(begun_s, [])
        state = self._state(entry, tally, now_s)
        is_new = entry.number not in self._introduced
        if entry.phase != "running":
            self._running.pop(entry.number, None)
        elif running is not None:
            if state == running.told and not is_new:
                return None
            running.told = state
        self._introduced.add(entry.number)
        first = self._introduction(entry) if is_new else [entry.number, None, None, None]
        return [*first, *state]

    def _introduction(self, entry: Entry) -> list[Any]:
        params = islice(entry.params.items(), _MOST_PARAMS)
        cells = {one_line(name, limit=30): entries.parameter(value) for name, value in params}
        prompt = one_line(entry.prompt[: 4 * _PROMPT_CHARS], limit=_PROMPT_CHARS)
        return [entry.number, one_line(entry.model, limit=80), cells, prompt]

    def _state(self, entry: Entry, tally: Tally, now_s: float) -> list[Any]:
        """What changes; `begun` is when it set out, or ran, in seconds since the batch began."""
        is_done, prediction = entry.phase == "done", entry.prediction
        seconds = entries.ran_s(entry) if is_done else None
        begun = None
        if entry.phase == "running":
            running = self._running.get(entry.number)
            since_s = running.begun_s if running else now_s - prediction.seen_after_s
            begun = round(since_s + (prediction.started_after_s or 0.0) - tally.began_s, 1)
        is_told = self.answers or (is_done and not entry.ok)
        said = entries.line(entry, _LINE_CHARS) if is_told else ""
        word = "from history" if is_done and prediction.age_s is not None else entries.word(entry)
        return [entries.kind(entry), word, said, seconds, begun, entries.speed_word(entry)]

    # -- all ------------------------------------------------------------------------------------

    def _changed_facts(self, tally: Tally, now_s: float, *, over: bool) -> Frame | None:
        facts = self._facts_now(tally, over=over)
        is_going = not over and now_s - self._told_s < _AGAIN_S
        if facts == self._facts and (over or is_going):
            return None
        self._facts, self._told_s = facts, now_s
        return facts | _times(tally, now_s)

    def _facts_now(self, tally: Tally, *, over: bool) -> Frame:
        """What is known of all of them, and changes with them."""
        return {
            "batch": one_line(tally.batch_id),
            "total": tally.total,
            "known": len(tally.entries),
            "ended": tally.ended,
            "counts": _by_kind(tally),
            "note": one_line(self.why or tally.note, limit=500),
            "canceling": tally.canceling,
            "answers": self.answers,
            "over": over,
        }

    # -- answers --------------------------------------------------------------------------------

    def look(self, tally: Tally, number: int, known: Any) -> tuple[Frame, list[int]]:
        """A frame with all that a page lacks of an answer, which is followed from now on.

        The numbers are of those that are not followed any more.
        """
        told, left = self._looked.look(tally, number, known)
        return {"answers": [told]}, left

    def look_away(self, number: int) -> None:
        """Follow an answer no more."""
        self._looked.look_away(number)


def _is_told(entry: Entry) -> bool:
    return entry.number < _EARLY or entry.phase != "waiting"


def _by_kind(tally: Tally) -> dict[str, int]:
    kinds = dict.fromkeys(("succeeded", "failed", "canceled", "running", "waiting"), 0)
    for outcome, many in tally.counts().items():
        kinds[entries.kind_of(outcome)] += many
    return kinds


def _times(tally: Tally, now_s: float) -> Frame:
    """What the page goes on counting by itself."""
    return {
        "elapsed_s": round((tally.ended_s or now_s) - tally.began_s, 1),
        "left_s": tally.left_s(now_s),
    }
