"""Owns the answers of a batch that somebody looks at: what of them the page has, and lacks.

The page is told them as `offset` and `text`, with the offset in UTF-16 units. An answer has another
edition where it began anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.plain import one_line, printable
from replicate_magic.views import entries, status
from replicate_magic.views.answer import CUT
from replicate_magic.views.growing import GrowingAnswer

if TYPE_CHECKING:
    from replicate_magic.tally import Entry, Tally

MOST_LOOKED = 8
"""How many answers are followed at once: each is a stream of its own."""
ANSWER_CHARS = 100_000
"""How much of an answer the page is sent: whoever wants more of it has the frame."""
_FRAME_CHARS = 100_000  # of all answers in one frame
_PROMPT_CHARS = 4_000


class Answers:
    """Those that are looked at.

    `grown` is for one thread, the one that updates; the rest may be called on another at the same
    time.
    """

    def __init__(self) -> None:
        self._looked: dict[int, _Looked] = {}

    def look(self, tally: Tally, number: int, known: Any) -> tuple[dict[str, Any], list[int]]:
        """Follow an answer from now on.

        Args:
            tally: what is known.
            number: whose.
            known: how many UTF-16 units of it the page has.

        Returns:
            All that the page lacks of it, and the numbers that are not followed any more.
        """
        entry = tally.entry(number)
        looked = self._looked.get(number)
        if looked is None:
            looked = _Looked()
            looked.follow(entry)  # before the updating thread knows it
            looked.sent = _units(looked.text)
            self._looked[number] = looked
        told = looked.told(entry, known, 2 * ANSWER_CHARS)
        left = list(self._looked)[:-MOST_LOOKED]
        for one in left:
            self.look_away(one)
        return told, left

    def look_away(self, number: int) -> None:
        """Follow an answer no more."""
        self._looked.pop(number, None)

    def grown(self, tally: Tally) -> list[dict[str, Any]]:
        """What has come since, as much as a frame has room for."""
        answers, room = [], _FRAME_CHARS
        for number, looked in list(self._looked.items()):
            entry, had_ended = tally.entry(number), looked.ended
            looked.follow(entry)
            told = looked.told(entry, looked.sent, max(room, 0))
            if told["text"] or looked.ended != had_ended:
                answers.append(told)
                room -= len(told["text"])
                looked.sent = told["offset"] + _units(told["text"])
        return answers


class _Looked:
    """An answer that somebody looks at."""

    def __init__(self) -> None:
        self.text = ""
        self.edition = 0  # how often it began anew
        self.ended = False
        self.sent = 0  # UTF-16 units
        self._growing = GrowingAnswer()

    def follow(self, entry: Entry) -> None:
        """Take in what has come."""
        if self.ended or entry.phase == "waiting":
            return
        if entry.phase == "running":
            if len(self.text) < ANSWER_CHARS:
                self.text += self._growing.more(entry.prediction)
            return
        text = _whole(entry)
        if not text.startswith(self.text):
            self.edition, self.sent = self.edition + 1, 0
        self.text, self.ended = text, True

    def told(self, entry: Entry, known: int, most: int) -> dict[str, Any]:
        """What a page lacks that has so many UTF-16 units."""
        offset, more, length = _part(self.text, known, most)
        told = {
            "number": entry.number,
            "edition": self.edition,
            "offset": offset,
            "text": more,
            "length": length,
            "ended": self.ended,
        }
        return {**told, **_beside(entry)} if not offset or self.ended else told


def _whole(entry: Entry) -> str:
    text = entries.answer(entry, most_chars=ANSWER_CHARS + 1)
    if not entry.ok and (came := entry.prediction.text) and entry.prediction.is_text:
        text = f"{text}\n\n{printable(came[:ANSWER_CHARS])}"
    return text if len(text) <= ANSWER_CHARS else text[:ANSWER_CHARS].removesuffix(CUT) + CUT


def _beside(entry: Entry) -> dict[str, Any]:
    """What is shown with an answer."""
    prediction, prompt = entry.prediction, entry.prompt[:_PROMPT_CHARS]
    cut = "…" if len(prompt) < len(entry.prompt) else ""
    parts = [one_line(prediction.id), *status.times(prediction), *status.measured(prediction)]
    return {
        "prompt": printable(prompt) + cut,
        "page": prediction.page or "",
        "facts": [part for part in parts if part] if entry.phase == "done" else [],
    }


def _part(text: str, known: Any, most: int) -> tuple[int, str, int]:
    """What follows the first `known` UTF-16 units, at most so many; and how many there are."""
    units = text.encode("utf-16-le")
    length = len(units) // 2
    offset = known if isinstance(known, int) and 0 <= known <= length else 0
    end = min(offset + most, length)
    if offset < end < length and 0xD8 <= units[2 * end - 1] < 0xDC:
        end -= 1  # the first half of a character: no cut behind it
    return offset, units[2 * offset : 2 * end].decode("utf-16-le", "replace"), length


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
