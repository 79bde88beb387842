"""Owns what an earlier run was, so that it can be asked for again; must not run it.

Inputs are those that were sent. Files that Replicate deletes come from their saved copies, or from
where they lie as long as they do; secrets are in no history, and have to be given again.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.models import Described
from replicate_magic.api.protocol import APIRequest
from replicate_magic.cell.hiding import is_hidden
from replicate_magic.cell.plan import Draft, read_target
from replicate_magic.cell.schema import InputField, Schema, read_schema
from replicate_magic.lookups import is_hash
from replicate_magic.order import Conditions, Order
from replicate_magic.plain import one_line
from replicate_magic.recording import prediction_of
from replicate_magic.runs.history import the_history
from replicate_magic.runs.query import Query
from replicate_magic.session import now, the_session

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from replicate_magic.api.client import Client
    from replicate_magic.cell.plan import Target
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.runs.record import Record

_LEFT_OUT = re.compile(r"data:[^,]*;size=\d+,")  # a file that was too large for its row
_MOST_ROWS = 20  # that may have had a file as output
_NO_MODEL = (
    "The row of {} names no model that could be run: give it, %replicate run owner/name …, with "
    "its inputs, which %replicate show {} has."
)
_NO_INPUT = (
    "Replicate has deleted the input of {}, as it does an hour after a run, and the history had "
    "not kept it. Nothing was sent."
)
_HIDDEN = (
    "{names}: secret, and in no history. Give {it} again, such as {first}={{{{expression}}}}. "
    "Nothing was sent."
)
_GONE = "{name}: the file that was sent is gone ({why}), and no copy was saved. Give it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """An earlier run, as something to ask for.

    Attributes:
        target: the same model and version.
        inputs: as they were sent.
        secrets: the names of those that are secret, of which the value is not known.
        described: what is known of the model.
        schema: of it; an empty one where it could not be looked up.
    """

    target: Target
    inputs: Mapping[str, Any]
    secrets: frozenset[str]
    described: Described
    schema: Schema


def earlier(record: Record) -> Again:
    """What ran, by its row; what is not known of its model is left open.

    Raises:
        CellError: its row names no model, or has no input.
    """
    target = _named(record)
    given = record.raw.get("input")
    if not given and record.raw.get("data_removed"):
        raise errors.CellError(_NO_INPUT.format(record.id))
    target, described = _described(target, record.raw.get("version"))
    schema = read_schema(described.openapi)
    inputs = given if isinstance(given, dict) else {}
    told = (one.name for one in (schema.fields or {}).values() if one.is_secret)
    hidden = (name for name, value in inputs.items() if is_hidden(value))
    return Again(
        target=target,
        inputs=inputs,
        secrets=frozenset({*told, *hidden}) & inputs.keys(),
        described=described,
        schema=schema,
    )


def inputs_again(record: Record, made: Again, given: Collection[str]) -> dict[str, Any]:
    """The inputs to send once more, but for those that are given anew.

    Raises:
        InputError: secrets are to be given again, or files are gone: all of them, one a line.
    """
    left = {name: value for name, value in made.inputs.items() if name not in given}
    secret = [name for name in left if name in made.secrets]
    if secret:
        names = ", ".join(one_line(name, limit=60) for name in secret)
        it = "it" if len(secret) == 1 else "them"
        raise errors.InputError(_HIDDEN.format(names=names, it=it, first=secret[0]))
    files = {name for name, value in left.items() if _is_file(made, name, value, record)}
    if not files:
        return left
    endpoint = the_session().endpoint_of(made.target, Conditions())
    found = {name: _Files(record, endpoint).found(left[name]) for name in files}
    gone = [
        _GONE.format(name=one_line(name, limit=60), why=one.why)
        for name, several in found.items()
        for one in (several if isinstance(several, list) else [several])
        if isinstance(one, _Gone)
    ]
    if gone:
        raise errors.InputError("\n".join([*gone, "Nothing was sent."]))
    return {**left, **found}


# -- what ran -----------------------------------------------------------------------------------


def _named(record: Record) -> Target:
    try:
        return read_target(record.model)
    except errors.CellError as error:
        raise errors.CellError(_NO_MODEL.format(record.id, record.id)) from error


def _described(target: Target, version: object) -> tuple[Target, Described]:
    """The model with the version that ran, where one can be named, and what is known of it.

    An official model runs its newest version only, whatever its predictions carry.
    """
    described = _looked_up(target)
    if target.kind != "model" or not is_hash(version) or described.official:
        return target, described
    pinned = replace(target, kind="version", version=str(version))
    return pinned, _looked_up(pinned)


def _looked_up(target: Target) -> Described:
    """What is known of a target; nothing where that cannot be found out now."""
    conditions = Conditions(log=False)
    with suppress(errors.ReplicateMagicError):
        endpoint = the_session().endpoint_of(target, conditions)
        order = Order(endpoint, target, Draft(inputs={}), conditions)
        return now(lambda _: the_session().runner.known(order, or_old=True)).described
    return Described()


# -- files --------------------------------------------------------------------------------------


def _is_file(made: Again, name: str, value: Any, record: Record) -> bool:
    """Whether an input is files, of which Replicate's own are gone after a while."""
    urls = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    if not any(_LEFT_OUT.fullmatch(url[:300]) or _is_passing(url, record) for url in urls):
        return False
    field = (made.schema.fields or {}).get(name) or InputField(name=name)
    return field.is_file or bool(field.item and field.item.is_file) or not field.types


