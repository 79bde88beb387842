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


class Growing:
    """Text that is known from a stream, from polling, or from one after the other.

    Text is handed on once. What may be half of something is held back until the rest has come: a
    CR that may begin a CRLF, the first half of a character beyond the first plane.
    """

    def __init__(self) -> None:
        self._handed: list[str] = []
        self._length = 0
        self._held = ""
        self._seen = 0  # chunks
        self._raw: object = None
        self._polled = False  # whether polling has led, and the stream not caught up yet

    def more(self, chunks: Chunks, raw: object, whole: Callable[[], str]) -> str:
        """What is new: from the chunks as long as they lead, else by comparison.

        Args:
            chunks: what the stream brought.
            raw: what polling brought: another object where it is news.
            whole: all that is known; asked for only where polling may know more than the stream.
        """
        streamed, polled = len(chunks) > self._seen, raw is not self._raw
        self._seen, self._raw, before = len(chunks), raw, self._seen
        came = self._held
        if streamed and not self._polled:
            came += "".join(chunks.parts(before))
        elif streamed or polled:
            came = self._by_comparison(whole())
            self._polled = len(chunks.text()) < self._length + len(came)
        self._held = held[0] if (held := _HALVES.search(came)) else ""
        new = came.removesuffix(self._held)
        if new:
            self._handed.append(new)
            self._length += len(new)
        return new

    def _by_comparison(self, whole: str) -> str:
        if len(whole) <= self._length + len(self._held):
            return self._held
        handed = "".join(self._handed)
        return whole[self._length :] if whole.startswith(handed) else self._held


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
        percent: how far the bar is that stands last, or `None`.
    """

    def __init__(self) -> None:
        self.percent: int | None = None
        self._growing = Growing()
        self._line = ""  # that has not ended
        self._bar = ""  # that may be drawn again

    def more(self, prediction: Prediction) -> str:
        """The lines that have come since, each with its end."""
        came = self._growing.more(prediction.streamed_logs, prediction.raw, lambda: prediction.logs)
        if not came:
            return ""
        *lines, rest = (self._line + came).split("\n")
        self._line = rest[rest[:-1].rfind("\r") + 1 :]
        told = "".join(self._told(_last_state(line)) for line in lines)
        self.percent = _percent(_last_state(self._line) or self._bar)
        return told

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        told = f"{self._told(_last_state(self._line))}{_ended(self._bar)}"
        self._line = self._bar = ""
        return told

    def _told(self, line: str) -> str:
        before, self._bar = self._bar, ""
        if _percent(line) is None:
            return _ended(before) + _ended(line)
        self._bar = line
        return "" if _letters(before) == _letters(line) else _ended(before)


def _last_state(line: str) -> str:
    """A bar is drawn over itself, with a CR in between."""
    states = [state for state in without_colours(line).split("\r") if state.strip()]
    return printable(states[-1]) if states else ""


def _ended(line: str) -> str:
    return f"{line}\n" if line else ""


def _percent(line: str) -> int | None:
    found = _PERCENT.search(line)
    return int(found[1]) if found and int(found[1]) <= 100 else None


def _letters(line: str) -> str:
    """What stays the same while a bar grows."""
    return re.sub(r"[\W\d_]+", "", line)
