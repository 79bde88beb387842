"""Owns the bundles that stay; must not hold anything the model wrote unescaped.

A bundle is text/plain, sanitised text/html, or an image: what reads well in every front end, in a
saved file and on a site that strips styles and scripts. Model text is never sent as text/markdown:
front ends run the scripts in it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.display import display

from replicate_magic.failure import short_why
from replicate_magic.views.answer import CUT, Shown, shown
from replicate_magic.views.block import block, quiet_line, trouble
from replicate_magic.views.growing import settled_logs
from replicate_magic.views.pictures import Drawn, drawn, image_tag
from replicate_magic.views.previews import NATIVE, PICTURES
from replicate_magic.views.prose import MARKDOWN_CHARS, QUIET, markdown, pre, sanitised
from replicate_magic.views.status import status_line, status_parts
from replicate_magic.views.tree import is_small, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.views import Answer, Look

Bundle = dict[str, Any]

_PLAIN_CHARS = 20_000
"""How much of a long answer is in text/plain beside the HTML, so that each byte is sent once."""
_LOG_CHARS = 20_000

_COLOURS = {
    "succeeded": "var(--jp-success-color1, #2e7d32)",
    "failed": "var(--jp-error-color1, #c62828)",
    "canceled": "var(--jp-warn-color1, #e65100)",
    "aborted": "var(--jp-warn-color1, #e65100)",
}


class StaticView:
    """Shows nothing until the end: for a file that is executed with nobody watching.

    Args:
        look: how much is shown, and how.
    """

    def __init__(self, look: Look) -> None:
        self.wants_previews = draws_pictures(look)
        self._look = look

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Nobody is there to cancel."""

    def update(self, prediction: Prediction) -> None:
        """Show nothing."""

    def close(
        self, prediction: Prediction | None, answer: Answer | None = None, *, why: str = ""
    ) -> None:
        """Show what is to stay."""
        if prediction is not None:
            for bundle in document(prediction, answer, self._look, why=why).bundles:
                display(bundle, raw=True)


def draws_pictures(look: Look) -> bool:
    """Whether output files are drawn as pictures."""
    return (look.answer or look.returned) and look.format in {"auto", "image"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What stays of a prediction.

    Attributes:
        text: the answer, safe to print; pictures have none.
        markup: the answer as safe HTML, without pictures; empty where the text is all there is.
        bundles: what is displayed: the status line with the answer, then a picture that is alone.
    """

    text: str
    markup: str
    bundles: list[Bundle]


def document(
    prediction: Prediction, answer: Answer | None, look: Look, *, why: str = ""
) -> Document:
    """What is to stay.

    Args:
        prediction: the last snapshot.
        answer: what is shown in place of the output.
        look: how much is shown, and how.
        why: what went wrong, in a line or two.
    """
    body, files = _body(prediction, answer, look)
    line = status_line(prediction, ended=True) if look.status else ""
    markup = files.others if body.kind == "files" else _answer_html(body, look)
    text = "" if files.alone and files.is_all else body.text  # it has that text itself
    bundles = [files.alone] if files.alone else []
    if text or line or why or not bundles:
        plain = _plain(text.rstrip("\n")), "\n".join(part for part in (line, why) if part)
        bundle = {
            "text/plain": "\n\n".join(part for part in plain if part),
            "text/html": _page(prediction, files.pictures + markup, look, why),
        }
        bundles = [bundle, *bundles]
    is_long = body.kind == "text" and len(body.text) > MARKDOWN_CHARS
    return Document(
        text="" if files.is_all else body.text,
        markup="" if is_long else markup,
        bundles=bundles,
    )


def _plain(text: str) -> str:
    if len(text) <= MARKDOWN_CHARS:
        return text
    if text.endswith(CUT):
        return text[:_PLAIN_CHARS] + CUT
    rest = len(text) - _PLAIN_CHARS
    return f"{text[:_PLAIN_CHARS]}…\n\n[{rest:,} more characters are in this output's HTML]"


def _page(prediction: Prediction, markup: str, look: Look, why: str) -> str:
    parts = [
        _line_html(prediction) if look.status else "",
        markup,
        trouble(why) if why else "",
        _logs_html(prediction) if look.status and look.answer else "",
    ]
    return block("".join(parts), by_text=True)


def _body(prediction: Prediction, answer: Answer | None, look: Look) -> tuple[Shown, Drawn]:
    if not look.answer:
        return Shown(kind="text", text=""), Drawn()
    body = shown(prediction, answer, look.format, most_chars=MARKDOWN_CHARS)
    if body.kind != "files":
        return body, Drawn()
    return body, drawn(prediction.files, look.preview_bytes)


def _answer_html(body: Shown, look: Look) -> str:
    """An answer that is no file."""
    if not body.text:
        return ""
    if body.kind == "json":
        is_plain = look.format == "text" or is_small(body.value, body.text)
        return pre(body.text) if is_plain else tree(body.value)
    match look.format:
        case "html":
            return sanitised(body.text)
        case "auto" | "markdown":
            return markdown(body.text)
    return pre(body.text)


def is_picture(file: OutputFile) -> bool:
    """Whether a file is a picture that front ends can draw, and its bytes are here."""
    return file.preview is not None and file.media_type in PICTURES


def answer_bundle(prediction: Prediction) -> Bundle:
    """A prediction shown on its own: its answer; its state where that is all, or it is `whole`."""
    from replicate_magic.views import Look

    is_value = prediction.output is not None and not prediction.is_text
    is_told = prediction.whole or not (prediction.ok and (is_value or prediction.text.strip()))
    why = short_why(prediction) if prediction.whole and prediction.final else ""
    why = "" if prediction.ok else why
    return one_bundle(document(prediction, None, Look(status=is_told), why=why).bundles)


def one_bundle(bundles: list[Bundle]) -> Bundle:
    """Bundles as one, for where there is only one place."""
    if len(bundles) == 1:
        return bundles[0]
    return {
        "text/plain": "\n".join(bundle["text/plain"] for bundle in bundles),
        "text/html": "".join(map(_as_html, bundles)),
    }


def _as_html(bundle: Bundle) -> str:
    native = next((media_type for media_type in bundle if media_type in NATIVE), None)
    return image_tag(native, bundle[native]) if native else str(bundle["text/html"])


def _line_html(prediction: Prediction) -> str:
    parts = [html.escape(part) for part in status_parts(prediction, ended=True)]
    if prediction.page:
        href = html.escape(prediction.page, quote=True)
        parts.append(f'<a href="{href}" target="_blank" rel="noopener noreferrer">run</a>')
    colour = _COLOURS.get(prediction.status, "inherit")
    dot = f'<span style="color: {colour}">●</span>'
    return quiet_line(f"{dot} {' · '.join(parts)}")


def _logs_html(prediction: Prediction) -> str:
    """The logs, folded; of long ones the end."""
    logs = settled_logs(prediction.logs)
    if not logs.strip():
        return ""
    shown_logs = logs if len(logs) <= _LOG_CHARS else f"…{logs[-_LOG_CHARS:]}"
    return f'<details style="{QUIET}"><summary>logs</summary>{pre(shown_logs)}</details>'
