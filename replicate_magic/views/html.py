"""Owns the bundles that stay; must not hold anything the model wrote unescaped.

A bundle is text/plain, sanitised text/html, or an image: what reads well in every front end, in a
saved file and on a site that strips styles and scripts. Model text is never sent as text/markdown:
front ends run the scripts in it.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from IPython.display import display

from replicate_magic.plain import printable
from replicate_magic.views.answer import Shown, file_facts, file_line, shown
from replicate_magic.views.growing import settled_logs
from replicate_magic.views.status import status_line, status_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from markdown_it import MarkdownIt

    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.views import Answer, Look

Bundle = dict[str, Any]

MARKDOWN_CHARS = 200_000
"""Longer answers are shown as they stand: Markdown takes more than a second a megabyte."""
_PLAIN_CHARS = 20_000
"""How much of such an answer is in text/plain beside the HTML, so that each byte is sent once."""
_BLOCK_CHARS = 4_000
_MOST_BRACKETS = 5_000
_LOG_CHARS = 20_000

_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere; margin: 0"
_BLOCK = "padding: 0 var(--jp-code-padding, 5px)"  # in line with what other cells show
_QUIET = "color: var(--jp-ui-font-color2, inherit); font-size: 0.85em"
_LINE = f"{_QUIET}; line-height: 1.8; margin-bottom: 0.4em"
_WHY = (
    "border-left: 3px solid var(--jp-error-color1, #c62828); padding: 0.1em 0.7em; "
    "margin: 0.4em 0; white-space: pre-wrap; overflow-wrap: anywhere"
)
_CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 0.9em)"
)
_UNSEEN = "content-visibility: auto; contain-intrinsic-size: auto 60em"
_COLOURS = {
    "succeeded": "var(--jp-success-color1, #2e7d32)",
    "failed": "var(--jp-error-color1, #c62828)",
    "canceled": "var(--jp-warn-color1, #e65100)",
    "aborted": "var(--jp-warn-color1, #e65100)",
}
_NATIVE_IMAGES = {"image/png", "image/jpeg"}
_INLINE_IMAGES = {"image/webp", "image/gif"}  # not every tool draws these by their own type
_PLAYED = frozenset(
    {"audio/flac", "audio/mpeg", "audio/ogg", "audio/wav", "audio/x-wav", "video/mp4", "video/webm"}
)


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
        text: the answer, safe to print.
        markup: the answer as safe HTML; empty where the text is all there is to show.
        bundles: what is displayed: the status line with the answer, then each picture.
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
    body, pictures = _body(prediction, answer, look)
    line = status_line(prediction, ended=True) if look.status else ""
    markup = _answer_html(prediction, body, look)
    bundles = pictures
    if body.text or line or why or not pictures:
        plain = _plain(body.text.rstrip("\n")), "\n".join(part for part in (line, why) if part)
        bundle = {
            "text/plain": "\n\n".join(part for part in plain if part),
            "text/html": _page(prediction, markup, look, why),
        }
        bundles = [bundle, *pictures]
    shows_more = len(body.text) <= MARKDOWN_CHARS
    return Document(text=body.text, markup=markup if shows_more else "", bundles=bundles)


def _plain(text: str) -> str:
    if len(text) <= MARKDOWN_CHARS:
        return text
    rest = len(text) - _PLAIN_CHARS
    return f"{text[:_PLAIN_CHARS]}…\n\n[{rest:,} more characters are in this output's HTML]"


def _page(prediction: Prediction, markup: str, look: Look, why: str) -> str:
    parts = [
        _line_html(prediction) if look.status else "",
        markup,
        f'<div style="{_WHY}">{html.escape(printable(why))}</div>' if why else "",
        _logs_html(prediction) if look.status and look.answer else "",
    ]
    return f'<div style="{_BLOCK}" dir="auto">{"".join(parts)}</div>'


def _body(prediction: Prediction, answer: Answer | None, look: Look) -> tuple[Shown, list[Bundle]]:
    nothing = Shown(kind="text", text="")
    if not look.answer:
        return nothing, []
    body = shown(prediction, answer, look.format)
    if body.kind != "files":
        return body, []
    pictures = [
        _bundle_of(file) for file in prediction.files if is_picture(file) or is_played(file)
    ]
    return (nothing if len(pictures) == len(prediction.files) else body), pictures


def answer_bundle(prediction: Prediction) -> Bundle:
    """A prediction shown on its own: its answer; its state where there is no answer to show."""
    from replicate_magic.views import Look

    look = Look(status=not prediction.ok or not prediction.text.strip())
    return one_bundle(document(prediction, None, look).bundles)


def one_bundle(bundles: list[Bundle]) -> Bundle:
    """Bundles as one, for where there is only one place."""
    if len(bundles) == 1:
        return bundles[0]
    return {
        "text/plain": "\n".join(bundle["text/plain"] for bundle in bundles),
        "text/html": "".join(map(_as_html, bundles)),
    }


def _as_html(bundle: Bundle) -> str:
    native = next((media_type for media_type in bundle if media_type in _NATIVE_IMAGES), None)
    return _img(native, bundle[native]) if native else str(bundle["text/html"])


def _line_html(prediction: Prediction) -> str:
    parts = [html.escape(part) for part in status_parts(prediction, ended=True)]
    if prediction.page:
        href = html.escape(prediction.page, quote=True)
        parts.append(f'<a href="{href}" target="_blank" rel="noopener noreferrer">run</a>')
    colour = _COLOURS.get(prediction.status, "inherit")
    dot = f'<span style="color: {colour}">●</span>'
    return f'<div style="{_LINE}">{dot} {" · ".join(parts)}</div>'


def _logs_html(prediction: Prediction) -> str:
    """The logs, folded; of long ones the end."""
    logs = settled_logs(prediction.logs)
    if not logs.strip():
        return ""
    shown_logs = logs if len(logs) <= _LOG_CHARS else f"…{logs[-_LOG_CHARS:]}"
    return f'<details style="{_QUIET}"><summary>logs</summary>{_pre(shown_logs)}</details>'


def _answer_html(prediction: Prediction, body: Shown, look: Look) -> str:
    if not body.text:
        return ""
    if body.kind == "files":
        return "".join(f"<div>{_link(file)}</div>" for file in prediction.files)
    if body.kind == "text" and look.format == "html":
        return _sanitised(body.text)
    if body.kind == "text" and look.format in {"auto", "markdown"}:
        return _markdown(body.text) if _is_quick(body.text) else _pre(body.text)
    return _pre(body.text)


def _pre(text: str) -> str:
    """Text as it stands; front ends leave formulas in a `<pre>` alone.

    HTML drops a line's end right behind `<pre>`, so each begins with one that is not the text's.
    """
    if len(text) <= MARKDOWN_CHARS:
        return f'<pre style="{_WRAPPED}; {_CODE}">\n{html.escape(text)}</pre>'
    style = f"{_WRAPPED}; {_CODE}; {_UNSEEN}"
    return "".join(f'<pre style="{style}">\n{html.escape(block)}</pre>' for block in _blocks(text))


def _blocks(text: str) -> Iterator[str]:
    """A long text in blocks of lines: pages lay out only those in sight."""
    start = 0
    while start < len(text):
        newline = text.find("\n", start + _BLOCK_CHARS, start + 2 * _BLOCK_CHARS)
        blank = text.rfind(" ", start + _BLOCK_CHARS, start + 2 * _BLOCK_CHARS)
        end = max(newline, blank if newline < 0 else -1) + 1 or start + 2 * _BLOCK_CHARS
        yield text[start:end]
        start = end


def is_picture(file: OutputFile) -> bool:
    """Whether a file is a picture that front ends can draw, and its bytes are here."""
    return file.preview is not None and file.media_type in _NATIVE_IMAGES | _INLINE_IMAGES


def is_played(file: OutputFile) -> bool:
    """Whether a file is a sound or a film that front ends can play, and its bytes are here."""
    return file.preview is not None and file.media_type in _PLAYED


def _bundle_of(file: OutputFile) -> Bundle:
    """A picture, a sound or a film on its own."""
    media_type = str(file.media_type)
    encoded = base64.b64encode(file.preview or b"").decode()
    plain = file_line(file)
    if media_type in _NATIVE_IMAGES:
        return {"text/plain": plain, media_type: encoded}
    if media_type in _PLAYED:
        tag, source = media_type.partition("/")[0], f"data:{media_type};base64,{encoded}"
        player = f'<{tag} controls src="{source}" style="max-width: 100%"></{tag}>'
        return {"text/plain": plain, "text/html": player}
    return {"text/plain": plain, "text/html": _img(media_type, encoded)}


def _img(media_type: str, encoded: str) -> str:
    source = f"data:{media_type};base64,{encoded}"
    return f'<img src="{source}" alt="output" style="max-width: 100%">'


def _link(file: OutputFile) -> str:
    if not file.url.startswith(("https://", "http://")):
        return html.escape(file_line(file))
    label = href = html.escape(printable(file.url), quote=True)
    anchor = f'<a href="{href}" target="_blank" rel="noopener noreferrer">{label}</a>'
    return f"{anchor} ({html.escape(file_facts(file))})" if file.size_bytes is not None else anchor


def _is_quick(text: str) -> bool:
    """Brackets that close nothing cost quadratic time."""
    return len(text) <= MARKDOWN_CHARS and text.count("[") <= _MOST_BRACKETS


def _markdown(text: str) -> str:
    return _sanitised(_renderer().render(text))


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("js-default", {"breaks": True}).disable("image")


def _sanitised(markup: str) -> str:
    """HTML without scripts, styles, forms and pictures: a fetched picture would tell who reads."""
    import nh3

    return nh3.clean(
        markup,
        tags=nh3.ALLOWED_TAGS - {"img"},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