def _is_passing(url: str, record: Record) -> bool:
    """Whether an address is one of Replicate's own, where files are deleted."""
    scheme, host, _ = protocol.origin(url)
    own = protocol.origin(record.origin)[1]
    is_delivered = host == "replicate.delivery" or host.endswith(".replicate.delivery")
    return scheme in {"http", "https"} and (is_delivered or host == own)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    why: str


class _Files:
    """Finds the files that a run was given.

    Args:
        record: its row.
        endpoint: where it is to run again.
    """

    def __init__(self, record: Record, endpoint: Endpoint) -> None:
        self._record = record
        self._endpoint = endpoint

    def found(self, value: Any) -> Any:
        """What to send: a saved copy's path, the address where it lies, or `_Gone`."""
        if isinstance(value, list):
            return [self.found(one) for one in value]
        if not isinstance(value, str):
            return value
        if _LEFT_OUT.fullmatch(value[:300]):
            return _Gone(why="it was too large for its row")
        if not _is_passing(value, self._record):
            return value
        why = ""
        if (path := _saved_copy(value)) is None:
            why = now(lambda _: self._why_gone(value))
        return _Gone(why=why) if why else path or value

    async def _why_gone(self, url: str) -> str:
        """Why a file is not at its address any more; an empty string where it is."""
        client = await the_session().runner.clients.at(self._endpoint)
        shown = one_line(url, limit=120)
        try:
            status = await _status(client, url)
        except errors.ReplicateMagicError as error:
            return f"{shown}: {one_line(str(error))}".rstrip(".")
        return "" if status < 300 else f"{shown} answers HTTP {status}"


async def _status(client: Client, url: str) -> int:
    """What an address answers; the API's own files are asked about, since they need a token."""
    if url.startswith(f"{client.base}/files/"):
        answer = await client.send(APIRequest(method="GET", path=url))
        if answer.status < 300:
            answers.read_object(answer, subject="the file")
        return answer.status
    async with client.open_file(url) as coming:
        return coming.status


def _saved_copy(url: str) -> Path | None:
    """The copy of an earlier run's output, if it is on this machine, and whole."""
    with suppress(errors.HistoryError):
        rows = the_history().frame(Query(text=url, limit=_MOST_ROWS))
        for name in rows["id"]:
            for record in the_history().find(str(name)):
                files = {file.url: file.path for file in prediction_of(record).files}
                if files.get(url) is not None:
                    return files[url]
    return None
