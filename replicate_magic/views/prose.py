"""Owns text as safe HTML: as it stands, as Markdown, as HTML; must not know whose text it is.

Model text is hostile. It is escaped, or sanitised by a library made for that.
"""

from __future__ import annotations

import html
import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import MarkdownIt

MARKDOWN_CHARS = 200_000
"""Longer texts are shown as they stand: Markdown takes more than a second a megabyte."""
QUIET = "color: var(--jp-ui-font-color2, inherit); font-size: 0.85em"
CODE = (
    "font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 0.9em)"
)
NO_FORMULAS = "tex2jax_ignore mathjax_ignore"
"""Pages typeset what stands between two `$`, but not in an element of these classes."""
_FORMULAS = "tex2jax_process mathjax_process"  # nor in one within it that is not of these
_TAG = re.compile(r'<(?:"[^"]*"|[^">])*>')
# A page typesets with commands that fetch (`\unicode[x;background:url(…)]{1}`), link, lie over the
# page, or change what the reader's own formulas mean.
_ACTING = re.compile(
    r"\\(?:bbox|class|cssId|csname|data|[egx]?def|[dD]eclare\w*|definecolor|fcolorbox|href|html\w*"
    r"|include\w*|input|let|mathtip|mml\w*|Newextarrow|(?:new(?!line)|provide|renew)\w+|require|setOptions"
    r"|special|style|texttip|toggle|tooltip|unicode|url)(?![a-zA-Z])"
)
_BLOCK_CHARS = 4_000
_MOST_BRACKETS = 5_000
_WRAPPED = "white-space: pre-wrap; overflow-wrap: anywhere; margin: 0"
_UNSEEN = "content-visibility: auto; contain-intrinsic-size: auto 60em"


def pre(text: str) -> str:
    """Text as it stands; front ends leave formulas in a `<pre>` alone.

    HTML drops a line's end right behind `<pre>`, so each begins with one that is not the text's.
    """
    if len(text) <= MARKDOWN_CHARS:
        return f'<pre style="{_WRAPPED}; {CODE}">\n{html.escape(text)}</pre>'
    style = f"{_WRAPPED}; {CODE}; {_UNSEEN}"
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


def markdown(text: str) -> str:
    """Markdown as HTML; as it stands where reading it would take long."""
    is_quick = text.count("[") <= _MOST_BRACKETS  # those that close nothing cost quadratic time
    if len(text) > MARKDOWN_CHARS or not is_quick:
        return pre(text)
    return sanitised(_renderer().render(text))


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("js-default", {"breaks": True}).disable("image")


def sanitised(markup: str) -> str:
    """HTML without scripts, styles, forms and pictures: a fetched picture would tell who reads.

    Its formulas are typeset within `NO_FORMULAS` too, where they do no more than to say something.
    """
    import nh3

    clean = nh3.clean(
        markup,
        tags=nh3.ALLOWED_TAGS - {"img"},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    if "\\" in clean and _ACTING.search(html.unescape(_TAG.sub("", clean))):
        return clean
    return f'<div class="{_FORMULAS}">{clean}</div>'
