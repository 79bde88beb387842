"""Owns a batch that was begun: what is known of it, its frame, how to wait for it or end it.

It must not know what runs, or who watches.
"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from replicate_magic import bridge, errors
from replicate_magic.plain import count, one_line
from replicate_magic.recording import Notes, record_of
from replicate_magic.runs.record import columns_of
from replicate_magic.tally import how_to_resume, told_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.batch_order import Asked
    from replicate_magic.batch_run import Batch, News
    from replicate_magic.runs.frame import RunsFrame
    from replicate_magic.tally import Entry, Tally

_TELLING = {"not sent": 1, "canceled": 2}
"""Which of those without an answer are told last, when one is."""


class BatchJob:
    """Many predictions that run in the background, or have ended.

    ```python
    job = …                      # `_` of a cell with --bg
    job.frame                    # what there is so far, one row a request
    df = job.wait()              # the same, once all have ended
    ```
    """

    detached: bool
    """Whether nobody waits for it."""

    def __init__(self, call: bridge.Call[News, Tally], batch: Batch, *, keep_going: bool) -> None:
        self.call = call
        self.detached = False
        self._batch = batch
        self._keep_going = keep_going

    @property
    def id(self) -> str:
        """What it is called in history: `%replicate resume ID`."""
        return self.tally.batch_id

    @property
    def tally(self) -> Tally:
        """What is known of it; it changes while the batch runs."""
        return self._batch.tally

    @property
    def frame(self) -> RunsFrame:
        """One row a request in the order asked, as far as they are known now.

        The columns are those of `replicate_magic.runs`, with `input.NAME…` for what was sent and
        `row.NAME…` for the rows it came from. A request that has no prediction has no `id`, the
        status `not sent`, `waiting` or `running`, and perhaps its `error`.
        """
        return frame_of(self.tally, self._batch.requests.asked)

    @property
    def done(self) -> bool:
        """Whether all of it has ended."""
        return self.call.wait(0)

    def wait(self, timeout: float | None = None) -> RunsFrame:
        """Wait for the end, and for what is drawn of it.

        An interrupt ends the waiting and not the predictions.

        Args:
            timeout: for how many seconds at most.

        Raises:
            BatchFailed: some did not succeed; `error.frame` has all. Not with `keep_going`.
            TimeoutError: it had not ended within `timeout`; it goes on.
            ReplicateMagicError: nothing could be sent.
        """
        until_s = None if timeout is None else time.monotonic() + timeout
        while not self.call.wait(bridge.SLICE_S) or not self.call.left(bridge.SLICE_S):
            if until_s is not None and time.monotonic() > until_s:
                raise TimeoutError(f"{self!r} has not ended yet; it goes on.")
        return self.checked()

    def cancel(self, number: int | None = None) -> None:
        """Have one request, or all of them, canceled; this only sends word.

        Args:
            number: which, from 0; all where none is given.
        """
        if number is None:
            self.tally.canceling = True
            self.call.cancel()
        else:
            self.call.tell(lambda: self._batch.cancel(number))

    def look(self, number: int) -> None:
        """Have the answer of one request streamed, for somebody who looks at it."""
        self.call.tell(lambda: self._batch.look(number))

    def checked(self) -> RunsFrame:
        """The frame of a batch that has ended.

        Raises:
            BatchFailed, ReplicateMagicError: as `wait` says.
        """
        self.settled()
        frame, why = self.frame, self.why()
        if why and not self._keep_going:
            raise errors.BatchFailed(why, frame=frame)
        return frame

    def settled(self) -> None:
        """Nothing, however it ended.

        Raises:
            ReplicateMagicError: nothing could be sent.
        """
        with suppress(CancelledError):
            self.call.result()

    def why(self) -> str:
        """Which did not succeed, and why the first of them; an empty string where all did."""
        bad = [entry for entry in self.tally.entries if not entry.ok]
        if not bad and not self._batch.why:
            return ""
        return "\n".join([*_told(self.tally, bad, self._batch.why), how_to_resume(self.id)])

    def detach(self, update: Callable[[News], None], end: Callable[[BatchJob], object]) -> None:
        """Begin, with nobody waiting.

        Args:
            update: handed the news, on the loop's thread.
            end: called once it has ended, on another thread.
        """
        self.detached = True
        self.call.detach(update, lambda: end(self))

    def __repr__(self) -> str:
        return f"<BatchJob {self.id}: {self.tally.told() or 'nothing yet'}>"


def _told(tally: Tally, bad: list[Entry], stopped: str) -> list[str]:
    outcomes: dict[str, int] = {}
    for entry in bad:
        outcomes[entry.outcome] = outcomes.get(entry.outcome, 0) + 1
    told = told_counts(outcomes)
    of = tally.total or len(tally.entries)
    lines = [f"{len(bad):,} of {count(of, 'prediction')} did not succeed: {told}."] if bad else []
    if stopped:
        lines.append(f"No more were sent: {stopped}")
    worst = sorted(bad, key=lambda entry: _TELLING.get(entry.outcome, 0))
    first = worst[0] if worst else None
    if first is not None and first.error and not stopped:
        why = one_line(first.error, limit=500)
        lines.append(f"The first, request {first.number + 1} ({first.model}): {why}")
    return lines


def frame_of(tally: Tally, asked: Mapping[int, Asked]) -> RunsFrame:
    """The frame of a batch; see `BatchJob.frame`."""
    from replicate_magic.runs import accessor  # noqa: F401  (gives frames their `.jq`)
    from replicate_magic.runs.frame import batch_frame
    from replicate_magic.runs.store import COLUMNS

    entries = list(tally.entries)
    known = [asked[entry.number] for entry in entries]
    rows = [_row_of(entry, of) for entry, of in zip(entries, known, strict=True)]
    return batch_frame(
        {name: [row[name] for row in rows] for name in COLUMNS},
        inputs=[of.inputs for of in known],
        rows=[of.row for of in known],
    )


def _row_of(entry: Entry, asked: Asked) -> dict[str, Any]:
    notes = Notes(origin=asked.origin, prompt=entry.prompt, local=asked.local)
    record = record_of(entry.prediction, notes)
    row = {**columns_of(record), "prompt": record.prompt, "output": record.output}
    if not record.id:
        row |= {"id": None, "status": entry.outcome, "output": None}
    if not entry.ok and row["error"] is None:
        row["error"] = entry.error or None
    return row
