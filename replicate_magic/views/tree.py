"""Owns a JSON value as a tree that opens and closes without scripts; must not know whose it is.

It is HTML of nested lists, so that it reads well where styles are stripped. Of a large value the
beginning is shown, and how much more there is: time and size have bounds, whatever the value.
"""

from __future__ import annotations

import html
import json
import re
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import count, one_line, printable
from replicate_magic.views.prose import CODE

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NODES = 1_000
_MOST_CHILDREN, _FIRST_CHILDREN = 50, 10  # the others are folded again
_MOST_DEPTH = 20
_MOST_CHARS, _MOST_CHARS_IN_ALL = 5_000, 100_000  # of texts
_INLINE_CHARS, _HEAD_CHARS = 200, 80  # of a text; of what stands for a longer one
_LINK_CHARS = 2_000
_KEY_CHARS = 100
_OPEN_LINES = 40  # at first; the rest is folded
_FLAT_ITEMS, _FLAT_CHARS = 8, 72  # what stands on one line
_SMALL_LINES, _SMALL_CHARS = 12, 1_000
_MOST_BITS = 4_000  # of integers: Python refuses to write very long ones

_LIST = "list-style: none; margin: 0; padding: 0 0 0 1.2em"
_FLUSH = "list-style: none; margin: 0; padding: 0"
_ITEM = "margin: 0; overflow-wrap: anywhere"
_LEAF = f"{_ITEM}; padding-left: 1em"  # below the words of a summary, not below its triangle
_FAINT = "color: var(--jp-ui-font-color2, inherit)"
_TEXT = "color: var(--jp-mirror-editor-string-color, inherit); white-space: pre-wrap"
_LONG_TEXT = f"{_TEXT}; padding-left: 1em"
_WORD = "color: var(--jp-mirror-editor-number-color, inherit)"
_LINK = re.compile(r"https?://[^\s\"<>\\]+", re.ASCII)


@dataclass(slots=True)
class _Node:
    key: str | int | None
    value: Any
    depth: int = 0
    is_open: bool = True
    children: list[_Node] = field(default_factory=list)


def is_small(value: Any, text: str) -> bool:
    """Whether a value is best shown as its indented text."""
    short = len(text) <= _SMALL_CHARS and text.count("\n") < _SMALL_LINES
    return short or not _is_nested(value)


def tree(value: Any) -> str:
    """A list or an object as safe HTML."""
    root = _Node(None, value)
    _grow(root)
    return f'<div dir="ltr" style="{CODE}; line-height: 1.5">{_Drawing().folded(root)}</div>'


# -- what is shown ------------------------------------------------------------------------------


def _grow(root: _Node) -> None:
    """Give the nodes children, level by level, so that a large one takes no room from its peers."""
    nodes, lines = _MOST_NODES, _OPEN_LINES - _height(root.value)
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        found = islice(_items(node.value), min(_MOST_CHILDREN, nodes))
        node.children = [_Node(key, value, node.depth + 1) for key, value in found]
        nodes -= len(node.children)
        for place, child in enumerate(node.children):
            if _is_nested(child.value) and not _flat(child.value) and child.depth < _MOST_DEPTH:
                is_seen = node.is_open and place <= _FIRST_CHILDREN
                child.is_open = is_seen and _height(child.value) <= lines
                lines -= _height(child.value) if child.is_open else 0
                waiting.append(child)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _height(value: Any) -> int:
    """How many lines it has when it is opened, and what is in it is not."""
    return min(len(value), _FIRST_CHILDREN + 1)


