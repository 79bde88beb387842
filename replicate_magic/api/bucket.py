"""Owns what is known of one rate limit, as answers tell it; must not wait, send or read a clock.

The API is taken to hold a token bucket: `burst` tokens at most, `rate_s` more each second, and each
request takes one (https://replicate.com/docs/topics/predictions/rate-limits). Times are those at
which requests leave: they are counted in about that order, however long their answers take.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from replicate_magic.api.rates import LEAST_RATE_S, Guess, Measure, Ticket, documented, explains

if TYPE_CHECKING:
    from replicate_magic.api.answers import Allowance

_LONGEST_S = 3_600.0  # what an answer may ask to wait
_SWAY_S = 0.1  # how much longer one request may take to arrive than another
_CLOSE_S = 0.03  # requests that leave so close together are counted in any order
_OVERTAKEN_S = 1.0  # what left so long before is counted, though it has no answer yet
_SETTLED_S = 0.2  # for so long, answers have to agree that there is more than was thought
_SLACK = 0.03  # of a token's time, where there is never one to spare
_UPPER = 0.5  # of a token: what is left of one where less is left than was thought
_REGAINED = 0.02  # of the burst with each answer, after others had taken of it
_AT_FIRST = 8  # requests that are under way at first, where no limit shows
_SHY = 3.0  # times the wait for the first answer: how long that holds


class Bucket:
    """One limit.

    Args:
        usual_rate_s: what is assumed where a limit shows, and not yet which.
        burst: the tokens that it begins with; `None` where nothing says that there is a limit.
        wary_s: how long the first answer is waited for before more is sent; 0 where a limit is not
            likely to be met.

    Attributes:
        rate_s: tokens a second; `None` where no limit is known.
        burst: how many it holds.
        told: whether an answer has told of it.
    """

    def __init__(self, *, usual_rate_s: float, burst: float | None, wary_s: float = 0.0) -> None:
        self.rate_s = None if burst is None else usual_rate_s
        self.burst = burst or 1.0
        self.told = False
        self._usual_rate_s = usual_rate_s
        self._documented = burst is not None
        self._wary_s, self._began_s = wary_s, math.inf
        self._met = False  # whether any answer has come
        self._plain = False  # whether answers of its own tell nothing
        self._level = self.burst
        self._at_s = -math.inf  # when the level was so; ahead of now while nothing may go
        self._shifted = 0.0  # by how much it was put right, in all
        self._share = 1.0  # of the burst: less where others take of it too
        self._closed_until_s = -math.inf
        self._sent = self._heard = self._cut = 0  # numbers of tickets
        self._under_way: dict[int, float] = {}  # when each left
        self._left: deque[float] = deque(maxlen=64)  # when the newest did
        self._passed: deque[float] = deque(maxlen=64)  # when those did that were not refused
        self._bounds: deque[tuple[float, float]] = deque(maxlen=32)  # of `_shifted`, and when told
        self._counted = False  # whether answers have told how many are left
        self._sure = False  # whether burst and rate were told in words, or are documented
        self._measure = Measure()
        self._guess: Guess | None = None  # where the rate is known by refusals alone

    # -- before a request --------------------------------------------------------------------------

    def wait_s(self, now_s: float, ahead: int = 0) -> float:
        """How long until the next request may go, or the one with so many ahead of it."""
        shy_s = 0.0
        if self._wary_s and self._sent and now_s < self._began_s + _SHY * self._wary_s:
            shy_s = self._shy_s(now_s, ahead)
        if self.rate_s is None:
            return shy_s
        missing = self._needed + ahead - self._level_at(now_s)
        wait_s = missing / self.rate_s + max(self._at_s - now_s, 0.0) if missing > 1e-6 else 0.0
        return max(wait_s, self._closed_until_s - now_s, shy_s)

    def _shy_s(self, now_s: float, ahead: int) -> float:
        """How long to wait at the very beginning, since one answer may tell that much is too much.

        Where answers tell nothing, that is soon over: eight may be under way until then.
        """
        if not self._met:
            return max(self._began_s + self._wary_s - now_s, 0.0)
        if self.rate_s is not None or len(self._under_way) + ahead < _AT_FIRST:
            return 0.0
        return self._began_s + _SHY * self._wary_s - now_s

    @property
    def _needed(self) -> float:
        """The tokens that must be there; where it holds several, some stay in reserve."""
        if self._guess:
            return 1.0
        if self.burst < 2.0:
            return 1.0 + _SLACK
        return 1.0 + max(1.0, min((self.burst - 1.0) / 2.0, _SWAY_S * (self.rate_s or 0.0)))

    @property
    def _most(self) -> float:
        return max(self.burst * self._share, self._needed)

    def _level_at(self, now_s: float) -> float:
        if self.rate_s is None or now_s <= self._at_s:
            return self._level
        return min(self._level + self.rate_s * (now_s - self._at_s), self._most)

    def closed_s(self, now_s: float) -> float:
        """For how long nothing may go, as a refusal told."""
        return max(self._closed_until_s - now_s, 0.0)

    def remaining(self, now_s: float) -> float:
        """How many requests could be made at once, as far as it is known."""
        return 0.0 if self.closed_s(now_s) else max(self._level_at(now_s), 0.0)

    def take(self, now_s: float, *, waited: bool = False) -> Ticket:
        """Let a request go."""
        level, full, idle = self._level_at(now_s), False, False
        if self.rate_s is not None:
            missing, grown = self.burst - self._level, self.rate_s * (now_s - self._at_s)
            full, idle = grown > missing - 1e-6, grown > 2.0 * missing + 2.0
            level = min(level, self.burst)
        self._level, self._at_s = level - 1.0, max(now_s, self._at_s)
        self._began_s = min(self._began_s, now_s)
        self._sent += 1
        self._under_way[self._sent] = now_s
        self._left.append(now_s)
        return Ticket(self._sent, now_s, self._level - self._shifted, full, idle, waited)

    def drop(self, ticket: Ticket) -> None:
        """Nothing more is heard of a request; it may have been counted."""
        self._under_way.pop(ticket.number, None)

    def give_back(self, ticket: Ticket) -> None:
        """A request has not left after all."""
        self.drop(ticket)
        self._level += 1.0

    # -- after an answer ---------------------------------------------------------------------------

    def meet(self, *, limited: bool) -> None:
        """Learn from the answer to any request whether the API tells of limits at all."""
        self._met = True
        if not self._wary_s or self._documented or self.told or self._plain:
            return
        if not limited:
            self.rate_s = None
        elif self.rate_s is None:
            self.rate_s = self._usual_rate_s
            self._shift(1.0 - self._level)

    def learn(self, ticket: Ticket, allowance: Allowance, now_s: float) -> None:
        """Learn from a request's own answer."""
        self.drop(ticket)
        if allowance.wait_s is not None:
            self._refuse(ticket, allowance, allowance.wait_s, now_s)
            return
        self._passed.append(ticket.at_s)
        if allowance.remaining is not None:
            self._count(ticket, allowance.remaining, allowance.reset_s, now_s)
        elif self._guess:
            self.rate_s = self._guess.passed(ticket, self._sent, now_s)
        elif allowance.limited is False:
            self._plain = True

    def _count(self, ticket: Ticket, remaining: int, reset_s: float | None, now_s: float) -> None:
        """The answer says how many are left after it."""
        if ticket.number <= self._cut:
            return
        least, most = self._bounds_by(ticket, remaining, now_s)
        if ticket.number <= self._heard:
            return  # a later one has told more
        self._heard = ticket.number
        self._fit(ticket, remaining, reset_s)
        if self.burst < 3.0 and not self._sure:  # so few tell nothing of how fast they come
            self._guess = self._guess or Guess.of_few(self.burst, reset_s, self._closed_until_s)
            self.rate_s = self._guess.passed(ticket, self._sent, now_s)
            return
        self._guess = None
        if not self._sure and not self._measure.fitted:
            self._fit_rate(ticket, remaining, reset_s)
        self._share = min(self._share + _REGAINED, 1.0)
        if self._shifted >= most:
            self._shift(most - 1.0 + _UPPER - self._shifted)
        elif self._shifted < least:
            self._shift(least - self._shifted)

    def _bounds_by(self, ticket: Ticket, remaining: int, now_s: float) -> tuple[float, float]:
        """Between what the level has to be shifted, in all.

        There may be more than was thought only where all answers of the last moments agree: the
        requests before this one may not have been counted yet.
        """
        most = remaining + 1.0 - ticket.level
        self._bounds.append((now_s, most - 1.0 - self._overtaken(ticket)))
        while self._bounds[0][0] < now_s - _SETTLED_S:
            self._bounds.popleft()
        return min(bound for _, bound in self._bounds), most

    def _overtaken(self, ticket: Ticket) -> int:
        """How many left shortly before this one, and may be counted after it."""
        return sum(
            number < ticket.number and at_s > ticket.at_s - _OVERTAKEN_S
            for number, at_s in self._under_way.items()
        )

    def _shift(self, tokens: float) -> None:
        self._level = min(self._level + tokens, self._most)
        self._shifted += tokens

    def _fit(self, ticket: Ticket, remaining: int, reset_s: float | None) -> None:
        """Find the burst, or the whole limit where it is a documented one, or the times tell it."""
        known = self._counted and self.rate_s
        self.told = self._counted = True
        if self._sure and explains(self.burst, self.rate_s or 1.0, remaining, reset_s):
            return
        new = not known or self._sure or remaining + 1.0 > self.burst
        self._sure = False
        if new and (limit := documented(remaining, reset_s)):
            (self.burst, self.rate_s), self._sure = limit, True
        elif reset_s and (limit := self._measure.fit(remaining, reset_s)):
            self.burst, self.rate_s = max(limit[0], remaining + 1.0), limit[1]
        elif not known or ticket.idle or remaining + 1.0 > self.burst:
            self.burst = remaining + 1.0

    def _fit_rate(self, ticket: Ticket, remaining: int, reset_s: float | None) -> None:
        """Find the rate by how the tokens grow."""
        near = sum(abs(at_s - ticket.at_s) < _CLOSE_S for at_s in self._left)
        rate_s = self._measure.grown(
            ticket,
            remaining,
            near=near,
            sent=self._sent,
            burst=self.burst,
            rate_s=self.rate_s or self._usual_rate_s,
        )
        if reset_s and reset_s >= 2.0 and not self._measure.telling:
            missing = self.burst - remaining
            least, most = max(missing - 1.0, 1.0) / reset_s, missing / (reset_s - 1.0)
            rate_s = min(rate_s, (least + most) / 2.0)
        if reset_s:
            rate_s = max(rate_s, (self._needed - remaining) / reset_s)  # by then it is full
        self.rate_s = max(rate_s, LEAST_RATE_S)

    def _refuse(self, ticket: Ticket, allowance: Allowance, wait_s: float, now_s: float) -> None:
        """Nobody goes before the time is over, and then one after the other."""
        wait_s = min(wait_s, _LONGEST_S)
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)
        if allowance.rate_s:
            self.rate_s, self.burst = allowance.rate_s, allowance.burst or 1.0
            self._sure, self._guess = True, None
        elif ticket.number > self._cut:  # not one of several that were sent together
            self._slow_down(ticket, wait_s)
        self.told = True
        if self._guess:
            self._guess.begin(ticket, self._sent, self._closed_until_s)
        self._measure.begin()
        self._bounds.clear()
        self._cut = self._heard = self._sent  # what is under way knows nothing of what comes
        self._shifted += self._needed - self._level
        self._level, self._at_s = self._needed, self._closed_until_s

    def _slow_down(self, ticket: Ticket, wait_s: float) -> None:
        self._sure = False
        if self._guess:
            self.rate_s = self._guess.refused(ticket)
        elif self.rate_s is None:
            span_s = max(min(wait_s, 1.0), 0.1)
            passed = sum(at_s > ticket.at_s - span_s for at_s in self._passed)
            self._guess = Guess.of_volley(passed, wait_s)
            self.rate_s, self.burst, self._counted = self._guess.rate_s, 2.0, False
        else:
            less_s = self.rate_s * self._measure.refused(ticket, self.rate_s)
            if wait_s >= 2.0:
                less_s = min(less_s, 1.0 / (wait_s - 1.0))  # it is rounded up
            self.rate_s = max(less_s, LEAST_RATE_S)
            self._share /= 4.0
