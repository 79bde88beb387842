"""Owns one prediction from its creation to its end; must not draw, store or know a notebook.

What happens is reported as events to `emit`, a plain function that is called on the loop. Whoever
cancels `predict` cancels the prediction at Replicate: that is its last act. Following and stopping
share the state of one run, and a stop may come at any point of it: so both stand here.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic import errors
from replicate_magic.api import answers, protocol
from replicate_magic.api.create import Creation
from replicate_magic.api.outliving import hear_out, to_its_end
from replicate_magic.api.sse import EventDecoder
from replicate_magic.plain import one_line
from replicate_magic.prediction import (
    CANCELING,
    Event,
    Finished,
    Log,
    Output,
    Retry,
    Update,
    is_final,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from replicate_magic.api.client import Client
    from replicate_magic.api.create import Conduct
    from replicate_magic.api.protocol import Create
    from replicate_magic.api.sse import ServerEvent

_ID_WITHIN_S = 3.0  # how long a cancelled create is waited for, in front of the person
_STOP_WITHIN_S = 4.4  # for the id, the cancel and the end together: a person is waiting
_LATE_STOP_WITHIN_S = 60.0  # where nobody waits any more
_MOST_BAD_ANSWERS = 5
_MOST_BAD_STREAMS = 5
_GONE = (
    "The engine on this machine ended in the middle of {}: it was killed, or ran out of memory. "
    "Running the cell again starts it anew."
)
_NOT_YET_FOUND_S = 10.0  # a GET may answer 404 for a moment after the create


async def predict(
    client: Client, create: Create, conduct: Conduct, emit: Callable[[Event], None]
) -> bool:
    """Create a prediction, follow it to its end, and report what happens.

    Returns:
        Whether it came to its own end; `False` where the deadline ended it.

    Raises:
        APIError, ConnectionFailed, UnexpectedAnswer, CreateUnclear: as their docstrings say.
        asyncio.CancelledError: the caller was cancelled, and so is the prediction.
    """
    run = _Run(client, conduct, emit, str(create.target))

    async def work() -> None:
        await run.create(create)
        await conduct.kept()
        await run.follow()

    return await _until_deadline(run, work(), conduct)


async def begin(
    client: Client, create: Create, conduct: Conduct, emit: Callable[[Event], None]
) -> dict[str, Any]:
    """Create a prediction, and do not follow it.

    Returns:
        The API's JSON of it.

    Raises:
        APIError, ConnectionFailed, UnexpectedAnswer, CreateUnclear: as their docstrings say.
        TimeoutError: the deadline was over before it had an id; as soon as it has one, it is
            cancelled.
        asyncio.CancelledError: the caller was cancelled before that, and so is the prediction.
    """
    run = _Run(client, conduct, emit, str(create.target))
    try:
        async with asyncio.timeout_at(conduct.deadline_s):
            await run.create(create)
            await conduct.kept()
    except BaseException:
        await run.stop()
        raise
    return run.raw


async def rejoin(
    client: Client,
    prediction_id: str,
    conduct: Conduct,
    emit: Callable[[Event], None],
    *,
    subject: str,
    before: Callable[[], Awaitable[object]] | None = None,
) -> bool:
    """Follow a prediction that exists already to its end, and report what happens.

    Args:
        client: whoever created it is not asked: the API it lies at is this client's.
        prediction_id: which.
        conduct: how; what is about creating has no meaning here.
        emit: told of each event.
        subject: what errors call it.
        before: what comes first; the prediction can be cancelled while that takes its time.

    Returns:
        Whether it came to its own end; `False` where the deadline ended the watching of it.

    Raises:
        NotFound: there is none of this id.
        APIError, ConnectionFailed, UnexpectedAnswer: as their docstrings say.
        asyncio.CancelledError: the caller was cancelled, and so is the prediction, if
            `conduct.cancels()`.
    """
    run = _Run(client, conduct, emit, subject)
    run.raw = {"id": prediction_id}  # enough to cancel it

    async def work() -> None:
        if before:
            await before()
        await run.find(prediction_id)
        await run.follow()

    return await _until_deadline(run, work(), conduct)


async def _until_deadline(run: _Run, work: Coroutine[Any, Any, None], conduct: Conduct) -> bool:
    try:
        async with asyncio.timeout_at(conduct.deadline_s):
            await work
    except TimeoutError:
        if conduct.cancels():
            await run.stop()
        return run.raw.get("status") == "succeeded"
    except BaseException:
        if conduct.cancels():
            await run.stop()
        raise
    run.finish()
    return True


class _Run:
    """The state of one prediction: what is known of it, and what is under way."""

    def __init__(
        self, client: Client, conduct: Conduct, emit: Callable[[Event], None], subject: str
    ) -> None:
        self.raw: dict[str, Any] = {}
        self._client = client
        self._conduct = conduct
        self._emit = emit
        self._subject = subject
        self._loop = asyncio.get_running_loop()
        self._creation: Creation | None = None
        self._creating: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        self._created_s = 0.0  # by the loop's clock, as the next one
        self._patient_until_s = -math.inf  # with a 404
        self._stream: Literal["none", "open", "flowing"] = "none"
        self._retrying = False  # a `Retry` was told, and not yet that it has worked

    @property
    def _at_s(self) -> float:
        return self._loop.time() - self._conduct.began_s

    async def create(self, create: Create) -> None:
        """Obtain an id. Being cancelled leaves the POST under way for `stop` to see to."""
        self._creation = Creation(self._client, create, self._conduct, self._emit)
        self._creating = asyncio.create_task(self._obtain(self._creation))
        self._creating.add_done_callback(hear_out)
        await asyncio.shield(self._creating)

    async def _obtain(self, creation: Creation) -> None:
        self.raw = await creation.obtain()
        self._created_s = self._loop.time()
        self._patient_until_s = self._created_s + _NOT_YET_FOUND_S

    async def find(self, prediction_id: str) -> None:
        """Ask for a prediction that exists already."""
        self.raw = await self._get(prediction_id)
        age_s = answers.age_s(self.raw, self._client.server_time())
        self._created_s = self._loop.time() - age_s
        if not is_final(self.raw):
            self._emit(Update(raw=self.raw, at_s=self._at_s))

    # -- following: stream and GET side by side, the last GET decides ----------------------------

    async def follow(self) -> None:
        """Report until the prediction has ended."""
        url = (self.raw.get("urls") or {}).get("stream")
        reader = None
        if isinstance(url, str) and not is_final(self.raw):
            if self._conduct.stream:
                reader = asyncio.create_task(self._read_stream(url))
            elif self._conduct.watched:
                reader = asyncio.create_task(self._read_once_watched(url, self._conduct.watched))
        try:
            await self._poll()
        finally:
            if reader:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    def finish(self) -> None:
        """Report the end."""
        self._emit(Finished(raw=self.raw, at_s=self._at_s))

    async def _poll(self) -> None:
        polls = 0
        while not is_final(self.raw):
            delay_s = self._poll_delay_s(polls)
            if await self._woken(delay_s):
                polls = 0
            raw = await self._get(self.raw["id"])
            polls += 1
            news, self.raw = self._retrying or raw != self.raw, raw
            self._retrying = False
            if news and not is_final(raw):
                self._emit(Update(raw=raw, at_s=self._at_s))

    def _poll_delay_s(self, polls: int) -> float:
        pace = self._conduct.pace
        if pace is None or self._stream != "none":
            return protocol.poll_delay_s(polls, stream=self._stream)
        return pace.delay_s(polls, self._loop.time() - self._created_s)

    async def _woken(self, delay_s: float) -> bool:
        """Wait, or less where the stream has ended."""
        try:
            async with asyncio.timeout(delay_s):
                await self._look_again.wait()
        except TimeoutError:
            return False
        self._look_again.clear()
        return True

    async def _get(self, prediction_id: str) -> dict[str, Any]:
        """GET until there is an answer; the deadline alone bounds how long the network is gone."""
        request = protocol.get_request(prediction_id)
        failures = bad = 0
        while True:
            failures += 1
            delay_s = protocol.backoff_s(failures)
            try:
                answer = await self._client.send(request)
                if answer.status == 429:
                    delay_s = answers.retry_after_s(answer, self._client.server_time())
                return answers.read_prediction(answer, subject=self._subject)
            except (
                errors.ConnectionFailed, errors.ConnectionLost, errors.ServerError,
                errors.RateLimited,
            ) as error:  # fmt: skip
                if self._conduct.is_gone():
                    raise errors.EngineUnavailable(_GONE.format(self._subject)) from error
                reason = one_line(str(error))
            except errors.NotFound as error:
                if self._loop.time() > self._patient_until_s:
                    raise
                reason = one_line(str(error))
            except errors.UnexpectedAnswer as error:
                bad += 1
                if bad >= _MOST_BAD_ANSWERS:
                    raise
                reason = one_line(str(error))
            self._retrying = True
            self._emit(Retry(reason=reason, delay_s=delay_s, at_s=self._at_s, attempt=failures + 1))
            await asyncio.sleep(delay_s)

    async def _read_once_watched(self, url: str, watched: asyncio.Event) -> None:
        await watched.wait()
        await self._read_stream(url)

    async def _read_stream(self, url: str) -> None:
        """Read the stream, again where it ends early; polling goes on beside it in any case."""
        last_id, seen, bad = "", False, 0
        had: set[str] = set()
        while bad < _MOST_BAD_STREAMS:
            opened_s = self._loop.time()
            decoder = EventDecoder()
            got, done = await self._read_once(url, last_id, decoder, had)
            self._stream = "none"
            self._look_again.set()
            seen, last_id = seen or got, decoder.last_id or last_id
            if done or (seen and not last_id):
                return  # without ids the stream would begin anew: the answer is polled instead
            lasted = got or self._loop.time() - opened_s > 5
            bad = 0 if lasted else bad + 1
            await asyncio.sleep(protocol.backoff_s(max(bad, 1)))

    async def _read_once(
        self, url: str, last_id: str, decoder: EventDecoder, had: set[str]
    ) -> tuple[bool, bool]:
        """Whether anything new came, and whether the stream said that it is done.

        A server that cannot resume begins anew: events whose ids we `had` are passed over.
        """
        got, ids = False, set[str]()
        try:
            async with self._client.open_stream(url, last_id) as pieces:
                self._stream = "open"
                async for piece in pieces:
                    events = [event for event in decoder.feed(piece) if event.id not in had]
                    ids.update(event.id for event in events if event.id)
                    got = got or bool(events)
                    if self._report(events):
                        return got, True
        except errors.ConnectionLost:
            pass  # polling tells whether the prediction still runs
        had |= ids
        return got, False

    def _report(self, events: list[ServerEvent]) -> bool:
        chunks = tuple(event.data for event in events if event.name == "output")
        if chunks:
            self._stream = "flowing"
            self._emit(Output(chunks=chunks, at_s=self._at_s))
        logs = [event.data.removesuffix("\n") for event in events if event.name == "logs"]
        if logs:
            self._emit(Log(text="".join(f"{line}\n" for line in logs), at_s=self._at_s))
        return any(event.name == "done" for event in events)

    # -- stopping: cancelled at Replicate, once --------------------------------------------------

    async def stop(self) -> None:
        """Cancel the prediction if it runs; being cancelled meanwhile does not end that."""
        if self._creation:
            self._creation.stop()
        await to_its_end(self._stop())

    async def _stop(self) -> None:
        """Cancel the prediction, waiting a bounded time for its id and for its end."""
        within_s = self._loop.time() + _STOP_WITHIN_S
        if self._creation and self._creating and not self._creating.done():
            await self._wait_for_id(self._creation, self._creating)
        if self._creating and not self._creating.done() and not self.raw:
            self._client.go_on(self._cancel_when_created(self._creating))
            return
        await self._cancel(within_s)

    async def _wait_for_id(self, creation: Creation, creating: asyncio.Task[None]) -> None:
        """An answer that is held back to wait for the result tells the id late: look it up."""
        if creation.wait_s is None:
            await asyncio.wait({creating}, timeout=_ID_WITHIN_S)
            return
        with suppress(TimeoutError, errors.ReplicateMagicError):
            async with asyncio.timeout(_ID_WITHIN_S):
                while not creating.done() and not self.raw:
                    self.raw = await creation.find() or self.raw
                    await asyncio.wait({creating}, timeout=0.3)

    async def _cancel_when_created(self, creating: asyncio.Task[None]) -> None:
        await asyncio.wait({creating})
        await self._cancel(self._loop.time() + _LATE_STOP_WITHIN_S)

    async def _cancel(self, until_s: float) -> None:
        if not self.raw or self._conduct.is_gone():
            return
        sending = asyncio.create_task(self._send_cancel())
        try:
            async with asyncio.timeout_at(until_s):
                await asyncio.shield(sending)
                while not is_final(self.raw):
                    self.raw = await self._get(self.raw["id"])
                    await asyncio.sleep(0.05)
        except (TimeoutError, errors.ReplicateMagicError):
            self._tell_unfinished(sending)
            return
        self.finish()

    def _tell_unfinished(self, sending: asyncio.Task[None]) -> None:
        """The cancel was heard and its end not seen, or it goes on being sent."""
        if sending.done():
            self._emit(Retry(reason=CANCELING, delay_s=0.0, at_s=self._at_s))
        else:
            self._emit(Update(raw=self.raw, at_s=self._at_s))
            self._client.go_on(self._finish_sending(sending))

    async def _finish_sending(self, sending: asyncio.Task[None]) -> None:
        await asyncio.wait({sending}, timeout=_LATE_STOP_WITHIN_S)
        sending.cancel()

    async def _send_cancel(self) -> None:
        if is_final(self.raw):
            return
        request = protocol.cancel_request(self.raw["id"])
        while True:
            try:
                answer = await self._client.send(request)
                self.raw = answers.read_prediction(answer, subject=self._subject)
            except (
                errors.ConnectionFailed, errors.UnexpectedAnswer, errors.ServerError,
                errors.RateLimited,
            ):  # fmt: skip
                await asyncio.sleep(0.2)  # cancelling twice is the same as once
            except errors.ReplicateMagicError:
                return  # such as a run that has just ended: the next GET tells
            else:
                return
