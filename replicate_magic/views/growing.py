"""Owns what of a growing answer, and of growing logs, is new; must not know where it is drawn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replicate_magic.plain import printable, without_colours

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.chunks import Chunks
    from replicate_magic.prediction import Prediction

_HALVES = re.compile(r"[\r\ud800-\udbff]\Z")
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
_LINE_CHARS = 10_000


class Growing:
    """Text that is known from a stream, from polling, or from one after the other.

    Text is handed on once. What may be half of something is held back until the rest has come: a
    CR that may begin a CRLF, the first half of a character beyond the first plane.
    """

    def __init__(self) -> None:
        self._handed: list[str] = []
        self._held = ""
        self._seen = 0  # chunks
        self._raw: object = None
        self._departed = False  # whether the stream is not where polling has led

    def more(self, chunks: Chunks, raw: object, whole: Callable[[], str]) -> str:
        """What is new: from the chunks as long as they lead, else by comparison.

        Args:
            chunks: what the stream brought.
            raw: what polling brought: another object where it is news.
            whole: all that is known; asked for only where polling may know more than the stream.
        """
        streamed, polled = len(chunks) > self._seen, raw is not self._raw
        came = self._held
        if polled or (streamed and self._departed):
            came = self._by_comparison(chunks.text(), whole())
        elif streamed:
            came += "".join(chunks.parts(self._seen))
        self._seen, self._raw = max(self._seen, len(chunks)), raw
        self._held = held[0] if (held := _HALVES.search(came)) else ""
        new = came.removesuffix(self._held)
        if new:
            self._handed.append(new)
        return new

    def _by_comparison(self, streamed: str, whole: str) -> str:
        handed = "".join(self._handed)
        known = handed + self._held
        for text in (whole, streamed):
            if text.startswith(known):
                known = text
        self._departed = not streamed.startswith(known)
        return known[len(handed) :]


class GrowingAnswer:
    """An answer that is text, safe to print."""

    def __init__(self) -> None:
        self._growing = Growing()

    def more(self, prediction: Prediction) -> str:
        """What has come since; nothing where the answer is no text."""
        if prediction.shape not in {"chunks", "text", None}:
            return ""
        return printable(
            self._growing.more(prediction.streamed, prediction.raw, lambda: _text(prediction))
        )


def _text(prediction: Prediction) -> str:
    if prediction.files or (prediction.final and not prediction.is_text):
        return ""
    return prediction.text


class GrowingLogs:
    """Log lines, safe to print; of a bar that is drawn again and again the last state stays.

    Attributes:
        latest: the line that stands last, as far as it is known.
        percent: how far the bar is that stands last, or `None`.
    """

    def __init__(self) -> None:
        self.latest = ""
        self.percent: int | None = None
        self._growing = Growing()
        self._line = ""  # that has not ended
        self._redrawn = False  # whether that line has been drawn over
        self._bar = ""  # that may be drawn again

    def more(self, prediction: Prediction) -> str:
        """The lines that have come since, each with its end."""
        return self.feed(
            self._growing.more(prediction.streamed_logs, prediction.raw, lambda: prediction.logs)
        )

    def feed(self, came: str) -> str:
        """The lines that end in what came."""
        if not came:
            return ""
        *lines, self._line = (self._line + came).split("\n")
        told = "".join(map(self._told, lines))
        if len(self._line) > _LINE_CHARS and "\r" not in self._line:
            told, self._line = told + self._told(self._line), ""
        states = self._line.rstrip("\r").rpartition("\r")
        self._redrawn = self._redrawn or bool(states[1])
        self._line = self._line[len(states[0]) + len(states[1]) :]
        bar = _readable(self._line) or self._bar
        self.percent = _percent(bar)
        self.latest = bar or told.strip().rpartition("\n")[2] or self.latest
        return told

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        told = self._told(self._line) if self._line else ""
        bar, self._line, self._bar = self._bar, "", ""
        return told + _ended(bar)

    def _told(self, line: str) -> str:
        """What an ended line tells: nothing where it is a bar that may yet be drawn anew."""
        *drawn_over, last = line.rstrip("\r").split("\r")
        redrawn, self._redrawn = self._redrawn or bool(drawn_over), False
        text = _readable(last)
        if redrawn and not text.strip():
            return ""
        before, self._bar = self._bar, ""
        if _percent(text) is None:
            return f"{_ended(before)}{text}\n"
        self._bar = text
        return "" if _what_grows(before) == _what_grows(text) else _ended(before)


def settled_logs(logs: str) -> str:
    """All lines of logs that are complete, as they stay."""
    growing = GrowingLogs()
    return growing.feed(logs.replace("\r\n", "\n")) + growing.rest()


def _readable(line: str) -> str:
    return printable(without_colours(line).rstrip("\r"))


def _ended(line: str) -> str:
    return f"{line}\n" if line else ""


def _percent(line: str) -> int | None:
    found = _PERCENT.search(line)
    return int(found[1]) if found and int(found[1]) <= 100 else None


def _what_grows(line: str) -> str:
    """What stays the same while a bar grows: all that stands before its percentage."""
    return _PERCENT.split(line, maxsplit=1)[0].strip() if line else "\0"
