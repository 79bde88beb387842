"""Owns what is known of a batch so far, as a view is shown it; must not run or draw anything.

A batch may have a hundred thousand requests and news from sixty of them at once: so one `Tally` is
changed in place, by the loop's thread alone, and any thread may read it at any time. What it hands
out, an `Entry`, is frozen.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

Phase = Literal["waiting", "running", "done"]
_KEPT = (
    "id", "status", "version", "output", "error", "metrics", "created_at", "started_at",
    "completed_at", "urls", "data_removed",
)  # fmt: skip
"""What of the API's JSON a finished entry keeps: neither the input nor the logs."""
_NO_ENTRY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request of a batch, and what is known of it.

    Attributes:
        number: its place in the order asked, from 0; those that were deleted leave gaps.
        model: as it was asked for.
        prompt: the text that the body or `prompt=` gave, or an empty string.
        params: what differs between the requests, apart from the model: inputs by name, and
            `repeat`, from 1, where requests are repeated.
        phase: whether it waits to be sent, runs, or has ended.
        prediction: the newest snapshot; without an id until it is created.
        error: why it did not succeed, in a line or two; empty where it did, or has not ended.
        reused: whether it was answered from history, and nothing was sent.
    """

    number: int
    model: str
    prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    phase: Phase = "waiting"
    prediction: Prediction = field(default_factory=lambda: Prediction(model=""))
    error: str = ""
    reused: bool = False

    @property
    def outcome(self) -> str:
        """`waiting`, `running`, or how it ended: a status of the API's, else `not sent`."""
        if self.phase != "done":
            return self.phase
        return self.prediction.status if self.prediction.id else "not sent"

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.phase == "done" and self.prediction.ok


class Tally:
    """A batch as far as it is known.

    Args:
        batch_id: what it is called in history.
        total: how many requests there are; `None` where rows come from a generator.
        began_s: when it began, by `time.monotonic()`.

    Attributes:
        entries: those that are known, in the order asked.
        note: what holds all of it up, in a line: the rate limit, the credit; or an empty string.
        canceling: whether all of it was asked to end.
        ended_s: when all of it had ended, by `time.monotonic()`, or `None`.
    """

    def __init__(self, batch_id: str, total: int | None, began_s: float) -> None:
        self.batch_id = batch_id
        self.total = total
        self.began_s = began_s
        self.entries: list[Entry] = []
        self.note = ""
        self.canceling = False
        self.ended_s: float | None = None
        self._changes = array("q")  # the number of the entry, by the version before the change
        self._counts: dict[str, int] = {}

    # -- writing: on the loop's thread ------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Add the next request."""
        self.entries.append(entry)
        self._count(entry.outcome, 1)
        self._changes.append(entry.number)

    def change(self, number: int, **values: Any) -> Entry:
        """Change what is known of a request; one that has ended lets go of what nobody needs."""
        place = self.place(number)
        before = self.entries[place]
        entry = replace(before, **values)
        if entry.phase == "done" and before.phase != "done":
            entry = replace(entry, prediction=_kept(entry.prediction))
        self.entries[place] = entry
        if entry.outcome != before.outcome:
            self._count(before.outcome, -1)
            self._count(entry.outcome, 1)
        self._changes.append(number)
        return entry

    def tell(self, note: str) -> None:
        """Say what holds all of it up; an empty string where nothing does."""
        if note != self.note:
            self.note = note
            self._changes.append(_NO_ENTRY)

    def _count(self, outcome: str, change: int) -> None:
        self._counts[outcome] = self._counts.get(outcome, 0) + change

    # -- reading ----------------------------------------------------------------------------------

    def place(self, number: int) -> int:
        """Where among the entries one of this number stands, or would."""
        if number < len(self.entries) and self.entries[number].number == number:
            return number
        return bisect_left(self.entries, number, key=lambda entry: entry.number)

    def entry(self, number: int) -> Entry:
        """The entry of this number."""
        return self.entries[self.place(number)]

    def counts(self) -> dict[str, int]:
        """How many entries are how far, by `Entry.outcome`; none is 0."""
        return {outcome: many for outcome, many in list(self._counts.items()) if many}

    def told(self) -> str:
        """How many are how far, such as `2 succeeded, 1 failed`; nothing where there are none."""
        return told_counts(self.counts())

    @property
    def ended(self) -> int:
        """How many have ended, however."""
        open_ = self._counts.get("waiting", 0) + self._counts.get("running", 0)
        return len(self.entries) - open_

    @property
    def version(self) -> int:
        """Grows with every change."""
        return len(self._changes)

    def changed_since(self, version: int) -> list[Entry]:
        """The entries that changed after a version, in the order asked; it costs as many."""
        changed = set(self._changes[version:]) - {_NO_ENTRY}
        return [self.entry(number) for number in sorted(changed)]

    def left_s(self, now_s: float) -> float | None:
        """About how many seconds are left at the pace so far; `None` while that cannot be told."""
        if not self.ended or self.total is None:
            return None
        return (now_s - self.began_s) / self.ended * (self.total - self.ended)


def told_counts(counts: Mapping[str, int]) -> str:
    """Such as `2 succeeded, 1 failed`."""
    return ", ".join(f"{many:,} {outcome}" for outcome, many in counts.items())


def how_to_resume(batch_id: str) -> str:
    """What runs the rest of a batch, as a sentence."""
    return f"%replicate resume {batch_id} runs those that are missing, and no other."


def _kept(prediction: Prediction) -> Prediction:
    """A finished prediction without what the frame of a batch does not need."""
    raw = {name: prediction.raw[name] for name in _KEPT if name in prediction.raw}
    return replace(prediction, raw=raw)
