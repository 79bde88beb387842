"""Owns a call of the API, from what was written to a value: `call_api`; must not draw or print."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import consent, errors
from replicate_magic.aliases import read_model
from replicate_magic.api import protocol
from replicate_magic.api.address import read_address
from replicate_magic.api.composed import composed
from replicate_magic.asking import Call, called, got
from replicate_magic.cell.plan import Target
from replicate_magic.endpoint import configured_base
from replicate_magic.errors import CellError, JqError, NotInHistory
from replicate_magic.failure import tell_interrupt
from replicate_magic.order import Conditions, replay, seconds_of
from replicate_magic.runs.history import the_history, warn_of_history
from replicate_magic.runs.prices import is_free
from replicate_magic.sending import read_bytes
from replicate_magic.session import now, the_session
from replicate_magic.uploading import upload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.api.composed import Composed
    from replicate_magic.api.protocol import APIRequest
    from replicate_magic.asking import Called
    from replicate_magic.endpoint import Endpoint

_LOCAL = Target(kind="model", owner="local", name="any")
_OF_A_PREDICTION = re.compile(r"/predictions/([^/]+)(/cancel)?")


def call_api(
    method: str,
    path: str,
    /,
    fields: Mapping[str, Any] | None = None,
    *,
    jq: str | None = None,
    args: Mapping[str, Any] | None = None,
    paginate: bool = False,
    limit: int | None = None,
    local: bool = False,
    yes: bool = False,
    force: bool = False,
    timeout: float | str | None = None,
) -> Any:
    """Call any operation of Replicate's HTTP API: https://replicate.com/docs/reference/http.

    ```python
    df = replicate_magic.call_api("GET", "/models", {"sort_by": "model_created_at"}, limit=50)
    name = replicate_magic.call_api("GET", "/account", jq=".username")
    ```

    Args:
        method: such as `"GET"`.
        path: such as `"/models/owner/name"`; `{holes}` in it are filled by fields of their names.
        fields: query parameters, or fields of the body; `"a.b"` is `b` within `a`. A `Path`,
            `bytes` or an open file is sent as a file.
        jq: a program for the answer's JSON: one output gives its value, none `None`, several a
            list. It is checked before anything is sent.
        args: values that the program sees as `$name`.
        paginate: fetch all pages of a list, 10,000 rows at most; jq sees them as one.
        limit: only so many rows, of as many pages as that takes.
        local: ask the engine on this machine, which needs no account.
        yes: do it though it deletes or costs something.
        force: send fields that the API's description does not have, or refuses.
        timeout: give up after that many seconds, or `"5m"`; one hour if not given.

    Returns:
        For a list a DataFrame, one row an item (predictions have the columns of `runs`); for an
        object a `dict`, for text a `str`, for a file `bytes`, and `None` for an empty answer. A
        prediction that is created is in the history, and followed in the background.

    Raises:
        CellError: it makes no sense, or wants `yes`. Nothing was sent.
        JqError: the program does not compile, or fails.
        APIError: Replicate refused.
        ReplicateMagicError: there is no answer.
    """
    if not (isinstance(method, str) and isinstance(path, str)):
        raise CellError('Method and path are texts: call_api("GET", "/models"). Nothing was sent.')
    asked = call(
        Call(
            method=method,
            path=path,
            fields=fields or {},
            jq=jq,
            args=args or {},
            paginate=paginate,
            limit=limit,
            local=local,
            yes=yes,
            force=force,
            timeout_s=seconds_of(timeout),
        )
    )
    warn_of_history()
    return asked.value


def call(asked: Call, tell: Callable[[str], object] = lambda _: None) -> Called:
    """Do a call, for a blocking caller.

    Args:
        asked: what is asked.
        tell: told what is being waited for, and how far it is.

    Raises:
        ReplicateMagicError: as `call_api` does.
    """
    made = compose(asked)
    if asked.jq is not None:
        _check_program(asked.jq, asked.args, made)
    if not asked.yes:
        consent.require(made)
    endpoint, runner = endpoint_of(asked, made), the_session().runner
    try:
        answered = now(partial(got, runner, endpoint, asked, made), tell)
    except KeyboardInterrupt as interrupt:
        tell_interrupt(interrupt, f"{made} was interrupted.{_after_interrupt(made)}")
        raise
    if made.creation:
        _watch(str(answered.value["id"]))
    return called(asked, made, answered)


def _watch(prediction_id: str) -> None:
    """Have its row completed: Replicate deletes an hour later what it has not by then."""
    with suppress(errors.ReplicateMagicError):
        for record in the_history().find(prediction_id):
            if record.id == prediction_id and not record.final:
                the_session().watch(record, Conditions())


def _after_interrupt(made: Composed) -> str:
    """What may have come of it."""
    if made.creation:
        return " The prediction is canceled, if it was created: %replicate runs has it."
    return "" if made.reads else " It may have been done all the same."


def compose(asked: Call) -> Composed:
    """The request that a call means.

    Raises:
        CellError: it makes no sense, or leads elsewhere.
    """
    address = read_address(
        asked.method,
        asked.path,
        asked.fields,
        base=_base_of(asked),
        read_model=read_model,
        default=asked.default_model,
    )
    return composed(address, read_bytes, force=asked.force)


class Rehearsal(NamedTuple):
    """What would be sent, and to where.

    Attributes:
        base: the API's address.
        request: the request, without the token and with its secrets hidden.
        does: what it would do, in a sentence or two.
        doubt: why it may be another, or an empty string.
    """

    base: str
    request: APIRequest
    does: str
    doubt: str


def rehearse(asked: Call) -> Rehearsal:
    """What would be sent; a model whose inputs are to be typed is looked up for that.

    Raises:
        CellError: it makes no sense, or leads elsewhere.
    """
    made = compose(asked)
    if asked.jq is not None:
        _check_program(asked.jq, asked.args, made)
    summary = f"{made.operation.summary}." if made.operation else ""
    does = consent.why_not(made) or summary
    try:
        endpoint = endpoint_of(asked, made)
    except errors.ReplicateMagicError:  # such as that there is no token: it is not sent
        endpoint = the_session().endpoints.configured()
    request, doubt = made.request, ""
    if made.creation:
        from replicate_magic.creating import rehearsed

        runner, creation = the_session().runner, made.creation
        request, doubt = now(lambda _: rehearsed(runner, endpoint, creation))
    elif made.form is not None:
        upload = upload_of(made.form, read_bytes)
        headers = {"content-type": "multipart/form-data"}
        text = f"content: {upload.name} ({upload.media_type})"
        beside = f"\nmetadata: {upload.metadata}" if upload.metadata else ""
        request = replace(request, headers=headers, content=f"{text}{beside}".encode())
    return Rehearsal(endpoint.base, request, does, doubt)


def _base_of(asked: Call) -> str:
    """The API whose address the path may be: the one that is set, or the engine on this machine."""
    engine = the_session().endpoints.engine
    is_engines = bool(engine) and protocol.origin(asked.path) == protocol.origin(engine)
    return protocol.base_url(engine) if is_engines else configured_base()


def _check_program(program: str, args: Mapping[str, Any], made: Composed) -> None:
    """Refuse a program that cannot work, before anything is sent.

    Raises:
        JqError: it does not compile, or the answer is no JSON.
    """
    from replicate_magic.runs import jq

    if made.operation and made.operation.gives in {"text", "bytes", "nothing"}:
        raise JqError(f"{made} answers no JSON, which jq works on. Nothing was sent.")
    jq.mapped(program, (), args=args)


# -- where it goes ------------------------------------------------------------------------------


def endpoint_of(asked: Call, made: Composed) -> Endpoint:
    """Where a call goes: the API that is set, or where what it is about was made.

    Raises:
        NotInHistory: nothing may be sent.
        ReplicateMagicError: there is no token, or what it is about is elsewhere.
    """
    if replay(cached=False) == "only":
        raise NotInHistory(
            f"REPLICATE_MAGIC_REPLAY=only: {made} was not sent. The history answers runs alone."
        )
    here = the_session().endpoints
    if asked.local or _is_local(made) or _base_of(asked) != configured_base():
        return here.of(_LOCAL)
    if (about := _OF_A_PREDICTION.fullmatch(made.path)) and (origin := _origin_of(about[1])):
        return here.at(origin)
    return here.at(configured_base())


def _is_local(made: Composed) -> bool:
    """Whether it is about a model of the engine on this machine."""
    if made.creation:
        return is_free(str(made.creation.target))
    return made.path.startswith(("/models/local/", "/deployments/local/"))


def _origin_of(prediction_id: str) -> str:
    """Where a prediction of the history was made; empty where it is not known."""
    with suppress(errors.HistoryError):
        found = [one for one in the_history().find(prediction_id) if one.id == prediction_id]
        return found[0].origin if len(found) == 1 else ""
    return ""
