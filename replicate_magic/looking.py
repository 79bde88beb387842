"""Owns finding one run again: in this kernel, in the history, or at the API; must not draw it.

A row of history that had not ended is asked about, and settled where it has by now.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.cell.hiding import Secrets, hidden_names
from replicate_magic.job import Job
from replicate_magic.order import Conditions
from replicate_magic.plain import one_line
from replicate_magic.prediction import Prediction, is_final
from replicate_magic.recording import fetched, prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.runs.picking import found_or_none, not_found
from replicate_magic.runs.record import Record
from replicate_magic.session import now, the_session
from replicate_magic.views import NoView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicate_magic.endpoint import Endpoint

_WHOLE = re.compile(r"[a-z0-9]{20,40}")  # an id of Replicate's, and no beginning of one
_GOES_ON = "It has not ended: %replicate attach {id} follows it, %replicate cancel {id} ends it."
_HERE = "It runs in this kernel: %replicate wait waits for it, %replicate cancel {id} ends it."
_AS_KEPT = "This is what the history has of it, and it had not ended then."
_REMOVED = (
    "Replicate has deleted its input, output and logs, as it does an hour after a run, and the "
    "history had not kept them."
)
_NOBODY_TO_ASK = "There is no API token to ask Replicate with: %replicate login asks for one."


class Looked(NamedTuple):
    """A run that was found.

    Attributes:
        record: its row.
        notes: what is to be said of it, in sentences.
    """

    record: Record
    prediction: Prediction
    notes: tuple[str, ...] = ()


def looked_up(prediction_id: str, tell: Callable[[str], object] = lambda _: None) -> Looked:
    """The run of an id, or of the beginning of one in the history.

    Args:
        prediction_id: its id; what is not in the history is asked for at the API by its whole id,
            and kept.
        tell: told what is done beside looking.

    Raises:
        NotFound: there is none, or several; the nearest are named.
        HistoryError: the history cannot be read.
    """
    record = found_or_none(prediction_id)
    if record is None:
        record = _from_the_api(prediction_id)
        tell(f"{record.id} was not in the history; it was fetched, and is kept now.")
    if record.final:
        return _with_note(record, prediction_of(record))
    job = job_of(record.id)
    if job is not None:
        return Looked(record, job.prediction, (_HERE.format(id=record.id),))
    return _settled(record)


def job_of(prediction_id: str) -> Job | None:
    """The job of this kernel that runs a prediction in the background, if there is one."""
    jobs = (job for job in the_session().background() if isinstance(job, Job))
    return next((job for job in jobs if job.prediction.id == prediction_id), None)


def asked(endpoint: Endpoint, record: Record) -> dict[str, Any]:
    """The API's JSON of a prediction now, with the secrets hidden that its row hides.

    Raises:
        ReplicateMagicError: it could not be had.
    """

    async def work(_: object) -> dict[str, Any]:
        client = await the_session().runner.clients.at(endpoint)
        answer = await client.send(protocol.get_request(record.id))
        return answers.read_prediction(answer, subject=_subject(record))

    return Secrets(names=hidden_names(record.raw.get("input"))).raw(now(work))


def settle(record: Record) -> Prediction:
    """Complete the row of a prediction that has ended, and save its files.

    Raises:
        ReplicateMagicError: it could not be had.
    """
    return the_session().attach(record, Conditions(), NoView()).prediction


def is_on_a_server(record: Record) -> bool:
    """Whether it was a Cog server that ran it, which keeps nothing."""
    return "://" in record.model


def _settled(record: Record) -> Looked:
    """A run whose end the history has not: as it is by now, or else as it was."""
    try:
        if is_on_a_server(record):
            return _with_note(record, settle(record))  # which tells why not
        raw = asked(the_session().endpoints.at(record.origin), record)
        if is_final(raw):
            return _with_note(record, settle(record))
    except errors.ReplicateMagicError as error:
        if isinstance(error, errors.NotFound):
            the_history().save(replace(record, local={**record.local, "lost": True}))
        return Looked(record, prediction_of(record), (_AS_KEPT, str(error)))
    newer = replace(record, raw=raw)
    the_history().save(newer)
    return Looked(newer, prediction_of(newer), (_GOES_ON.format(id=newer.id),))


def _with_note(record: Record, prediction: Prediction) -> Looked:
    is_empty = not prediction.input and prediction.output is None
    notes = (_REMOVED,) if prediction.data_removed and is_empty else ()
    return Looked(record, prediction, notes)


def _from_the_api(prediction_id: str) -> Record:
    """What the configured API, or the engine of this process, has of an id.

    Raises:
        NotFound: neither has it, or could be asked.
    """
    if not _WHOLE.fullmatch(prediction_id):
        raise not_found(
            prediction_id, "One that is not among them is asked for at the API by its whole id."
        )
    nowhere = Record(raw={"id": prediction_id}, model="", origin="")
    said: list[str] = []
    for endpoint in _places(said):
        try:
            raw = asked(endpoint, nowhere)
        except errors.NotFound:
            said.append(f"{endpoint.base} has none either.")
        except errors.ReplicateMagicError as error:
            said.append(f"It could not be asked for: {error}")
        else:
            record = fetched(raw, endpoint.base)
            the_history().save(record)
            return record
    raise not_found(prediction_id, *said)


def _places(said: list[str]) -> Iterator[Endpoint]:
    endpoints = the_session().endpoints
    configured = endpoints.configured()
    if configured.token or not endpoints.needs_token(configured.base):
        yield configured
    else:
        said.append(_NOBODY_TO_ASK)
    if engine := endpoints.engine:
        yield endpoints.at(protocol.base_url(engine))


def _subject(record: Record) -> str:
    return f"{one_line(record.model)} {record.id}" if record.model else f"prediction {record.id}"