def _items(value: Any) -> Iterable[tuple[str | int, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _flat(value: Any) -> str:
    """A list or an object of a few short values, on one line; else an empty string."""
    if len(value) > _FLAT_ITEMS or not all(
        _is_brief(key) and _is_brief(one) for key, one in _items(value)
    ):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _FLAT_CHARS else ""


def _is_brief(value: Any) -> bool:
    match value:
        case str():
            return len(value) < _FLAT_CHARS and not _LINK.match(value)
        case int():
            return value.bit_length() <= _FLAT_CHARS
    return not _is_nested(value)


# -- how it is drawn ----------------------------------------------------------------------------


class _Drawing:
    """Draws nodes; of texts it has only so many characters to give."""

    def __init__(self) -> None:
        self._chars = _MOST_CHARS_IN_ALL

    def folded(self, node: _Node) -> str:
        """A node with its children below it."""
        items = [self._item(child) for child in node.children]
        rest = len(node.value) - len(items)
        more = f'<li style="{_LEAF}; {_FAINT}">… {rest:,} more</li>' if rest else ""
        if len(items) > _FIRST_CHILDREN + 1:
            items, further = items[:_FIRST_CHILDREN], items[_FIRST_CHILDREN:]
            title = f'<span style="{_FAINT}">… {len(node.value) - _FIRST_CHILDREN:,} more</span>'
            folded = f'<ul style="{_FLUSH}">{"".join(further)}{more}</ul>'
            more = f'<li style="{_ITEM}">{_details(title, folded)}</li>'
        body = f'<ul style="{_LIST}">{"".join(items)}{more}</ul>'
        return _details(_key(node.key) + _size(node.value), body, is_open=node.is_open)

    def _item(self, node: _Node) -> str:
        if node.children:
            return f'<li style="{_ITEM}">{self.folded(node)}</li>'
        if isinstance(node.value, str) and not _is_inline(node.value):
            return f'<li style="{_ITEM}">{self._long_text(_key(node.key), node.value)}</li>'
        return f'<li style="{_LEAF}">{_key(node.key)}{self._value(node.value)}</li>'

    def _value(self, value: Any) -> str:
        if isinstance(value, str):
            return _text(value)
        if _is_nested(value):
            return html.escape(printable(_flat(value))) or _size(value)
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return f'<span style="{_FAINT}">a number of {value.bit_length():,} bits</span>'
        return f'<span style="{_WORD}">{html.escape(json.dumps(value))}</span>'

    def _long_text(self, key: str, value: str) -> str:
        """A text of which the beginning stands for all of it until it is opened."""
        part = value[: min(_MOST_CHARS, self._chars)]
        self._chars -= len(part)
        rest = len(value) - len(part)
        head = html.escape(one_line(value[: 2 * _HEAD_CHARS], limit=_HEAD_CHARS))
        size = f'<span style="{_FAINT}">{len(value):,} characters</span>'
        more = f'<div style="{_LEAF}; {_FAINT}">… {rest:,} more characters</div>' if rest else ""
        body = f'<div style="{_LONG_TEXT}">{html.escape(printable(part))}</div>{more}'
        return _details(f'{key}<span style="{_TEXT}">"{head}"</span> {size}', body)


def _details(summary: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{body}</details>"


def _is_inline(text: str) -> bool:
    return len(text) <= _INLINE_CHARS or (len(text) <= _LINK_CHARS and _is_link(text))


def _is_link(text: str) -> bool:
    return bool(_LINK.fullmatch(text))


def _text(value: str) -> str:
    written = html.escape(json.dumps(printable(value), ensure_ascii=False))
    if not _is_link(value):
        return f'<span style="{_TEXT}">{written}</span>'
    rel = "noopener noreferrer nofollow"
    href = html.escape(value, quote=True)
    return f'<a href="{href}" target="_blank" rel="{rel}">{written}</a>'


def _key(key: str | int | None) -> str:
    if key is None:
        return ""
    if isinstance(key, int):
        return f'<span style="{_FAINT}">{key}:</span> '
    return f"{html.escape(one_line(key[: 2 * _KEY_CHARS], limit=_KEY_CHARS)) or '&quot;&quot;'}: "


def _size(value: Any) -> str:
    """How much a list or an object holds."""
    is_object = isinstance(value, dict)
    opens, closes = "{}" if is_object else "[]"
    held = count(len(value), "key" if is_object else "item") if value else ""
    return f'<span style="{_FAINT}">{opens}{held}{closes}</span>'
