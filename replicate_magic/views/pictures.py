"""Owns how the files of an answer stand in a page: a grid, players, links; must not shrink them.

Styles are inline, and a page without them still reads well: some sites take them away. Each file is
one click away: where it was saved, if a page finds it there, else where it lay.
"""

from __future__ import annotations

import base64
import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicate_magic.plain import count, one_line
from replicate_magic.views.answer import address, file_facts, file_line, file_name, place
from replicate_magic.views.previews import NATIVE, bytes_of, previews
from replicate_magic.views.prose import QUIET
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replicate_magic.prediction import OutputFile
    from replicate_magic.views.previews import Preview

_PLAYED = frozenset(
    {"audio/flac", "audio/mpeg", "audio/ogg", "audio/wav", "audio/x-wav", "video/mp4", "video/webm"}
)
_PLAYER_BYTES, _PLAYERS_BYTES = 1_000_000, 4_000_000  # of one, and of all
_MOST_LINES = 100
_WIDTHS_PX = (640, 320, 260, 220, 180, 160)  # a picture's, by how many there are in a row
_LEAST_PX, _GAP_PX = 140, 8
_LINE = f"{QUIET}; line-height: 1.6; overflow-wrap: anywhere"
_LARGE = "max-width: 100%; height: auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The files of an answer as they are shown.

    Attributes:
        pictures: those within the page, as safe HTML.
        others: players and links, as safe HTML; also those behind the pictures.
        alone: the only picture, for a display of its own, or `None`.
        is_all: whether there are pictures only.
    """

    pictures: str = ""
    others: str = ""
    alone: dict[str, Any] | None = None
    is_all: bool = False


def drawn(files: Sequence[OutputFile], most_bytes: int) -> Drawn:
    """The files of an answer as they are shown.

    Args:
        files: them.
        most_bytes: how much of the notebook one picture may be.
    """
    found = previews(files, most_bytes)
    pictures = {preview.file.url: preview for preview in found.drawn}
    rest = [file for file in files if file.url not in pictures]
    others = _players_and_links(rest) + _quiet(html.escape(found.hint))
    match list(pictures.values()):
        case []:
            return Drawn(pictures="", others=others)
        case [only]:
            line = _link(only.file, only.change)
            others = (f"<div>{line}</div>" if rest else _quiet(line)) + others
            if only.media_type not in NATIVE:
                shown = _picture(only, _LARGE)
                return Drawn(pictures=shown, others=others, is_all=not rest)
            encoded = base64.b64encode(only.data).decode()
            alone = {"text/plain": file_line(only.file), only.media_type: encoded}
            return Drawn(pictures="", others=others, alone=alone, is_all=not rest)
        case several:
            others = _folded(several) + others
            return Drawn(pictures=_grid(several), others=others, is_all=not rest)


# -- pictures ---------------------------------------------------------------------------------


def _grid(pictures: list[Preview]) -> str:
    """Rows that are as even as can be, of fewer pictures where there is less room."""
    columns = len(pictures) if len(pictures) <= 3 else math.ceil(len(pictures) ** 0.5)
    columns = min(columns, len(_WIDTHS_PX))
    width = _WIDTHS_PX[columns - 1]
    most = columns * (width + _GAP_PX) - _GAP_PX
    least = f"max({_LEAST_PX}px, calc(100% / {columns} - {_GAP_PX}px))"
    style = (
        f"display: grid; grid-template-columns: repeat(auto-fit, minmax({least}, 1fr)); "
        f"gap: {_GAP_PX}px; align-items: center; max-width: {most}px; margin-bottom: 0.4em"
    )
    one = (
        f"display: block; width: auto; height: auto; max-width: 100%; "
        f"max-height: {width * 5 // 4}px; margin: 0 auto; border-radius: 3px"
    )
    return f'<div style="{style}">{"".join(_picture(each, one, width) for each in pictures)}</div>'


def _picture(preview: Preview, style: str, width: int | None = None) -> str:
    """A picture that leads to its file.

    Args:
        preview: the picture.
        style: how it is laid out.
        width: in pixels, for a page without styles.
    """
    file = preview.file
    source = f"data:{preview.media_type};base64,{base64.b64encode(preview.data).decode()}"
    name = html.escape(file_name(file), quote=True)
    title = f"{name} ({html.escape(file_facts(file), quote=True)})"
    sized = f' width="{width}"' if width else ""
    image = f'<img src="{source}" alt="{name}" title="{title}"{sized} style="{style}">'
    return _anchor(address(file), image)


def image_tag(media_type: str, encoded: str) -> str:
    """A picture that stands alone, within HTML."""
    return f'<img src="data:{media_type};base64,{encoded}" alt="output" style="{_LARGE}">'


def _folded(pictures: list[Preview]) -> str:
    """The files behind pictures."""
    sizes = [preview.file.size_bytes for preview in pictures]
    parts = [count(len(pictures), "file"), size(sum(known for known in sizes if known))]
    parts += ["shown smaller"] if any(preview.change for preview in pictures) else []
    lines = "".join(f"<div>{_link(each.file, each.change)}</div>" for each in pictures)
    return f'<details style="{_LINE}"><summary>{" · ".join(parts)}</summary>{lines}</details>'


# -- all other files --------------------------------------------------------------------------


def _players_and_links(files: Iterable[OutputFile]) -> str:
    parts, left_bytes = [], _PLAYERS_BYTES
    for file in files:
        most_bytes = min(_PLAYER_BYTES, left_bytes) if file.media_type in _PLAYED else 0
        if data := bytes_of(file, most_bytes):
            left_bytes -= len(data)
            parts.append(_player(file, data) + _quiet(_link(file)))
        else:
            parts.append(f'<div style="overflow-wrap: anywhere">{_link(file)}</div>')
    rest = len(parts) - _MOST_LINES
    return "".join(parts[:_MOST_LINES]) + (_quiet(f"… {rest:,} more") if rest > 0 else "")


def _player(file: OutputFile, data: bytes) -> str:
    media_type = str(file.media_type)
    tag, source = media_type.partition("/")[0], base64.b64encode(data).decode()
    return (
        f'<{tag} controls src="data:{media_type};base64,{source}" style="max-width: 100%"></{tag}>'
    )


def _link(file: OutputFile, change: str = "") -> str:
    """A file's name that leads to it, what is known of it, and where it was saved.

    Args:
        file: the file.
        change: what is drawn of it, where that is not all.
    """
    href, saved = address(file), place(file.path) if file.path else ""
    is_elsewhere = "://" in href  # of what was saved in reach of a page, the path is the address
    if not saved:
        label = one_line(file.url, limit=60 if file.url.startswith("data:") else 2_000)
    else:
        label = file_name(file) if is_elsewhere else saved
    facts = file_facts(file) if file.size_bytes is not None else ""
    facts += f"; {change} here" if change else ""
    line = _anchor(href, html.escape(label)) + (f" ({html.escape(facts)})" if facts else "")
    return f"{line} · {html.escape(saved)}" if saved and is_elsewhere else line


def _anchor(href: str, markup: str) -> str:
    if not href:
        return markup
    target = html.escape(href, quote=True)
    return f'<a href="{target}" target="_blank" rel="noopener noreferrer">{markup}</a>'


def _quiet(markup: str) -> str:
    return f'<div style="{_LINE}">{markup}</div>' if markup else ""
