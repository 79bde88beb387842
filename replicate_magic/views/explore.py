"""Owns the explorer's page: what it is sent of a table, and what it says back.

The page's side is `explore.js`. Each table has an edition, one more than the one before; a frame
holds the rows in which it differs from the edition it is based on. A page that has missed an
edition, or comes late, is sent the whole. Only what is shown is sent, and of long texts the start.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import anywidget
from IPython.display import DisplayHandle, display
from traitlets import Dict

from replicate_magic.errors import ReplicateMagicError
from replicate_magic.plain import one_line, printable
from replicate_magic.prediction import Prediction
from replicate_magic.views import status, widgets
from replicate_magic.views.answer import pretty, shown
from replicate_magic.views.block import block, quiet_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.views.html import Bundle

Mode = Literal["filter", "map", "all"]
Row = tuple[int, tuple[str, ...]]
"""The position of the run that a row stands for, or a negative number; and its cells."""

MOST_ROWS = 500
"""How many rows a page shows at most: whoever wants more of them has the frame."""
_ROW_CHARS = 700
_PROGRAM_CHARS = 10_000
_TEXT_CHARS = 10_000
_JSON_CHARS = 30_000
_STATIC_ROWS = 10
_STATIC_CHARS = 60
_UNBROKEN_CHARS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked of the runs.

    Attributes:
        program: a jq program; blank for all runs.
        mode: whether it tells which runs stay, makes rows of each, or of all at once.
        number: higher than that of any question before.
    """

    program: str
    mode: Mode
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A question's answer, as far as it is known.

    Attributes:
        number: the question's.
        columns: the headings of the cells; a row may have fewer cells.
        rows: the rows that are shown: the first ones found.
        matched: how many rows there are.
        unit: what a row is: a run, or a row that a program made.
        searched: how many runs the program has seen.
        total: how many runs there are.
        error: what is wrong with the program; then the rows may be those of an older question.
        note: what else is to be known, such as how many runs the program failed on.
        done: whether nothing more will come.
    """

    number: int
    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    matched: int = 0
    searched: int = 0
    total: int = 0
    error: str = ""
    note: str = ""
    unit: Literal["run", "row"] = "run"
    done: bool = True

    @property
    def can_show_more(self) -> bool:
        """Whether the page may ask for more of the rows."""
        return len(self.rows) < min(self.matched, MOST_ROWS)


NOTHING = Findings(number=0)


class Explore(anywidget.AnyWidget):
    """The widget: the newest table, and the way to the page.

    Its trait is read only to tell a page that comes late the whole; frames go as messages.
    """

    _esm = widgets.page_side("explore", "js")
    _css = widgets.page_side("explore", "css")
    table = Dict().tag(sync=True, to_json=lambda _, explore: explore.whole())

    def __init__(self, hear: Callable[[Mapping[str, Any]], None]) -> None:
        self.question = Question(program="", mode="filter", number=0)
        self._answered = self.question
        self._findings = NOTHING
        self._edition = 0
        super().__init__()
        self.on_msg(lambda _explore, content, _buffers: hear(content))

    @property
    def findings(self) -> Findings:
        """What the page was told last."""
        return self._findings

    def tell(self, findings: Findings) -> None:
        """Send the page what is new; nothing where it has seen a newer question's answer."""
        if findings.number < self._findings.number:
            return
        if findings.number == self.question.number:
            self._answered = self.question
        known = self._findings.rows
        same = len(known) if findings.rows[: len(known)] == known else 0
        self._findings, self._edition = findings, self._edition + 1
        fresh = {"base": self._edition - 1, "rows": [same, _sent(findings, since=same)]}
        self.send({"table": self._facts() | fresh})

    def catch_up(self) -> None:
        """Send the page all that is shown."""
        self.send({"table": self._facts() | {"rows": [0, _sent(self._findings)]}})

    def whole(self) -> dict[str, Any]:
        """All that is shown."""
        return self._facts() | {"rows": _sent(self._findings)}

    def _facts(self) -> dict[str, Any]:
        """What is known of the table besides its rows."""
        found, question = self._findings, self._answered
        return {
            "edition": self._edition,
            "asked": self.question.number,
            "number": found.number,
            "program": printable(question.program),
            "mode": question.mode,
            "columns": [one_line(name, limit=_cell_chars(found)) for name in found.columns],
            "matched": found.matched,
            "searched": found.searched,
            "total": found.total,
            "error": printable(found.error)[:_TEXT_CHARS],
            "note": one_line(found.note, limit=500),
            "unit": found.unit,
            "done": found.done,
            "more": found.can_show_more,
        }


def _sent(findings: Findings, *, since: int = 0) -> list[list[Any]]:
    chars = _cell_chars(findings)
    return [
        [position, [one_line(cell, limit=chars) for cell in cells]]
        for position, cells in findings.rows[since:]
    ]


