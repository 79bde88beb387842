"""Owns ending runs: which run here, which is meant, and what is told of each at last.

It must not tell that a run was canceled before whoever runs it has said so.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic import bridge, errors
from replicate_magic.api.ending import end, end_on_a_server
from replicate_magic.batch_job import BatchJob
from replicate_magic.job import Job
from replicate_magic.looking import is_on_a_server, job_of, settle
from replicate_magic.plain import count, one_line
from replicate_magic.prediction import Prediction, is_final
from replicate_magic.recording import prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.runs.picking import found
from replicate_magic.session import now, the_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicate_magic.runs.record import Record
    from replicate_magic.session import Waited

_END_WITHIN_S = 30.0  # of a model that has to hear of it first
_JOB_WITHIN_S = 12.0  # its own clean-up takes less
_NOTHING = "Nothing runs in this kernel."
_ELSEWHERE = (
    "{} of the history not ended: %replicate cancel ID ends one, %replicate attach follows."
)
_SEEN_LATER = "{} was told to stop; its end is not seen yet: %replicate show {} looks again."
_STOPPED = (
    "{} was told to stop, and runs no more. How it ended, a Cog server tells only to the kernel "
    "that began it."
)
_HEARD = "{} was told to stop. A Cog server tells the end of it only to the kernel that began it."


class Outcome(NamedTuple):
    """What became of a run that was to be ended.

    Attributes:
        words: that in a sentence.
    """

    prediction: Prediction
    words: str


def running() -> list[Waited]:
    """What this kernel runs in the background: jobs, and jobs of many."""
    return the_session().background()


def end_all() -> list[Outcome]:
    """End all that this kernel runs."""
    jobs = running()
    for job in jobs:
        job_cancel(job)
    with_jobs = [outcome for job in jobs for outcome in _ended(job)]
    left = [name for name, many in the_session().runner.running.items() if many > 0]
    return [*with_jobs, *(one for name in left for one in _followed(name))]


def _followed(name: str) -> list[Outcome]:
    """What is followed by no job, such as by `arun`; the others are ended all the same."""
    try:
        return [_end_record(found(name))]
    except errors.ReplicateMagicError as error:
        return [Outcome(Prediction(model="", raw={"id": name}), str(error))]


def end_one(word: str | None) -> list[Outcome]:
    """End one run: of this kernel, of another, or of an earlier one.

    Args:
        word: its id, or the beginning of it; the id of a batch of this kernel; the only one that
            this kernel runs where none is given.

    Raises:
        CellError: none is given, and there is none, or there are several.
        NotFound: there is no such run.
        ReplicateMagicError: it could not be told to stop.
    """
    if word is None:
        return _end_the_only_one()
    for job in running():
        if _is_meant(job, word):
            job_cancel(job)
            return _ended(job)
    return [_end_record(found(word))]


def job_cancel(job: Waited) -> None:
    """Send word to a job."""
    if isinstance(job, Job | BatchJob):
        job.cancel()


def _is_meant(job: Waited, word: str) -> bool:
    name = (
        job.prediction.id if isinstance(job, Job) else job.id if isinstance(job, BatchJob) else ""
    )
    return bool(name) and name.startswith(word)


def _end_the_only_one() -> list[Outcome]:
    jobs = running()
    if len(jobs) == 1:
        job_cancel(jobs[0])
        return _ended(jobs[0])
    if not jobs:
        left = the_session().unfinished()
        more = f" {_ELSEWHERE.format(_have(len(left)))}" if left else ""
        raise errors.CellError(f"{_NOTHING}{more}")
    listed = "".join(f"\n  {_described(job)}" for job in jobs)
    raise errors.CellError(
        f"{len(jobs)} run in this kernel: name one by its id, or give --all.{listed}"
    )


def _have(number: int) -> str:
    return f"{count(number, 'run')} {'has' if number == 1 else 'have'}"


def _described(job: Waited) -> str:
    if isinstance(job, BatchJob):
        return f"{job.id}  a batch of {count(job.tally.total or len(job.tally.entries), 'request')}"
    prediction = job.prediction if isinstance(job, Job) else Prediction(model="")
    status = one_line(prediction.status)
    return f"{prediction.id or '(no id yet)'}  {one_line(prediction.model)}, {status}"


# -- jobs of this kernel ------------------------------------------------------------------------


def _ended(job: Waited) -> list[Outcome]:
    """What became of a job that was told to end."""
    return list(_of_batch(job)) if isinstance(job, BatchJob) else [_of_job(job)]


def _of_job(job: Waited) -> Outcome:
    if not isinstance(job, Job):
        raise errors.CellError(f"{job!r} cannot be canceled.")
    _wait_for(job)
    prediction = job.prediction
    if job.done:
        try:
            prediction = job.ended().prediction
        except errors.ReplicateMagicError as error:
            if not prediction.id:
                return Outcome(prediction, str(error))
    if not prediction.id:
        return Outcome(
            prediction, f"{one_line(prediction.model)} was canceled before it had an id."
        )
    if prediction.final:
        return Outcome(prediction, _said(prediction, was_told=True))
    row = the_history().find(prediction.id)
    return _end_where_made(row[0]) if row else Outcome(prediction, _unseen(prediction))


def _of_batch(job: BatchJob) -> Iterator[Outcome]:
    _wait_for(job)
    for entry in job.tally.entries:
        prediction = entry.prediction
        if prediction.id:
            words = _said(prediction, was_told=True) if prediction.final else _unseen(prediction)
            yield Outcome(prediction, words)


def _wait_for(job: Job | BatchJob) -> None:
    until_s = time.monotonic() + _JOB_WITHIN_S
    while not job.call.wait(bridge.SLICE_S) and time.monotonic() < until_s:
        pass


# -- any other ----------------------------------------------------------------------------------


def _end_record(record: Record) -> Outcome:
    if record.final:
        prediction = prediction_of(record)
        return Outcome(prediction, _said(prediction, was_told=False))
    job = job_of(record.id)
    if job is not None and not job.done:
        job.cancel()
        return _of_job(job)
    return _end_where_made(record)


def _end_where_made(record: Record) -> Outcome:
    """End a run by asking whoever runs it.

    Raises:
        NotFound: it is not known there; its row is marked.
        ReplicateMagicError: it could not be told to stop.
    """
    try:
        return _end_on_a_server(record) if is_on_a_server(record) else _end_at_the_api(record)
    except errors.NotFound:
        settle(record)  # which raises the same, and marks the row
        raise
    except errors.ReplicateMagicError as error:
        error.add_note(f"{one_line(record.model)} ({record.id}) may still be running.")
        raise


def _end_at_the_api(record: Record) -> Outcome:
    endpoint = the_session().endpoints.at(record.origin)
    subject = f"{one_line(record.model)} {record.id}"

    async def work(_: object) -> tuple[dict[str, object], bool]:
        client = await the_session().runner.clients.at(endpoint)
        return await end(client, record.id, subject=subject, within_s=_END_WITHIN_S)

    raw, was_told = now(work)
    if not is_final(raw):
        prediction = Prediction(model=record.model, raw=raw)
        return Outcome(prediction, _unseen(prediction))
    prediction = settle(record)
    return Outcome(prediction, _said(prediction, was_told=was_told))


def _end_on_a_server(record: Record) -> Outcome:
    endpoint = the_session().endpoints.at(record.origin)

    async def work(_: object) -> bool:
        client = await the_session().runner.clients.at(endpoint)
        return await end_on_a_server(
            client, record.id, subject=record.model, within_s=_END_WITHIN_S
        )

    is_over = now(work)
    newest = the_history().find(record.id)
    prediction = prediction_of(newest[0] if newest else record)
    if prediction.final:  # the kernel that began it has told the history
        return Outcome(prediction, _said(prediction, was_told=True))
    return Outcome(prediction, (_STOPPED if is_over else _HEARD).format(_name(prediction)))


# -- words --------------------------------------------------------------------------------------


def _said(prediction: Prediction, *, was_told: bool) -> str:
    name, status = _name(prediction), one_line(prediction.status)
    if not was_told:
        verb = "was" if status in {"canceled", "aborted"} else "had"
        return f"{name} {verb} already {status}: there was nothing to cancel."
    if status in {"canceled", "aborted"}:
        return f"{name} was {status}."
    return f"{name} {status} before it could be canceled."


def _unseen(prediction: Prediction) -> str:
    return _SEEN_LATER.format(_name(prediction), prediction.id)


def _name(prediction: Prediction) -> str:
    return f"{one_line(prediction.model)} ({prediction.id})"
