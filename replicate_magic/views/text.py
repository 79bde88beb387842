"""Owns the text view: a terminal, a console, a script's output; must not use HTML.

Output is printed as it comes; text from outside has its control characters made visible.
"""

from __future__ import annotations

import os
import shutil
import time
import unicodedata
from typing import TYPE_CHECKING, TextIO

from replicate_magic.views.answer import shown
from replicate_magic.views.growing import GrowingAnswer
from replicate_magic.views.status import (
    begun,
    duration,
    live_speed,
    moved,
    name,
    passed,
    state,
    status_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.prediction import Moving, Prediction
    from replicate_magic.views import Answer, Look


_COLOURS = {"succeeded": 32, "failed": 31, "canceled": 33, "aborted": 33}  # of SGR (ECMA-48)


class TextView:
    """Prints what is new; the end is the status line.

    Args:
        out: where to print.
        look: how much is shown, and how.
        live: whether to print while the prediction runs.
        rewrites: whether a line can be written over, as in a terminal, to tell of the waiting;
            else only what takes long is told, once.
    """

    wants_previews = False

    def __init__(self, out: TextIO, look: Look, *, live: bool, rewrites: bool = False) -> None:
        self._out = out
        self._look = look
        self._streams = live and look.grows
        self._answer = GrowingAnswer()
        self._text: list[str] = []
        self._rewrites = rewrites and look.status
        self._tells_once = live and look.status and not rewrites
        self._told_once: set[str] = set()
        self._waiting = ""  # the line that is to be written over
        self._handed: tuple[Prediction | None, float] = None, 0.0

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Whoever sits at a terminal interrupts."""

    def update(self, prediction: Prediction) -> None:
        """Print what has come since, or what is being waited for."""
        if self._streams and (new := self._answer.more(prediction)):
            self._text.append(new)
            self._clear()
            self._write(new)
        if self._rewrites and not self._text:
            self._tell_waiting(prediction)
        if self._tells_once and prediction.moving and not self._text:
            self._tell_once(prediction.moving)

    def close(
        self,
        prediction: Prediction | None,
        answer: Answer | None = None,
        *,
        why: str = "",  # noqa: ARG002  (the error is raised, and printed by whoever runs the cell)
    ) -> None:
        """Print the rest of the answer, and the status line."""
        self._clear()
        if prediction is None:
            if self._text:
                self._write("\n")
            return
        if self._look.answer:
            self._finish_answer(prediction, answer)
        if self._look.status:
            self._write(f"{self._last_line(prediction)}\n")

    def _last_line(self, prediction: Prediction) -> str:
        line = status_line(prediction, ended=True)
        colour = _COLOURS.get(prediction.status)
        if (
            not self._rewrites or colour is None or os.environ.get("NO_COLOR")
        ):  # https://no-color.org
            return line
        return line.replace(
            f" {prediction.status}", f" \x1b[{colour}m{prediction.status}\x1b[0m", 1
        )

    def _tell_waiting(self, prediction: Prediction) -> None:
        if self._handed[0] is not prediction:
            self._handed = prediction, time.monotonic()
        seconds = passed(prediction)[-1][1] + (time.monotonic() - self._handed[1])
        word, files = state(prediction), moved(prediction.moving)
        told = files if files and files[0].startswith(f"{word} ") else [word, *files]
        parts = [name(prediction), *told, duration(seconds), live_speed(prediction)]
        self._clear()
        self._waiting = _cut(
            " · ".join(filter(None, parts)), shutil.get_terminal_size().columns - 1
        )
        self._write(self._waiting)

    def _tell_once(self, moving: Moving) -> None:
        if moving.direction not in self._told_once:
            self._told_once.add(moving.direction)
            self._write(f"{begun(moving)}\n")

    def _clear(self) -> None:
        if self._waiting:
            self._write("\r\x1b[K")
            self._waiting = ""

    def _finish_answer(self, prediction: Prediction, answer: Answer | None) -> None:
        streamed = "".join(self._text)
        final = shown(prediction, answer, self._look.format).text
        if streamed and final.startswith(streamed):
            final = final[len(streamed) :]
        elif streamed and final:
            self._write("\n\n[the final answer:]\n")
        self._write(final)
        if streamed or final:
            self._write("\n" if (final or streamed).endswith("\n") else "\n\n")

    def _write(self, text: str) -> None:
        encoding = getattr(self._out, "encoding", None) or "utf-8"  # a pipe's may have no `·`
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()


def _cut(line: str, columns: int) -> str:
    """What fits: a longer line would wrap, and only its end be written over."""
    width = 0
    for number, character in enumerate(line):
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width > columns:
            return line[:number]
    return line