def _cell_chars(findings: Findings) -> int:
    """How long a cell may be, so that a row is not too long."""
    return max(_ROW_CHARS // max(len(findings.columns), 1), 16)


# -- the view ---------------------------------------------------------------------------------


class ExploreView:
    """Shows a table of runs, and hands on what is asked of it.

    The functions are called on whichever thread the kernel hears the page.

    Args:
        ask: called with each question; its answer comes by `draw`.
        more: called to have more rows shown.
        open_row: the JSON text of the run at a position.
        keep: puts the table into a variable of this name; what to tell of it, in a sentence.
    """

    def __init__(
        self,
        *,
        ask: Callable[[Question], None],
        more: Callable[[], None],
        open_row: Callable[[int], str],
        keep: Callable[[str], str],
    ) -> None:
        self._ask, self._more, self._open_row, self._keep = ask, more, open_row, keep
        self._explore = Explore(self._hear)
        self._handle: DisplayHandle | None = None
        self._static: Bundle | None = None

    def show(self, static: Bundle | None = None) -> None:
        """Display it.

        Args:
            static: what is shown where no widget can be drawn; without it, the first rows.
        """
        data, metadata = widgets.shown_as(self._explore)
        self._handle, self._static = DisplayHandle(), static
        data = {**data, **(static or static_bundle(self._explore.findings))}
        display(data, metadata=metadata, raw=True, display_id=self._handle.display_id)

    def draw(self, findings: Findings) -> None:
        """Show what was found; on any thread, and not on two at once."""
        self._explore.tell(findings)

    def close(self) -> None:
        """Leave in its place what a saved file can show."""
        if self._handle:
            left = self._static or static_bundle(self._explore.findings)
            self._handle.update(left, raw=True)
        widgets.close(self._explore)

    def _hear(self, content: Mapping[str, Any]) -> None:
        match content:
            case {"ask": "find", "number": int(number), "program": str(program), "mode": str(mode)}:
                self._find(program, mode, number)
            case {"ask": "more"}:
                self._more()
            case {"ask": "open", "position": int(position)}:
                self._explore.send({"opened": {"position": position, **self._opened(position)}})
            case {"ask": "keep", "name": str(name)}:
                self._explore.send({"kept": self._kept(name)})
            case {"ask": "news"}:
                self._explore.catch_up()

    def _find(self, program: str, mode: str, number: int) -> None:
        """Two pages may count alike: the later question is then the newer one."""
        number = max(number, self._explore.question.number + 1)
        [known] = [one for one in get_args(Mode) if one == mode] or ["filter"]
        asked = Question(program=program[:_PROGRAM_CHARS], mode=known, number=number)
        self._explore.question = asked
        self._ask(asked)

    def _opened(self, position: int) -> dict[str, Any]:
        try:
            return opened(self._open_row(position))
        except ReplicateMagicError as error:
            return {"failed": printable(str(error))}

    def _kept(self, name: str) -> dict[str, Any]:
        try:
            return {"said": one_line(self._keep(name), limit=500), "failed": False}
        except ReplicateMagicError as error:
            return {"said": printable(str(error)), "failed": True}


def opened(text: str) -> dict[str, Any]:
    """A prediction for the page to show: what is read first, and the whole JSON.

    Args:
        text: its JSON.
    """
    whole = {"json": _start(text, _JSON_CHARS)}
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return whole
    if not isinstance(raw, dict):
        return whole
    prediction = _read(raw)
    facts = [one_line(prediction.id), *status.times(prediction), *status.measured(prediction)]
    return {
        **whole,
        "name": status.name(prediction),
        "status": one_line(prediction.status),
        "facts": [fact for fact in facts if fact],
        "page": prediction.page or "",
        "prompt": _start(_prompt(prediction), _TEXT_CHARS),
        "output": _start(shown(prediction, None, "auto").text, _TEXT_CHARS),
        "error": _start(prediction.error or "", _TEXT_CHARS),
    }


def _read(raw: dict[str, Any]) -> Prediction:
    """Without its model's schema a list of texts is taken for one text, unless it is of files."""
    prediction = Prediction(model=str(raw.get("model") or ""), raw=raw)
    return prediction if prediction.files else replace(prediction, shape="chunks")


def _prompt(prediction: Prediction) -> str:
    """What it was asked, or all that it was given."""
    prompt = prediction.input.get("prompt")
    if isinstance(prompt, str):
        return prompt
    return pretty(prediction.input) if prediction.input else ""


def _start(text: str, limit: int) -> str:
    safe = printable(text[:limit])
    rest = len(text) - limit
    return f"{safe}…\n[{rest:,} more characters]" if rest > 0 else safe


# -- what a saved file shows --------------------------------------------------------------------

_CELL = "text-align: left; vertical-align: top"


def static_bundle(findings: Findings) -> Bundle:
    """The first rows, and how many there are."""
    columns = [one_line(name, limit=_STATIC_CHARS) for name in findings.columns]
    rows = [
        [one_line(cell, limit=_STATIC_CHARS) for cell in cells]
        for _, cells in findings.rows[:_STATIC_ROWS]
    ]
    said = f"{findings.matched:,} of {findings.total:,} runs"
    if len(rows) < findings.matched:
        said += f"; the first {len(rows)}:"
    return {"text/plain": _plain(said, [columns, *rows]), "text/html": _html(said, columns, rows)}


def _plain(said: str, lines: list[list[str]]) -> str:
    lines = [[one_line(cell, limit=_UNBROKEN_CHARS) for cell in line] for line in lines]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=False)]
    drawn = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    ]
    return "\n".join([said, *drawn]) if len(lines) > 1 else said


def _html(said: str, columns: list[str], rows: list[list[str]]) -> str:
    heads = "".join(_cell_html("th", name) for name in columns)
    body = "".join(
        f"<tr>{''.join(_cell_html('td', cell) for cell in cells)}</tr>" for cells in rows
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return block(f'{quiet_line(html.escape(said))}<div style="overflow-x: auto">{table}</div>')


def _cell_html(tag: str, text: str) -> str:
    whole = "; white-space: nowrap" if len(text) <= _UNBROKEN_CHARS else ""
    return f'<{tag} style="{_CELL}{whole}">{html.escape(text)}</{tag}>'
