"""Owns how fast a bucket's tokens come, as numbers and refusals tell it; must not read a clock."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

_DOCUMENTED = ((600.0, 10.0), (1.0, 0.1), (3_000.0, 50.0), (60_000.0, 1_000.0))
"""Burst and rate of the limits that Replicate is seen to have: creating, creating with little
credit, most reads, a prediction's state."""

LEAST_RATE_S = 1 / 60
"""A bucket that seems to stay empty is tried once a minute all the same."""


class Ticket(NamedTuple):
    """A request's place in the order.

    Attributes:
        number: counts all that were let go.
        at_s: when it was.
        level: the tokens thought to be left after it, but for how the level was ever shifted.
        full: whether the bucket may have been full before it.
        idle: whether it must have been, even if its rate is a good deal less than is thought.
        waited: whether it had to wait.
    """

    number: int
    at_s: float
    level: float
    full: bool = False
    idle: bool = False
    waited: bool = False


class _Mark(NamedTuple):
    """A moment that a rate is measured from, and the tokens that there were then, at most."""

    number: int
    at_s: float
    tokens: float
    near: int = 0


def explains(burst: float, rate_s: float, remaining: int, reset_s: float | None) -> bool:
    """Whether such a bucket would answer so.

    Args:
        burst: what it holds.
        rate_s: how much more each second.
        remaining: what was told to be left, rounded down.
        reset_s: after how long it was told to be full, rounded up.
    """
    if remaining + 1 > burst:
        return False
    least, most = max(burst - remaining - 1.0, 1.0) / rate_s, (burst - remaining) / rate_s + 1.0
    return reset_s is None or least - 0.05 <= reset_s < most + 0.05


def documented(remaining: int, reset_s: float | None) -> tuple[float, float] | None:
    """Burst and rate of the documented limit that an answer fits, if it fits one."""
    if reset_s is None:
        return None
    fitting = (limit for limit in _DOCUMENTED if explains(*limit, remaining, reset_s))
    return next(fitting, None)


class Measure:
    """Burst and rate, where answers say how many tokens are left.

    Attributes:
        fitted: burst and rate that explain the times until it is full, where those tell them.
        telling: whether the growth of the tokens was measured, and not only what it exceeds.
    """

    _TELLING = 8.0  # tokens: they are told as whole numbers
    _TELLING_S = 5.0  # times are told in whole seconds
    _BOLD = 1.5

    def __init__(self) -> None:
        self.fitted: tuple[float, float] | None = None
        self.telling = False
        self._soonest: tuple[float, int] | None = None  # a time until it is full, and what was left
        self._latest: tuple[float, int] | None = None
        self._mark: _Mark | None = None
        self._brimmed = False  # whether the bucket may have been full since the mark
        self._raised = 0

    def begin(self) -> None:
        """Measure the growth anew, from the next answer on."""
        self._mark = None

    def fit(self, remaining: int, reset_s: float) -> tuple[float, float] | None:
        """Burst and rate by the times until it is full, which tell more the longer they are.

        With each second less there are `rate_s` more, whoever else takes of them.
        """
        if self.fitted and not _about(*self.fitted, remaining, reset_s):
            self.fitted = self._soonest = self._latest = None
        told = (reset_s, remaining)
        self._soonest = min(self._soonest or told, told)
        self._latest = max(self._latest or told, told)
        seconds = self._latest[0] - self._soonest[0]
        tokens = self._soonest[1] - self._latest[1]
        if seconds >= self._TELLING_S and tokens > 0:
            rate_s = max(tokens / seconds, LEAST_RATE_S)
            self.fitted = self._latest[1] + rate_s * self._latest[0], rate_s
        return self.fitted

    def grown(
        self, ticket: Ticket, remaining: int, *, near: int, sent: int, burst: float, rate_s: float
    ) -> float:
        """The rate, by how many tokens are there that would not be without growth.

        Args:
            ticket: whose answer tells.
            remaining: how many are left.
            near: how many left at about the same time as it, and may be counted in any order.
            sent: how many have left by now.
            burst: how many tokens there are at most.
            rate_s: the rate until now, which stays where this tells nothing new.
        """
        self._brimmed = self._brimmed or ticket.full or remaining + 1.0 >= burst
        mark = self._mark
        if mark is not None:
            tokens = remaining - mark.tokens + ticket.number - mark.number
            seconds, doubt = max(ticket.at_s - mark.at_s, 1e-3), float(near + mark.near - 1)
            if max(tokens, seconds * rate_s) - doubt < self._TELLING - 1.0:
                return rate_s
            rate_s = max(rate_s, (tokens - doubt) / seconds)
            if not self._brimmed:
                self.telling = True
                rate_s = min(rate_s, max((tokens + doubt) / seconds, rate_s / 2.0))
            elif ticket.waited and remaining + 1.0 >= burst and ticket.number > self._raised:
                rate_s *= self._BOLD  # it is full although requests are held back
                self._raised = sent
        self._mark, self._brimmed = _Mark(ticket.number, ticket.at_s, remaining, near), False
        return rate_s

    def refused(self, ticket: Ticket, rate_s: float) -> float:
        """By how much a rate is to be less after a refusal, as a factor."""
        mark = self._mark
        if mark is None or self._brimmed or ticket.at_s <= mark.at_s:
            return 0.8
        tokens = ticket.number - mark.number - mark.tokens + mark.near
        return min(max(tokens / (ticket.at_s - mark.at_s) / rate_s, 0.5), 0.95)


