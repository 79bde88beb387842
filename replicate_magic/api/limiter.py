"""Owns when a request may go, by the account's rate limits; must not send it.

One for each account and loop. Requests wait in the order they came; what each answer tells is
learnt at once, for all that wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from replicate_magic.api.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.answers import Allowance
    from replicate_magic.api.protocol import Kind
    from replicate_magic.api.rates import Ticket

    Tell = Callable[[float], None]

_CREATES_PER_S, _READS_PER_S = 10.0, 50.0
_MOST_READS = 3_000.0
_PUBLIC_ANSWER_S, _ANSWER_S = 0.5, 0.1  # how long the first answer to a create is waited for
_TELLING_S = 0.3  # a shorter wait is not told
_LATER_S = 1.0  # nor how much longer it takes, if that is less


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate limit as it is known.

    Attributes:
        rate_s: requests a second.
        burst: how many may be made at once.
        remaining: how many may be made now.
    """

    rate_s: float
    burst: float
    remaining: float


class Place(NamedTuple):
    """What a request that may go holds, until it is answered."""

    kind: Kind
    ticket: Ticket


@dataclass(slots=True, eq=False)
class _Waiter:
    turn: asyncio.Future[Place]
    tell: Tell | None
    promised_s: float  # by when it goes as far as was told; a little later is no news


class _Lane:
    """One limit, and those who wait for it."""

    def __init__(self, kind: Kind, bucket: Bucket) -> None:
        self.bucket = bucket
        self._kind = kind
        self._waiting: deque[_Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def at_once(self, *, urgent: bool) -> Place | None:
        """A place, if there is one now; what is urgent has one always, and counts all the same."""
        now_s = time.monotonic()
        if not urgent and (self._waiting or self.bucket.wait_s(now_s)):
            return None
        return Place(self._kind, self.bucket.take(now_s))

    def wait(self, turn: asyncio.Future[Place], tell: Tell | None) -> None:
        """Have a turn come; until then it may be cancelled."""
        waiter = _Waiter(turn, tell, time.monotonic() + _TELLING_S)
        self._waiting.append(waiter)
        turn.add_done_callback(lambda _: self._left(waiter))
        self.look()

    def _left(self, waiter: _Waiter) -> None:
        with suppress(ValueError):  # its turn has come
            self._waiting.remove(waiter)

    def look(self) -> None:
        """Let go whoever may, and tell the others what changed."""
        if not self._waiting:
            return
        now_s = time.monotonic()
        while self._waiting and not self.bucket.wait_s(now_s):
            turn = self._waiting.popleft().turn
            if not turn.done():
                turn.set_result(Place(self._kind, self.bucket.take(now_s, waited=True)))
        for ahead, waiter in enumerate(self._waiting):
            self._tell(waiter, self.bucket.wait_s(now_s, ahead), now_s)
        if self._timer:
            self._timer.cancel()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(
                self.bucket.wait_s(now_s), self.look
            )

    @staticmethod
    def _tell(waiter: _Waiter, wait_s: float, now_s: float) -> None:
        if waiter.tell and not waiter.turn.done() and now_s + wait_s > waiter.promised_s:
            waiter.promised_s = now_s + wait_s + max(_LATER_S, wait_s / 4)
            waiter.tell(wait_s)


class Limiter:
    """The limits of an account.

    Args:
        documented: whether Replicate's documented limits hold; else none is assumed until an answer
            tells of one.
    """

    def __init__(self, *, documented: bool) -> None:
        create = Bucket(
            usual_rate_s=_CREATES_PER_S,
            burst=1.0 if documented else None,  # an account with little credit has no more
            wary_s=_PUBLIC_ANSWER_S if documented else _ANSWER_S,
        )
        reads = _MOST_READS if documented else None
        get, other = (Bucket(usual_rate_s=_READS_PER_S, burst=reads) for _ in range(2))
        self._all = (_Lane("create", create), _Lane("get", get), _Lane("other", other))
        kinds: tuple[Kind, ...] = ("create", "get", "other")
        self._lanes: dict[Kind, _Lane] = dict(zip(kinds, self._all, strict=True))
        self._lanes["cancel"] = self._lanes["other"]

    def turn(self, kind: Kind, tell: Tell | None = None) -> asyncio.Future[Place]:
        """A request's turn, which may be there at once; cancelling it gives it up.

        Cancels never wait: they save money.

        Args:
            kind: which limit it falls under.
            tell: handed the seconds, where it has to wait for longer than a moment, and again where
                that becomes a good deal more.
        """
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        if place := self._at_once(kind):
            turn.set_result(place)
        else:
            self._lanes[kind].wait(turn, tell)
        return turn

    def _at_once(self, kind: Kind) -> Place | None:
        return self._lanes[kind].at_once(urgent=kind == "cancel")

    async def admit(self, kind: Kind) -> Place:
        """Wait for a request's turn; being cancelled meanwhile gives it up."""
        if place := self._at_once(kind):
            return place
        turn = self.turn(kind)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(turn.result())
            raise

    def give_back(self, place: Place) -> None:
        """The request has not left."""
        lane = self._lanes[place.kind]
        lane.bucket.give_back(place.ticket)
        lane.look()

    def drop(self, place: Place) -> None:
        """The request has left, and is not answered."""
        self._lanes[place.kind].bucket.drop(place.ticket)

    def learn(self, place: Place, allowance: Allowance) -> None:
        """Take in what the answer to a request tells."""
        now_s = time.monotonic()
        if allowance.limited is not None:
            for lane in self._all:
                lane.bucket.meet(limited=allowance.limited)
        self._lanes[place.kind].bucket.learn(place.ticket, allowance, now_s)
        for lane in self._all:
            lane.look()

    # -- what is known; from any thread ----------------------------------------------------------

    def wait_s(self, kind: Kind) -> float:
        """How long until the next request of a kind may go, in seconds."""
        return self._lanes[kind].bucket.wait_s(time.monotonic())

    def closed_s(self, kind: Kind) -> float:
        """For how long no request of a kind may go, as a refusal has told, in seconds."""
        return self._lanes[kind].bucket.closed_s(time.monotonic())

    def known(self, kind: Kind) -> Limit | None:
        """A limit that answers have told of."""
        bucket = self._lanes[kind].bucket
        if not bucket.told or bucket.rate_s is None:
            return None
        remaining = bucket.remaining(time.monotonic())
        return Limit(rate_s=bucket.rate_s, burst=bucket.burst, remaining=remaining)
