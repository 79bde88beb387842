"""Owns one prediction on a Cog server, from its sending to its end; must not draw or store.

The server tells the end only on the connection that began the prediction, and cancels what nobody
waits for: so one request is sent, and its connection is held. Where the server streams, events come
along it; where it does not, it is asked beside how the prediction stands.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import answers, cog_protocol, cog_server, protocol
from replicate_magic.api.answers import Answer
from replicate_magic.api.cog_telling import Telling
from replicate_magic.api.outliving import hear_out, to_its_end
from replicate_magic.plain import one_line
from replicate_magic.prediction import CANCELING, Event, Prediction, Retry, Update

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from replicate_magic.api.client import Client
    from replicate_magic.api.cog_protocol import Dialect
    from replicate_magic.api.create import Conduct
    from replicate_magic.api.protocol import APIRequest, Create

_STOP_WITHIN_S = 4.4  # for the cancel and the end together: a person is waiting
_LATE_STOP_WITHIN_S = 60.0  # where nobody waits any more
_TAKEN_S = 1.0  # a refusal comes sooner
_MOST_UNKNOWN = 10  # questions in a row that are not answered with a state
_MOST_BREAKS = 5
_NEVER_TAKEN = (
    "{} did not take the prediction in the time given (--timeout): it was {}. Nothing was run."
)
_ENDED = (
    "The server ended in the middle of the run: it was killed, or ran out of memory. Once it is "
    "started again, the cell can be run again."
)
_BROKE = (
    "The connection to the server broke in the middle of the run ({}). What became of it cannot be "
    "known: a Cog server keeps no result. It was told to cancel it."
)


async def predict(
    client: Client,
    create: Create,
    conduct: Conduct,
    emit: Callable[[Event], None],
    *,
    dialect: Dialect,
) -> bool:
    """Run a prediction on a Cog server to its end, and report what happens.

    Returns:
        Whether it came to its own end; `False` where the deadline ended it.

    Raises:
        PredictionTimeout: the server was busy, or not ready, until the deadline.
        APIError, ConnectionFailed: the server refused, or is not there; nothing was run.
        asyncio.CancelledError: the caller was cancelled, and so is the prediction.
    """
    run = _Run(client, create, conduct, emit, dialect)
    try:
        async with asyncio.timeout_at(conduct.deadline_s):
            await run.follow()
    except TimeoutError as error:
        await run.stop()
        if not run.raw:
            raise run.too_late() from error
        return run.raw.get("status") == "succeeded"
    except BaseException:
        await run.stop()
        raise
    return True


async def why_not_joined(client: Client, prediction_id: str, *, subject: str) -> Exception:
    """The error for a prediction of an earlier process: nobody else can follow it.

    Returns:
        `NotFound` where it does not run any more, else `CellError`.

    Raises:
        ConnectionFailed, UnexpectedAnswer: the server cannot be asked.
    """
    schema = await cog_server.answer_to(client, cog_protocol.schema_request(), subject)
    if cog_protocol.read_dialect(cog_protocol.read_openapi(schema)).checks:
        answer = await client.send(cog_protocol.question(prediction_id))
        if cog_protocol.read_state(answer):
            return errors.CellError(
                f"Prediction {prediction_id} still runs at {subject}. A Cog server tells the end "
                "of it only to whoever began it, which is not this kernel."
            )
    return errors.NotFound(
        f"{subject} does not know prediction {prediction_id}: a Cog server keeps none.", status=404
    )


def new_id() -> str:
    """An id of the kind that Cog's documentation recommends: 26 letters and digits."""
    return base64.b32encode(uuid.uuid4().bytes).decode().lower().rstrip("=")