def _about(burst: float, rate_s: float, remaining: int, reset_s: float) -> bool:
    """Whether such a bucket would answer nearly so."""
    return abs((burst - remaining) / rate_s - reset_s) <= 2.0 + 0.2 * reset_s


class Guess:
    """The rate where refusals alone tell: raised while there are none, then judged by what passed.

    Args:
        depth: how many pass at once.
        rate_s: what is tried first.
        near: whether that is about right.
        began_s: since when.
    """

    _STEP_S = 0.25  # at most so often it is raised
    _BOLD = 1.5
    _CREEP = 0.003  # a second, and more the longer nothing is refused
    _QUIET_S = 8.0
    _CAREFUL = 0.97
    _MOST_MARKS = 16

    def __init__(
        self, *, depth: float, rate_s: float, near: bool, began_s: float = -math.inf
    ) -> None:
        self.rate_s = max(rate_s, LEAST_RATE_S)
        self._depth = depth
        self._near = near
        self._began_s, self._raised_at_s = began_s, -math.inf
        self._cut = self._raised = 0
        self._marks: deque[_Mark] = deque(maxlen=self._MOST_MARKS)

    @classmethod
    def of_volley(cls, passed: int, wait_s: float) -> Guess:
        """Of how many passed before the first refusal, which asks to wait so long."""
        rate_s = 2.0 * max(passed, 1) / max(wait_s, 0.1)
        return cls(depth=passed, rate_s=rate_s, near=False)

    @classmethod
    def of_few(cls, burst: float, reset_s: float | None, began_s: float) -> Guess:
        """Of a bucket that is full again after a time, told in whole seconds."""
        rate_s = burst / reset_s if reset_s else 1.0
        near = reset_s is not None and reset_s >= 2.0
        return cls(depth=burst, rate_s=rate_s if near else 2.0 * rate_s, near=near, began_s=began_s)

    def begin(self, ticket: Ticket, sent: int, open_s: float) -> None:
        """Measure from a refusal: none was left then, and at most all are when it opens again."""
        self._cut, self._began_s = sent, open_s
        self._marks.clear()
        self._marks.append(_Mark(sent, ticket.at_s, 0.0))
        self._marks.append(_Mark(sent, open_s, self._depth))

    def refused(self, ticket: Ticket) -> float:
        """The rate after a refusal: all that passed since a mark has come since, or was there."""
        found = max(
            (
                (ticket.number - 0.5 - mark.number - mark.tokens) / (ticket.at_s - mark.at_s)
                for mark in self._marks
                if ticket.at_s - mark.at_s > 0.8 * self._STEP_S
            ),
            default=0.0,
        )
        self._near = found > 0
        guess = found if self._near else self.rate_s / 2.0
        self.rate_s = max(self._CAREFUL * min(guess, self.rate_s), LEAST_RATE_S)
        return self.rate_s

    def passed(self, ticket: Ticket, sent: int, now_s: float) -> float:
        """The rate after a request passed: more, once the last raise has shown to be allowed.

        It stays where it holds nothing up.
        """
        if ticket.number <= self._cut and not self._near:
            self._depth += 1.0  # it was sent together with one that was refused
        since_s = now_s - max(self._raised_at_s, self._began_s)
        if (
            ticket.number > max(self._cut, self._raised)
            and ticket.waited
            and since_s >= self._STEP_S
        ):
            quiet = 1.0 + (now_s - self._began_s) / self._QUIET_S
            creep = 1.0 + self._CREEP * min(since_s, 1.0) * quiet
            self.rate_s *= creep if self._near else self._BOLD
            self._raised, self._raised_at_s = sent, now_s
            self._marks.append(_Mark(sent, now_s, self._depth))
        return self.rate_s
