"""Owns a call of the API on the loop: sent, kept where it is of a run, and made a value.

It must not decide whether it may be sent, or where.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import bridge, errors, replies
from replicate_magic.api import answers, operations
from replicate_magic.api.asked import Question
from replicate_magic.creating import create
from replicate_magic.endpoint import without_token
from replicate_magic.moving import sent_ahead
from replicate_magic.order import DEFAULT_TIMEOUT_S, Conditions
from replicate_magic.plain import count, one_line
from replicate_magic.recording import fetched
from replicate_magic.runs.history import the_history
from replicate_magic.sending import read_bytes
from replicate_magic.uploading import upload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.api.answers import Answer
    from replicate_magic.api.client import Client
    from replicate_magic.api.composed import Composed
    from replicate_magic.endpoint import Endpoint
    from replicate_magic.prediction import Prediction
    from replicate_magic.runner import Runner

MOST_ROWS = 10_000
"""How many rows `paginate` fetches where no limit is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked of the API, and what is wanted of the answer.

    Attributes:
        method: in any case; empty where path and fields are to tell it.
        path: as `read_address` takes it.
        fields: by name, as written (`Given`) or as objects.
        default_model: what fills `{owner}` and `{name}` where no field does.
        jq: a program for the answer's JSON.
        args: values that it sees as `$name`.
        paginate: whether all pages of a list are fetched.
        limit: how many rows are enough; more pages are fetched for them.
        raw: whether the answer is wanted as its bytes.
        local: whether the engine on this machine is asked.
        yes: whether it is done though it deletes or costs something.
        force: whether fields are sent that the description does not have, or refuses.
        timeout_s: how long all of it may take.
    """

    method: str = ""
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    default_model: str = ""
    jq: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    paginate: bool = False
    limit: int | None = None
    raw: bool = False
    local: bool = False
    yes: bool = False
    force: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S

    @property
    def most_rows(self) -> int | None:
        """How many rows are wanted; `None` for those of one page."""
        return self.limit if self.limit is not None else MOST_ROWS if self.paginate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What came of a call.

    Attributes:
        value: a frame, an object, a text, what jq made of it, or `None`.
        notes: what a person is to know beside it, in sentences.
    """

    value: Any
    notes: tuple[str, ...] = ()


# -- on the loop --------------------------------------------------------------------------------


class Got(NamedTuple):
    """What was answered.

    Attributes:
        value: JSON, a text, or `None` where it is empty.
        text: the JSON as it came; of several pages as one.
        notes: what is to be told.
        base: the base URL of whoever answered.
    """

    value: Any
    text: str
    notes: tuple[str, ...]
    base: str


async def got(
    runner: Runner,
    endpoint: Endpoint,
    asked: Call,
    made: Composed,
    tell: Callable[[str], None],
) -> Got:
    """What is answered to a call.

    Args:
        runner: gives clients.
        endpoint: where it goes.
        asked: what is wanted of the answer.
        made: the request.
        tell: told what is being waited for, and how far it is.

    Raises:
        ReplicateMagicError: there is no answer.
    """
    try:
        if made.creation:
            creation, within_s = made.creation, asked.timeout_s
            prediction = await create(runner, endpoint, creation, tell, timeout_s=within_s)
            return _created(prediction, endpoint.base)
        return await _in_time(asked, made, await runner.clients.at(endpoint), tell)
    except errors.APIError as error:
        if error.status == 401 and not endpoint.token:
            raise without_token(endpoint.base, str(made)) from error
        if error.status in {404, 405}:
            error.args = (f"{error}{_hint(made)}",)
        raise


async def _in_time(asked: Call, made: Composed, client: Client, tell: Callable[[str], None]) -> Got:
    heard = [""]

    def told(news: str) -> None:
        heard.append(f" The last that was heard: {news}")
        tell(news)

    try:
        async with asyncio.timeout(asked.timeout_s):
            return await _answered(asked, made, Question(client, str(made), told))
    except TimeoutError as error:
        unclear = "" if made.reads else " It may have been done all the same."
        raise errors.ConnectionLost(
            f"{made}: there was no whole answer in the time given (--timeout).{unclear}{heard[-1]}"
        ) from error


def _hint(made: Composed) -> str:
    """What the description has in place of what the API does not know."""
    if made.operation:
        return ""
    if known := operations.at(made.path):
        return f" The API's description has {', '.join(map(str, known))}."
    dated = f" The API's description of {operations.as_of()} has no such path."
    return f"{dated}{operations.nearest(made.path)}"


