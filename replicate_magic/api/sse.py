"""Owns turning the bytes of an event stream into events; must not know HTTP or what events mean.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
Lines end at CR, LF or CRLF and nowhere else; a chunk of bytes may end anywhere, inside a character
or between CR and LF too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event.

    Attributes:
        name: the event's type; `message` where it has none.
        data: its data lines, joined with LF.
        id: the last id the stream has named, or an empty string.
    """

    name: str
    data: str
    id: str


class EventDecoder:
    """Fed with bytes as they come, gives the events that they complete.

    Attributes:
        last_id: the id to send as `Last-Event-ID` when the stream is opened again; an empty string
            where the stream has named none.
    """

    def __init__(self) -> None:
        self.last_id = ""
        self._id = ""  # becomes the last id when its event is complete, and is lost if it never is
        self._begun = False
        self._rest: list[bytes] = []  # of a line that has not ended; joined once, when it does
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that these bytes complete; an event is complete at its blank line."""
        data = self._without_bom(data)
        if not data:
            return []
        if self._after_cr:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        *lines, rest = _LINE_END.split(data)
        self._after_cr = data.endswith(b"\r")
        if lines and self._rest:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest.clear()
        if rest:
            self._rest.append(rest)
        return [event for line in lines if (event := self._take_line(line))]

    def _without_bom(self, data: bytes) -> bytes:
        if self._begun:
            return data
        data = b"".join([*self._rest, data])
        self._rest.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._rest.append(data)  # the first bytes may yet become a byte order mark
            return b""
        self._begun = True
        return data.removeprefix(_BOM)

    def _take_line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        match name:
            case b"data":
                self._data.append(text)
            case b"event":
                self._name = text
            case b"id" if "\0" not in text:
                self._id = text
        return None

    def _dispatch(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self.last_id = "", [], self._id
        if not data:
            return None
        return ServerEvent(name=name or "message", data="\n".join(data), id=self.last_id)