class _Run:
    """One prediction, and the requests that are under way for it."""

    def __init__(
        self,
        client: Client,
        create: Create,
        conduct: Conduct,
        emit: Callable[[Event], None],
        dialect: Dialect,
    ) -> None:
        self._client = client
        self._create = create
        self._conduct = conduct
        self._emit = emit
        self._id = new_id()
        self._told = Telling(
            create, self._id, client.base, emit, self._at_s, gives_files=dialect.gives_files
        )
        self._checks = dialect.checks
        self._streams = dialect.streams and (conduct.stream or conduct.watched is not None)
        self._loop = asyncio.get_running_loop()
        self._holding: asyncio.Task[None] | None = None
        self._sent_at: datetime | None = None  # none while it is not at the server
        self._stopping = False
        self._waits_for = ""

    @property
    def raw(self) -> dict[str, Any]:
        """Its JSON; empty before it is known to be taken."""
        return self._told.raw

    @property
    def _subject(self) -> str:
        return str(self._create.target)

    def _at_s(self) -> float:
        return self._loop.time() - self._conduct.began_s

    async def follow(self) -> None:
        """Report until it has ended. Being cancelled leaves the request for `stop` to see to."""
        self._holding = asyncio.create_task(self._hold())
        self._holding.add_done_callback(hear_out)
        await asyncio.shield(self._holding)

    def too_late(self) -> errors.PredictionTimeout:
        """The error for a prediction that the server has not taken in time."""
        why = _NEVER_TAKEN.format(self._subject, self._waits_for or "silent")
        return errors.PredictionTimeout(why, prediction=Prediction(model=self._subject))

    # -- sending, and holding the line -----------------------------------------------------------

    async def _hold(self) -> None:
        try:
            try:
                await self._send()
            except errors.ConnectionLost as error:
                await self._call_again(error)
        except errors.UnexpectedAnswer as error:
            self._refused(error)

    async def _send(self) -> None:
        """Send it until the server takes it, and hear it to its end.

        It is sent again only where it was refused, so that it runs once.
        """
        request = cog_protocol.create_request(self._create, self._id, streams=self._streams)
        refusals = 0
        while answer := await self._answer(request):
            if answer.status in {409, 503} and not self._stopping:
                refusals += 1
                await self._wait_for_turn(answer, refusals)
            elif answer.status in {404, 405} and request.method == "PUT":
                request = cog_protocol.create_request_of_old(self._create, self._id)
            elif answer.status >= 300:
                self._refused(cog_protocol.refusal(answer, subject=self._subject))
                return
            else:
                await self._take()
                self._told.end(answers.read_object(answer, subject=self._subject))
                return

    async def _answer(self, request: APIRequest) -> Answer | None:
        """The answer to a request; none where it was a stream, which has told the end."""
        self._sent_at = datetime.now(UTC)
        async with self._asking(), self._client.open(request) as coming:
            if "text/event-stream" not in coming.headers.get("content-type", ""):
                pieces = [piece async for piece in coming.pieces]
                return Answer(status=coming.status, headers=coming.headers, body=b"".join(pieces))
            await self._take()
            self._told.begin_stream()
            async for piece in coming.pieces:
                self._told.hear(piece)
                if self._told.ended:
                    return None
        raise errors.ConnectionLost("The stream ended before the prediction did.")

    async def _wait_for_turn(self, answer: Answer, refusals: int) -> None:
        self._sent_at = None
        self._tell(cog_server.BUSY if answer.status == 409 else "not ready")
        await asyncio.sleep(min(0.02 * refusals, 1.0))
        await cog_server.until_ready(self._client, self._subject, self._tell)

    def _tell(self, reason: str) -> None:
        """Have it told what is waited for, once."""
        if reason != self._waits_for:
            self._waits_for = reason
            self._emit(Retry(reason=reason, delay_s=0.0, at_s=self._at_s()))

    async def _take(self) -> None:
        """The server has taken it: from here on there is something to keep."""
        if not self.raw:
            self._told.take(self._sent_at)
            await self._conduct.kept()

    def _refused(self, error: errors.ReplicateMagicError) -> None:
        """What was taken for begun is in history, and has its end there."""
        if not self.raw:
            raise error
        self._told.end({"status": "canceled" if self._stopping else "failed", "error": str(error)})

    # -- a server that does not stream is asked --------------------------------------------------

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Ask how it stands, as long as the block lasts."""
        asking = None if self._streams else asyncio.create_task(self._ask())
        try:
            yield
        finally:
            if asking:
                asking.cancel()
                await asyncio.wait({asking})  # its being cancelled is not ours
                if not asking.cancelled():
                    asking.result()

    async def _ask(self) -> None:
        """What is not refused soon is taken, though some servers answer no questions."""
        sent_s, polls, unknown = self._loop.time(), 0, 0
        while unknown < _MOST_UNKNOWN:
            await asyncio.sleep(protocol.poll_delay_s(polls, stream="none"))
            polls += 1
            state = await self._state() if self._checks else None
            unknown = 0 if state else unknown + 1
            if state or self._loop.time() - sent_s > _TAKEN_S:
                await self._take()
            if state:
                self._told.update(state)

    async def _state(self) -> dict[str, Any] | None:
        try:
            answer = await self._client.send(cog_protocol.question(self._id))
        except errors.ReplicateMagicError:
            return None  # the line that is held tells what is wrong
        return cog_protocol.read_state(answer)

    # -- the line is dead ------------------------------------------------------------------------

    async def _call_again(self, error: errors.ConnectionLost) -> None:
        """Join the stream anew while it runs; a server that does not stream cannot be called."""
        for breaks in range(1, _MOST_BREAKS + 1):
            if self._stopping or not (self._streams and self._checks and self.raw):
                break
            self._told.broke = True
            self._emit(Retry(reason=one_line(str(error)), delay_s=0.0, at_s=self._at_s()))
            try:
                if not await self._answer(cog_protocol.question(self._id, streams=True)):
                    return
                break  # it does not run any more
            except errors.ConnectionLost as again:
                error = again
                await asyncio.sleep(protocol.backoff_s(breaks))
            except errors.ConnectionFailed:
                break
        if not self._stopping:
            await self._lose(error)

    async def _lose(self, error: errors.ConnectionLost) -> None:
        """Its end will never be known: that is told, and where the server lives it is canceled."""
        why = _ENDED
        if await cog_server.is_there(self._client):
            why = _BROKE.format(one_line(str(error)).rstrip("."))
            with suppress(errors.ReplicateMagicError):
                await self._client.send(protocol.cancel_request(self._id))
        await self._take()
        self._told.end({"status": "failed", "error": why})

    # -- stopping: cancelled at the server, once --------------------------------------------------

    async def stop(self) -> None:
        """Cancel the prediction if it runs; being cancelled meanwhile does not end that."""
        self._stopping = True
        await to_its_end(self._stop())

    async def _stop(self) -> None:
        holding = self._holding
        if holding is None or holding.done():
            return
        if self._sent_at is None:  # it waits for its turn
            holding.cancel()
            return
        await self._take()
        sending = asyncio.create_task(self._send_cancel())
        await asyncio.wait({holding}, timeout=_STOP_WITHIN_S)
        if self._told.ended:
            sending.cancel()
        elif sending.done():
            self._emit(Retry(reason=CANCELING, delay_s=0.0, at_s=self._at_s()))
        else:
            self._emit(Update(raw=self.raw, at_s=self._at_s()))
            self._client.go_on(self._finish_sending(sending))
        holding.cancel()  # a line that is dead cancels, too

    async def _finish_sending(self, sending: asyncio.Task[None]) -> None:
        await asyncio.wait({sending}, timeout=_LATE_STOP_WITHIN_S)
        sending.cancel()

    async def _send_cancel(self) -> None:
        """Until it is heard: the prediction itself may still be on its way."""
        while True:
            with suppress(errors.ReplicateMagicError):
                answer = await self._client.send(protocol.cancel_request(self._id))
                if answer.status < 300:
                    return
            await asyncio.sleep(0.1)
