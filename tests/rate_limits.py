"""The rate limits that the tests' own Replicate can have: real token buckets, with its words.

```python
server.limits = Limits(create=Bucket(rate_s=20, burst=5))     # headers and 429, from now on
server.limits = Limits(create=Bucket(20, 5), headers=False)   # 429 alone
server.limits.create.change(rate_s=0.1, burst=1)              # in the middle
```

A refusal carries `retry_after` and "resets in ~Ns", in whole seconds; where there is little credit
(at most ten a minute) it says which limit that is, as Replicate does.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

EPSILON = 1e-9
LITTLE_CREDIT_S = 1 / 6


@dataclass
class Bucket:
    """`burst` tokens at most, `rate_s` more each second; full at first."""

    rate_s: float
    burst: float
    tokens: float = field(init=False)
    at_s: float = field(init=False, default=-math.inf)

    def __post_init__(self):
        self.tokens = float(self.burst)
        self._lock = threading.Lock()

    def take(self, now_s):
        """Whether a request may be; it takes a token then."""
        with self._lock:
            self._fill(now_s)
            if self.tokens < 1 - EPSILON:
                return False
            self.tokens -= 1
            return True

    def change(self, *, rate_s, burst, now_s=None):
        """Another limit from now on."""
        with self._lock:
            self._fill(time.monotonic() if now_s is None else now_s)
            self.rate_s, self.burst = rate_s, burst
            self.tokens = min(self.tokens, burst)

    def _fill(self, now_s):
        self.tokens = min(self.burst, self.tokens + self.rate_s * max(now_s - self.at_s, 0))
        self.at_s = max(now_s, self.at_s)

    def next_s(self):
        """How long until a request may be, rounded up."""
        return math.ceil((1 - self.tokens) / self.rate_s - EPSILON)

    def headers(self):
        """What answers say: what is left, and how long until all is, rounded up."""
        full_s = math.ceil((self.burst - self.tokens) / self.rate_s - EPSILON)
        left = math.floor(self.tokens + EPSILON)
        return {"ratelimit-remaining": str(left), "ratelimit-reset": str(full_s)}

    def words(self):
        """What a refusal says."""
        which = ""
        if self.rate_s <= LITTLE_CREDIT_S:
            which = (
                f" for creating predictions is reduced to {round(60 * self.rate_s)} requests per "
                f"minute with a burst of {self.burst:.0f} requests while you have less than $5.0 "
                "in credit. Your rate limit"
            )
        return f"Request was throttled. Your rate limit{which} resets in ~{self.next_s()}s."


@dataclass
class Limits:
    """One bucket for each kind of request, or none.

    Attributes:
        headers: whether answers tell what is left.
        refused: how often each route was refused.
    """

    create: Bucket | None = None
    get: Bucket | None = None
    other: Bucket | None = None
    headers: bool = True
    refused: dict = field(default_factory=dict)

    def bucket_of(self, route):
        return getattr(self, route if route in {"create", "get"} else "other")

    def judge(self, route, now_s=None):
        """The headers that an answer carries, and the body of a refusal or `None`."""
        bucket = self.bucket_of(route)
        if bucket is None:
            return self._others(), None
        passed = bucket.take(time.monotonic() if now_s is None else now_s)
        headers = bucket.headers() if self.headers else {}
        if passed:
            return headers, None
        self.refused[route] = self.refused.get(route, 0) + 1
        return headers, {"detail": bucket.words(), "status": 429, "retry_after": bucket.next_s()}

    def _others(self):
        told = {"ratelimit-remaining": "2999", "ratelimit-reset": "1"}
        return told if self.headers else {}
