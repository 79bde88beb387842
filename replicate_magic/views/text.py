"""Owns the text view: a terminal, a console, a script's output; must not use HTML.

Output is printed as it comes; text from outside has its control characters made visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from replicate_magic.plain import printable
from replicate_magic.views.answer import shown
from replicate_magic.views.status import name, state, status_line

if TYPE_CHECKING:
    from replicate_magic.prediction import Prediction
    from replicate_magic.views import Answer, Look


_WAITING_CHARS = 78  # a longer line would wrap, and only its end be written over


class TextView:
    """Prints what is new; the end is the status line.

    Args:
        out: where to print.
        look: how much is shown, and how.
        live: whether to print while the prediction runs.
        rewrites: whether a line can be written over, as in a terminal, to tell of the waiting.
    """

    wants_previews = False

    def __init__(self, out: TextIO, look: Look, *, live: bool, rewrites: bool = False) -> None:
        self._out = out
        self._look = look
        drawn = look.answer and look.growing and look.format in {"auto", "text", "markdown"}
        self._streams = live and drawn
        self._printed = 0  # chunks
        self._text: list[str] = []
        self._rewrites = rewrites and look.status
        self._waiting = ""  # the line that is to be written over
        self._held = ""  # a CR, until it is known whether it begins a CRLF

    def update(self, prediction: Prediction) -> None:
        """Print the chunks that have come since, or what is being waited for."""
        self._tell_waiting(prediction)
        if not self._streams or len(prediction.streamed) <= self._printed:
            return
        if prediction.shape not in {"chunks", "text", None}:
            return
        came = "".join([self._held, *prediction.streamed.parts(self._printed)])
        self._held = "\r" if came.endswith("\r") else ""
        new = printable(came.removesuffix("\r"))
        self._printed = len(prediction.streamed)
        self._text.append(new)
        self._clear()
        self._write(new)

    def close(self, prediction: Prediction | None, answer: Answer | None = None) -> None:
        """Print the rest of the answer, and the status line."""
        self._clear()
        if prediction is None:
            if self._text:
                self._write("\n")
            return
        if self._look.answer:
            self._finish_answer(prediction, answer)
        if self._look.status:
            self._write(f"{status_line(prediction)}\n")

    def _tell_waiting(self, prediction: Prediction) -> None:
        if self._rewrites and not self._text:
            self._clear()
            self._waiting = f"{name(prediction)} · {state(prediction)}"[:_WAITING_CHARS]
            self._write(self._waiting)

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
