"""Owns creating a prediction once; must not follow it.

The POST is sent again only after a 429, or where no connection was made. When it broke off after it
may have been accepted, the prediction is looked up: one match is adopted, none or several are told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.prediction import Created, Event, Retry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from replicate_magic.api.answers import Answer
    from replicate_magic.api.client import Client
    from replicate_magic.api.limiter import Place
    from replicate_magic.api.pace import Pace
    from replicate_magic.api.protocol import Create

_MOST_CONNECT_TRIES = 4
_LOOK_UPS_AFTER_S = (0.0, 1.0, 2.0)
_MOST_PAGES = 5
_LATER_S = 1.0  # how much longer a wait that was told may take before it is told again


async def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a prediction is to be run.

    Attributes:
        began_s: when the call began, by the loop's clock; events count from here.
        deadline_s: when to cancel, by the loop's clock.
        stream: whether to read the stream, where there is one.
        fallback_version: for a model that may be no official one, the version to name if its own
            route answers 404.
        official: whether the model is an official one, where it is known.
        is_known: whether an id belongs to another prediction of ours.
        is_alone: whether no other create of ours with the same input is under way.
        is_gone: whether nobody will ever answer again: the engine's process has ended.
        kept: awaited once there is an id, before anything more is asked.
        cancels: whether being cancelled, or the deadline, ends the prediction, and not only the
            watching of it.
        pace: when one of many is asked about, or `None` for a run of its own.
        watched: the stream of one of many is read once this is set.
    """

    began_s: float
    deadline_s: float
    stream: bool = True
    fallback_version: str | None = None
    official: bool | None = None
    is_known: Callable[[str], Awaitable[bool]] = _never
    is_alone: Callable[[], bool] = lambda: True
    is_gone: Callable[[], bool] = lambda: False
    kept: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
    cancels: Callable[[], bool] = lambda: True
    pace: Pace | None = None
    watched: asyncio.Event | None = None


