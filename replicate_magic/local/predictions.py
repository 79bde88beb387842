"""The records of predictions: their states, events, JSON, and how long they are kept.

Knows no model, no queue and no HTTP. All of it lives on the event loop's thread; nothing here
is locked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .sse import StreamEvent, next_id
from .wire import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
KEEP_DATA = timedelta(hours=1)
# With their events some 100 KB each, until the data is removed.
KEEP_FINISHED = 1_000


def new_id() -> str:
    """An id in the API's shape: 26 characters of lower case base32."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


# Not frozen, unlike the other values of this project: it grows token by token, and a copy for each
# would make long answers quadratic.
@dataclass(slots=True, kw_only=True, eq=False)
class Prediction:
    """One prediction. Who changes it, which is `Runner`, looks first whether it is final.

    Attributes:
        sequence: Rises from one prediction to the next, given by `Predictions`; what cursors point
            at.
        output_is_list: Whether outputs are appended to a list.
        canceled: Set when the model should stop; the only attribute that other threads read.
        changed: Set at the next change, then replaced by a new one.
    """

    model: str
    version: str
    input: dict[str, Any]
    output_is_list: bool
    created_at: datetime
    id: str = field(default_factory=new_id)
    sequence: int = 0
    deployment: str | None = None
    deadline: datetime | None = None
    webhook: dict[str, Any] = field(default_factory=dict)
    stream_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    status: str = "starting"
    output: Any = None
    error: str | None = None
    log_parts: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    data_removed: bool = False
    events: list[StreamEvent] = field(default_factory=list)
    canceled: threading.Event = field(default_factory=threading.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in FINAL

    async def until_final(self, within_s: float) -> None:
        """Wait until it is final, at most *within_s*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.is_final:
                    await self.changed.wait()

    def start(self, at: datetime) -> None:
        """The model begins to work on it."""
        self.status = "processing"
        self.started_at = at
        self.output = [] if self.output_is_list else None
        self._wake()

    def add_output(self, value: Any) -> None:
        """A value came: one more item of a list, else the whole output."""
        if self.output_is_list:
            self.output.append(value)
        else:
            self.output = value
        self._publish("output", value if isinstance(value, str) else str(value))

    def add_log(self, text: str) -> None:
        """The model, or the engine about it, has something to tell."""
        if not text:
            return
        self.log_parts.append(text)
        self._publish("logs", text.removesuffix("\n"))

    def finish(self, status: str, at: datetime, error: str | None = None) -> None:
        """It reached *status*, for good."""
        self.status = status
        self.error = error
        self.completed_at = at
        self.metrics["total_time"] = (at - self.created_at).total_seconds()
        if self.started_at:
            self.metrics["predict_time"] = (at - self.started_at).total_seconds()
        self._publish_end()

    def remove_data(self) -> None:
        """Forget input, output and logs; what remains is what the API keeps."""
        self.input, self.output, self.data_removed = {}, None, True
        self.log_parts, self.events = [], []

    def events_after(self, last: tuple[int, int] | None) -> list[StreamEvent]:
        """The events that follow the one with the id *last*, all for None."""
        if last is None:
            return self.events[:]
        newer = 0
        for event in reversed(self.events):
            if event.id <= last:
                break
            newer += 1
        return self.events[len(self.events) - newer :]

    def _publish_end(self) -> None:
        match self.status:
            case "succeeded":
                self._publish("done", "{}")
            case "failed":
                self._publish("error", json.dumps({"detail": self.error}))
                self._publish("done", '{"reason":"error"}')
            case _:
                self._publish("done", '{"reason":"canceled"}')

    def _publish(self, event: str, data: str) -> None:
        last = self.events[-1].id if self.events else None
        second = int(now().timestamp())
        self.events.append(StreamEvent(id=next_id(last, second), event=event, data=data))
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def to_json(prediction: Prediction, base_url: str) -> dict[str, Any]:
    """The prediction as the API sends it; what is not known yet is left out, as there."""
    api = f"{base_url}/v1"
    url = f"{api}/predictions/{prediction.id}"
    body = {
        "id": prediction.id,
        "model": prediction.model,
        "version": prediction.version,
        "deployment": prediction.deployment,
        **prediction.webhook,
        "input": prediction.input,
        "output": prediction.output,
        "logs": "".join(prediction.log_parts),
        "error": prediction.error,
        "status": prediction.status,
        "source": "api",
        "data_removed": prediction.data_removed,
        "metrics": prediction.metrics if prediction.is_final else None,
        "created_at": timestamp(prediction.created_at),
        "started_at": prediction.started_at and timestamp(prediction.started_at),
        "completed_at": prediction.completed_at and timestamp(prediction.completed_at),
        "deadline": prediction.deadline and timestamp(prediction.deadline),
        "urls": {
            "web": url,
            "get": url,
            "cancel": f"{url}/cancel",
            "stream": f"{api}/streams/{prediction.stream_token}",
        },
    }
    always = {"output", "error"}
    return {name: value for name, value in body.items() if value is not None or name in always}


class Predictions:
    """All predictions this engine remembers."""

    def __init__(self) -> None:
        self._by_id: dict[str, Prediction] = {}
        self._by_stream: dict[str, Prediction] = {}
        self._finished: deque[Prediction] = deque()
        self._with_data: deque[Prediction] = deque()
        self._added = 0

    def add(self, prediction: Prediction) -> None:
        """Remember a new one."""
        self._added += 1
        prediction.sequence = self._added
        self._by_id[prediction.id] = prediction
        self._by_stream[prediction.stream_token] = prediction

    def get(self, prediction_id: str) -> Prediction | None:
        """The prediction with this id."""
        self.sweep(now())
        return self._by_id.get(prediction_id)

    def by_stream(self, token: str) -> Prediction | None:
        """The prediction whose stream has this token, until its data is removed."""
        self.sweep(now())
        return self._by_stream.get(token)

    def newest_first(self) -> Iterator[Prediction]:
        """All predictions, the last created one first."""
        self.sweep(now())
        return reversed(list(self._by_id.values()))

    def finished(self, prediction: Prediction) -> None:
        """Told once a prediction is final: from now on it may be forgotten."""
        self._finished.append(prediction)
        self._with_data.append(prediction)
        while len(self._finished) > KEEP_FINISHED:
            oldest = self._finished.popleft()
            self._by_id.pop(oldest.id, None)
            self._by_stream.pop(oldest.stream_token, None)

    def sweep(self, at: datetime) -> None:
        """Remove the data of predictions that ended an hour before *at*, as Replicate does.

        See https://replicate.com/docs/topics/predictions/data-retention.
        """
        while self._with_data:
            completed_at = self._with_data[0].completed_at
            if completed_at is None or completed_at + KEEP_DATA > at:
                return
            prediction = self._with_data.popleft()
            prediction.remove_data()
            self._by_stream.pop(prediction.stream_token, None)
