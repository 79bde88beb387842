"""Owns the rich view and the bundles it leaves; must not hold anything the model wrote unescaped.

A bundle is text/plain, sanitised text/html, or an image: what reads well in every front end, in a
saved file and on a site that strips styles and scripts. Model text is never sent as text/markdown:
front ends run the scripts in it.
"""

from __future__ import annotations

import base64
import html
from functools import cache
from typing import TYPE_CHECKING, Any

from IPython.display import DisplayHandle, display

from replicate_magic.plain import printable
from replicate_magic.views.answer import Shown, file_facts, file_line, shown
from replicate_magic.views.status import status_line, status_parts

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.views import Answer, Look

Bundle = dict[str, Any]

MARKDOWN_CHARS = 200_000
"""Longer answers are shown as plain text: Markdown takes more than a second a megabyte."""
_MOST_BRACKETS = 5_000
TAIL_CHARS = 8_000
"""How much of a growing answer is shown, so that each update costs the same."""

_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere; margin: 0"
_BLOCK = "padding: 0 var(--jp-code-padding, 5px)"  # in line with what other cells show
_QUIET = (
    "color: var(--jp-ui-font-color2, inherit); font-size: 0.85em; opacity: 0.85; margin-top: 0.6em"
)
_CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 0.9em)"
)
_PROSE = "font-family: var(--jp-content-font-family, inherit); font-size: inherit"
_NATIVE_IMAGES = {"image/png", "image/jpeg"}
_INLINE_IMAGES = {"image/webp", "image/gif"}  # not every tool draws these by their own type


class RichView:
    """Draws under one display id, and ends as a static bundle.

    Args:
        look: how much is shown, and how.
        live: whether to draw while the prediction runs.
    """

    def __init__(self, look: Look, *, live: bool) -> None:
        drawn = look.answer or look.returned
        self.wants_previews = drawn and look.format in {"auto", "image"}
        self._look = look
        self._live = live
        self._handle: DisplayHandle | None = None

    def update(self, prediction: Prediction) -> None:
        """Draw the answer so far and the state."""
        if self._live:
            self._show(_growing_bundle(prediction, self._look))

    def close(self, prediction: Prediction | None, answer: Answer | None = None) -> None:
        """Leave what is to stay."""
        if prediction is None:
            if self._handle:
                self._show({"text/plain": "", "text/html": ""})
            return
        first, *more = final_bundles(prediction, answer, self._look)
        self._show(first)
        for bundle in more:
            display(bundle, raw=True)

    def _show(self, bundle: Bundle) -> None:
        if self._handle is None:
            handle = DisplayHandle()
            display(bundle, raw=True, display_id=handle.display_id)
            self._handle = handle  # not before: an interrupt may come in between
        else:
            self._handle.update(bundle, raw=True)


def final_bundles(prediction: Prediction, answer: Answer | None, look: Look) -> list[Bundle]:
    """What stays: each picture a bundle, then the answer with the status line."""
    pictures: list[Bundle] = []
    body = Shown(kind="text", text="")
    if look.answer:
        body = shown(prediction, answer, look.format)
        if body.kind == "files":
            pictures = [bundle for file in prediction.files if (bundle := _picture(file))]
    if pictures and len(pictures) == len(prediction.files):
        body = Shown(kind="text", text="")
    line = status_line(prediction) if look.status else ""
    if pictures and not body.text and not line:
        return pictures
    return [*pictures, _bundle(body.text, _answer_html(prediction, body, look), line, prediction)]


def answer_bundle(prediction: Prediction) -> Bundle:
    """A prediction shown on its own: its answer; its state where there is no answer to show."""
    from replicate_magic.views import Look

    look = Look(status=not prediction.ok or not prediction.text.strip())
    bundles = final_bundles(prediction, None, look)
    if len(bundles) == 1:
        return bundles[0]
    return {
        "text/plain": "\n".join(bundle["text/plain"] for bundle in bundles),
        "text/html": "".join(map(_as_html, bundles)),
    }


def _as_html(bundle: Bundle) -> str:
    native = next((media_type for media_type in bundle if media_type in _NATIVE_IMAGES), None)
    return _img(native, bundle[native]) if native else str(bundle["text/html"])


def _bundle(text: str, body: str, line: str, prediction: Prediction) -> Bundle:
    status = _status_html(prediction) if line else ""
    return {
        "text/plain": "\n\n".join(part for part in (text.rstrip("\n"), line) if part),
        "text/html": f'<div style="{_BLOCK}">{body}{status}</div>',
    }


def _growing_bundle(prediction: Prediction, look: Look) -> Bundle:
    text = _tail(prediction) if look.answer and look.growing else ""
    line = status_line(prediction) if look.status else ""
    body = _pre(text, font=_PROSE) if text else ""
    return _bundle(text, body, line, prediction)


def _tail(prediction: Prediction) -> str:
    if prediction.shape not in {"chunks", "text", None}:
        return ""
    chunks = prediction.streamed.parts(max(0, len(prediction.streamed) - TAIL_CHARS))
    text = "".join(chunks) if chunks else prediction.text
    return printable(text if len(text) <= TAIL_CHARS else f"…{text[-TAIL_CHARS:]}")


def _status_html(prediction: Prediction) -> str:
    parts = [html.escape(part) for part in status_parts(prediction)]
    if prediction.page:
        href = html.escape(prediction.page, quote=True)
        parts.append(f'<a href="{href}" target="_blank" rel="noopener noreferrer">run</a>')
    return f'<div style="{_QUIET}">{" · ".join(parts)}</div>'


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


def _pre(text: str, font: str = _CODE) -> str:
    """Text as it stands; front ends leave formulas in a `<pre>` alone."""
    return f'<pre style="{_WRAPPED}; {font}">{html.escape(text)}</pre>'


def _picture(file: OutputFile) -> Bundle | None:
    if file.preview is None or file.media_type not in _NATIVE_IMAGES | _INLINE_IMAGES:
        return None
    encoded = base64.b64encode(file.preview).decode()
    plain = file_line(file)
    if file.media_type in _NATIVE_IMAGES:
        return {"text/plain": plain, file.media_type: encoded}
    return {"text/plain": plain, "text/html": _img(file.media_type, encoded)}


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
