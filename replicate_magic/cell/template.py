"""Owns `{{expression}}` in text; must not evaluate anything itself: that is passed in.

`{{…}}` counts where its inside is a Python expression. Anything else between braces, such as
`{{#each}}`, LaTeX or JSON, stays as it is. Results are never expanded again.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import TemplateError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

Evaluate = Callable[[str], Any]
"""From an expression's source to its value in the user's namespace; raises what Python does."""

_OPEN, _CLOSE = "{{", "}}"
_MOST_CHARS = 20_000  # of an expression, and
_MOST_NESTED = 30  # of its brackets: text that is full of `{{` must not cost its length squared
_PAIRS = {")": "(", "]": "[", "}": "{"}
_PIECE = re.compile(  # a string, a bracket, or a quote that is not closed
    r""""{3}(?:\\.|[^\\])*?"{3}|'{3}(?:\\.|[^\\])*?'{3}"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|["'()\[\]{}]""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A `{{…}}` that holds a Python expression.

    Attributes:
        source: the expression, stripped.
        start: where `{{` begins in the text.
        end: just behind `}}`.
    """

    source: str
    start: int
    end: int


def expression_at(text: str, start: int) -> Expression | None:
    """The expression whose `{{` stands at `start`, or `None` where it is no Python expression.

    Its end is the first `}}` that stands in no bracket and no string of it.
    """
    close = _close_of(text, start + len(_OPEN))
    if close is None:
        return None
    source = text[start + len(_OPEN) : close].strip()
    if not _is_expression(source):
        return None
    return Expression(source=source, start=start, end=close + len(_CLOSE))


def _close_of(text: str, start: int) -> int | None:
    nested: list[str] = []
    for found in _PIECE.finditer(text, start, start + _MOST_CHARS):
        piece = found[0]
        if piece in {"(", "[", "{"}:
            if len(nested) == _MOST_NESTED:
                return None
            nested.append(piece)
        elif piece in _PAIRS and nested:
            if nested.pop() != _PAIRS[piece]:
                return None
        elif piece in _PAIRS:
            return found.start() if text.startswith(_CLOSE, found.start()) else None
        elif len(piece) == 1:
            return None  # prose with an apostrophe
    return None


def expressions(text: str) -> Iterator[Expression]:
    """All expressions of a text, from left to right."""
    position = text.find(_OPEN)
    while position >= 0:
        found = expression_at(text, position)
        if found:
            yield found
        position = text.find(_OPEN, found.end if found else position + 1)


def expand(text: str, evaluate: Evaluate) -> str:
    """The text with each expression replaced by the `str` of its value.

    Raises:
        TemplateError: an expression could not be evaluated.
    """
    parts: list[str] = []
    done = 0
    for found in expressions(text):
        parts += [text[done : found.start], value_of(found.source, lambda s: str(evaluate(s)))]
        done = found.end
    return "".join([*parts, text[done:]])


def whole_expression(text: str) -> Expression | None:
    """The expression that a text consists of, if it is one and nothing else."""
    found = expression_at(text, 0) if text.startswith(_OPEN) else None
    return found if found and found.end == len(text) else None


def value_of(source: str, evaluate: Evaluate) -> Any:
    """The value of one expression.

    Raises:
        TemplateError: it could not be evaluated; the cause is chained.
    """
    try:
        return evaluate(source)
    except Exception as error:
        shown = f"{{{{{one_line(source, limit=80)}}}}}"
        raise TemplateError(
            f"{shown}: {type(error).__name__}: {one_line(str(error))}. Nothing was sent. "
            "Text that is meant as it stands goes with --raw."
        ) from error


def _is_expression(source: str) -> bool:
    try:
        ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