class Creation:
    """A prediction on its way to an id."""

    def __init__(
        self, client: Client, create: Create, conduct: Conduct, emit: Callable[[Event], None]
    ) -> None:
        self._client = client
        self._create = create
        self._conduct = conduct
        self._emit = emit
        self._subject = str(create.target)
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._posting = False
        self._attempt = 1
        self._turn: asyncio.Future[Place] | None = None
        self._told_until_s = 0.0
        self._posted_s = self._loop.time()
        self._posted_at = client.server_time()

    @property
    def _at_s(self) -> float:
        return self._loop.time() - self._conduct.began_s

    @property
    def wait_s(self) -> int | None:
        """For how many seconds the answer may be held back, if it may."""
        return self._create.wait_s

    def stop(self) -> None:
        """Send nothing more; a request that is under way is still heard out."""
        self._stopping.set()
        if self._turn:
            self._turn.cancel()

    async def obtain(self) -> dict[str, Any]:
        """Create it; the API's JSON.

        Raises:
            APIError, ConnectionFailed, UnexpectedAnswer, CreateUnclear: as their docstrings say.
            asyncio.CancelledError: it was stopped before anything was sent.
        """
        connects = 0
        while True:
            if self._stopping.is_set() or self._loop.time() >= self._conduct.deadline_s:
                raise asyncio.CancelledError  # looking up the model may have taken all the time
            try:
                answer = await self._post()
            except errors.ConnectionFailed as error:
                connects += 1
                if connects >= _MOST_CONNECT_TRIES:
                    raise
                await self._pause(str(error), protocol.backoff_s(connects))
                continue
            except errors.ConnectionLost as error:
                return self._created(await self._look_up(error))
            if answer.status == 429:
                self._told_to_wait(answer)
            elif answer.status == 404 and self._use_fallback():
                continue
            elif 300 <= answer.status < 500:
                raise answers.refusal(answer, subject=self._subject)
            else:
                return self._created(await self._read_or_look_up(answer))

    async def _post(self) -> Answer:
        place = await self._admitted()
        if self._create.cancel_after_s is not None:  # less is left after a wait
            left_s = self._conduct.deadline_s - self._loop.time()
            self._create = replace(self._create, cancel_after_s=left_s)
        self._posted_s, self._posted_at = self._loop.time(), self._client.server_time()
        self._posting = True
        try:
            return await self._client.send(protocol.create_request(self._create), place)
        finally:
            self._posting = False

    async def _admitted(self) -> Place:
        """Wait for the account's rate limit; being stopped ends the wait and the run."""
        limits = self._client.limits
        closed_s = limits.closed_s("create")
        if self._loop.time() + closed_s > self._conduct.deadline_s:
            raise errors.RateLimited(_CLOSED.format(self._subject, closed_s), status=429)
        self._turn = limits.turn("create", self._tell_wait)
        place = await self._turn
        if self._stopping.is_set():
            limits.give_back(place)
            raise asyncio.CancelledError
        return place

    def _tell_wait(self, wait_s: float) -> None:
        if self._loop.time() + wait_s > self._told_until_s + _LATER_S:
            self._tell("rate limit", wait_s)

    async def find(self) -> dict[str, Any] | None:
        """What the request that is under way has created, if there is one that it could be.

        Raises:
            ReplicateMagicError: it cannot be looked up.
        """
        found = await self._candidates() if self._posting else []
        if len(found) == 1 and self._conduct.is_alone():
            return self._created(found[0])
        return None

    def _created(self, raw: dict[str, Any]) -> dict[str, Any]:
        self._emit(Created(raw=raw, at_s=self._at_s))
        return raw

    def _use_fallback(self) -> bool:
        """A community model has no route of its own; a 404 has created nothing."""
        version = self._conduct.fallback_version
        if version is None or self._create.version is not None:
            return False
        self._create = replace(self._create, version=version)
        return True

    def _told_to_wait(self, answer: Answer) -> None:
        """After a 429; the rate limit, which has learnt of it, holds back the next try."""
        delay_s = answers.retry_after_s(answer, self._client.server_time())
        if self._loop.time() + delay_s > self._conduct.deadline_s:
            raise answers.refusal(answer, subject=self._subject)
        self._attempt += 1
        self._tell("rate limited", delay_s)

    def _tell(self, reason: str, delay_s: float) -> None:
        attempt = self._attempt if self._attempt > 1 else 0
        self._told_until_s = self._loop.time() + delay_s
        self._emit(Retry(reason=reason, delay_s=delay_s, at_s=self._at_s, attempt=attempt))

    async def _pause(self, reason: str, delay_s: float) -> None:
        """Wait, told as an event; being stopped ends the wait and the run."""
        self._attempt += 1
        self._tell(reason, delay_s)
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise asyncio.CancelledError

    async def _read_or_look_up(self, answer: Answer) -> dict[str, Any]:
        """A fault of the server's, or a broken answer, may stand behind a created prediction."""
        try:
            if answer.status >= 500:
                raise answers.refusal(answer, subject=self._subject)
            return answers.read_prediction(answer, subject=self._subject)
        except (errors.ServerError, errors.UnexpectedAnswer) as error:
            return await self._look_up(error)

    async def _look_up(self, cause: Exception) -> dict[str, Any]:
        """Find the one prediction that the broken request may have created."""
        found: list[dict[str, Any]] = []
        trouble = ""
        for attempt, delay_s in enumerate(_LOOK_UPS_AFTER_S, 1):
            if delay_s:
                reason = "looking for it"
                self._emit(Retry(reason=reason, delay_s=delay_s, at_s=self._at_s, attempt=attempt))
                await asyncio.sleep(delay_s)
            try:
                found, trouble = await self._candidates(), ""
            except errors.ReplicateMagicError as error:
                trouble = str(error)  # what broke the create often breaks the next request too
            if found:
                break
        if len(found) == 1 and self._conduct.is_alone():
            return found[0]
        raise errors.CreateUnclear(
            _unclear(self._subject, cause, found, trouble), candidates=found
        ) from cause

    def _since(self) -> datetime:
        """What was created from then on may be ours.

        A clock may have been set since the request was sent, ours or the server's, as the next
        answer tells; and a machine that slept counts too few seconds: the earlier one holds.
        """
        elapsed = timedelta(seconds=self._loop.time() - self._posted_s)
        sent_at = min(self._posted_at, self._client.server_time() - elapsed)
        return sent_at - protocol.LOOK_BACK

    async def _candidates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        request = protocol.list_request(created_after=self._since())
        for _ in range(_MOST_PAGES):
            answer = await self._client.send(request)
            page = answers.read_object(answer, subject="the account's recent predictions")
            results = answers.objects_in(page, "results")
            alike = [raw for raw in results if self._could_be(raw)]
            found += [raw for raw in alike if not await self._conduct.is_known(str(raw["id"]))]
            url = protocol.next_page(page, self._client.base)
            if url is None:
                break
            request = replace(request, path=url)
        return found

    def _could_be(self, raw: dict[str, Any]) -> bool:
        return protocol.could_be(raw, self._create, official=self._conduct.official)


_CLOSED = (
    "{}: Replicate lets no prediction be created for another {:.0f} s, as it has told (HTTP 429). "
    "Nothing was sent. Wait, or raise --timeout so that it waits for you."
)


def _unclear(subject: str, cause: Exception, found: list[dict[str, Any]], trouble: str) -> str:
    if trouble:
        listed = f"Looking for it failed as well: {trouble}"
    elif found:
        lines = [f"{raw.get('id')}  {(raw.get('urls') or {}).get('web', '')}" for raw in found]
        listed = "Several recent predictions have the same input:\n  " + "\n  ".join(lines)
    else:
        listed = "No recent prediction of this account has this input."
    return (
        f"{subject}: it is not clear whether the prediction was created. {cause} {listed}\n"
        "It was not sent again, since that could be paid twice. Look at "
        "https://replicate.com/predictions before you run it again."
    )