def _created(prediction: Prediction, base: str) -> Got:
    name, raw = prediction.id, dict(prediction.raw)
    goes_on = "" if prediction.final else f", and followed; %replicate attach {name[:8]} shows it"
    note = f"Prediction {name} of {prediction.model} is in the history{goes_on}."
    return Got(raw, json.dumps(raw), (note,), base)


async def _answered(asked: Call, made: Composed, question: Question) -> Got:
    base, subject = question.client.base, str(made)
    answer = await _sent(made, question)
    value = answers.read_value(answer, subject=subject)
    if made.operation and made.operation.gives == "bytes":
        return Got(replies.data(answer), "", (), base)
    if value is None:
        note = f"{subject}: done (HTTP {answer.status}). The answer is empty: None."
        return Got(None, "", (note,), base)
    if asked.raw or isinstance(value, bytes):
        return Got(replies.data(answer), "", (), base)
    if replies.is_listing(value):
        return await _listed(asked, made, question, value)
    await _keep(value, base)
    return Got(value, answer.body.decode("utf-8", "replace"), (), base)


async def _listed(asked: Call, made: Composed, question: Question, first: dict[str, Any]) -> Got:
    """A list, as much of it as is wanted."""
    notes: list[str] = []
    most = asked.most_rows or len(first["results"])  # of one page
    listed = await question.all_pages(first, made.request, most)
    rows = count(len(listed.document["results"]), "row")
    if listed.elsewhere:
        notes = [f"{rows}: the next page lies at {listed.elsewhere}, which is not asked."]
    elif listed.more and asked.most_rows is None:
        notes = [f"{rows}: one page. --paginate fetches all, --limit N so many."]
    elif listed.more and asked.limit is None:
        notes = [f"{rows}, and there is more: --limit N fetches more."]
    return Got(listed.document, json.dumps(listed.document), tuple(notes), question.client.base)


async def _sent(made: Composed, question: Question) -> Answer:
    """The good answer to a request, whatever it is made of."""
    client, request = question.client, made.request
    if made.form is not None:
        return await _uploaded(made.form, question)
    if request.json:
        given = await sent_ahead(client, request.json, {}, Conditions(), lambda _: None)
        request = replace(request, json=given)
    return await question.answer(request)


async def _uploaded(form: Mapping[str, Any], question: Question) -> Answer:
    from replicate_magic.api.uploads import Uploads

    def told(sent_bytes: int, size_bytes: int) -> None:
        if size_bytes:
            question.tell(f"{question.subject}: {100 * sent_bytes // size_bytes} % sent")

    def again(reason: str, delay_s: float) -> None:
        question.tell(f"{reason} Sent again in {delay_s:.0f} s.")

    upload = upload_of(form, read_bytes)
    return await Uploads(question.client).put(upload, told, again)


async def _keep(value: Any, base: str) -> None:
    """What is answered of a prediction that history has completes its row."""
    if isinstance(value, dict) and answers.is_prediction(value):
        history = the_history()
        if await bridge.apart(partial(history.has, value["id"])):
            await bridge.in_turn(partial(history.save, fetched(value, base)))


# -- the value ----------------------------------------------------------------------------------


def called(asked: Call, made: Composed, got: Got) -> Called:
    """What came of a call, as a value that shows itself.

    Raises:
        JqError: the program fails on it.
    """
    value, what = got.value, str(made)
    if asked.jq is not None:
        try:
            value = replies.program_value(asked.jq, got.text, asked.args)
        except errors.JqError as error:
            error.args = (f"{error}{_all_the_same(made, got)}",)
            raise
        none = ("jq gave no output: None.",) if value is None else ()
        return Called(value=value, notes=(*got.notes, *none))
    if isinstance(value, str):
        value = replies.Text(value)
    elif replies.is_listing(value):
        value = replies.frame_of(value["results"], what, got.base)
    elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
        value = replies.frame_of(value, what, got.base)
    else:
        value = replies.shown(value)
    if isinstance(value, replies.JSONObject) and made.operation:
        value.hidden = made.operation.secret
    return Called(value=value, notes=got.notes)


def _all_the_same(made: Composed, got: Got) -> str:
    """That something was done though the program fails on the answer, and what came of it."""
    if made.reads:
        return ""
    name = got.value.get("id") if isinstance(got.value, dict) else None
    told = f", and its id is {one_line(name, limit=80)}" if isinstance(name, str) else ""
    return f"\n{made} was done all the same{told}."
