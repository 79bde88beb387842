"""Owns what a Cog server has told of a prediction, and the events it makes; must do no I/O."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.api import cog_protocol
from replicate_magic.api.sse import EventDecoder
from replicate_magic.plain import one_line
from replicate_magic.prediction import Created, Event, Finished, Log, Output, Update, is_final

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.protocol import Create

_NO_END = "The server's answer does not tell how it ended."
_LEFT_ALONE = "The connection broke, and a Cog server cancels what nobody waits for."


class Telling:
    """One prediction, as far as its server has told.

    Args:
        create: what was sent.
        prediction_id: its id.
        base: the server's address.
        emit: told of each event.
        at_s: the seconds since the call began.
        gives_files: whether the output is files.

    Attributes:
        raw: its JSON as Replicate would write it; empty before it is known to be taken.
        broke: whether its connection broke, and was made anew.
    """

    def __init__(
        self,
        create: Create,
        prediction_id: str,
        base: str,
        emit: Callable[[Event], None],
        at_s: Callable[[], float],
        *,
        gives_files: bool,
    ) -> None:
        self.raw: dict[str, Any] = {}
        self.broke = False
        self._create, self._id, self._base = create, prediction_id, base
        self._emit = emit
        self._at_s = at_s
        self._gives_files = gives_files
        self._chunks: list[Any] = []
        self._had: Counter[str] = Counter()  # events by name
        self._place: Counter[str] = Counter()  # the same on the present connection
        self._decoder = EventDecoder()

    @property
    def ended(self) -> bool:
        """Whether its end is told."""
        return is_final(self.raw)

    def take(self, sent_at: datetime | None) -> None:
        """The server has taken it."""
        sent_at = sent_at or datetime.now(UTC)
        self.raw = cog_protocol.begun(self._create, self._id, self._base, sent_at)
        self._emit(Created(raw=self.raw, at_s=self._at_s()))

    def update(self, told: dict[str, Any]) -> None:
        """How it stands; an end is not told by this."""
        raw = cog_protocol.after(self.raw, told, datetime.now(UTC))
        if raw != self.raw and not is_final(raw):
            self.raw = raw
            self._emit(Update(raw=raw, at_s=self._at_s()))

    def end(self, told: dict[str, Any]) -> None:
        """How it ended; of one that did not come to its end, what came of its output stays."""
        if not is_final(told):
            told = {"status": "failed", "error": _NO_END}
        if self.broke and told["status"] == "canceled":
            told = {"error": _LEFT_ALONE, **told}
        came = {"output": self._chunks} if self._chunks else {}
        self.raw = cog_protocol.after(self.raw, {**came, **told}, datetime.now(UTC))
        self._emit(Finished(raw=self.raw, at_s=self._at_s()))

    # -- a stream --------------------------------------------------------------------------------

    def begin_stream(self) -> None:
        """A stream begins, always with the first event: what has come before is passed over."""
        self._decoder, self._place = EventDecoder(), Counter()

    def hear(self, piece: bytes) -> None:
        """Some bytes of the stream.

        Raises:
            UnexpectedAnswer: the server can tell no more by this stream.
        """
        news: list[tuple[str, dict[str, Any]]] = []
        for event in self._decoder.feed(piece):
            self._place[event.name] += 1
            if self._place[event.name] > self._had[event.name]:
                self._had[event.name] += 1
                news.append((event.name, _object(event.data)))
        self._come([data["chunk"] for name, data in news if name == "output" and "chunk" in data])
        logs = "".join(str(data.get("data", "")) for name, data in news if name == "log")
        if logs:
            self._emit(Log(text=logs, at_s=self._at_s()))
        for name, data in news:
            match name:
                case "start":
                    self.update(data)
                case "completed":
                    self.end(data)
                case "error":  # such as events that came faster than they were read
                    raise errors.UnexpectedAnswer(one_line(str(data.get("error") or data)))

    def _come(self, chunks: list[Any]) -> None:
        """Output: texts as they are, anything else as the list that it will be."""
        self._chunks += chunks
        if self._gives_files or not all(isinstance(chunk, str) for chunk in chunks):
            self.update({"output": list(self._chunks)})
        elif chunks:
            self._emit(Output(chunks=tuple(chunks), at_s=self._at_s()))


def _object(data: str) -> dict[str, Any]:
    """The JSON object of an event."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
