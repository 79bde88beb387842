"""Owns what may go on a Python expression that is being written; must evaluate nothing of it.

Attributes and keys of a name are looked up, as IPython does in a cell of Python; no call is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from replicate_magic.cell.rows import ROW
from replicate_magic.cell.spelling import is_clean
from replicate_magic.notebook.notes import Answer, Offer, fitting, of_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_OWNER = (
    r"(?<![\w.\])'\"])(?P<owner>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*)"
)
_ATTRIBUTE = re.compile(rf"{_OWNER}\.(?P<typed>\w*)\Z")
_KEY = re.compile(rf"{_OWNER}\[(?P<quote>['\"]?)(?P<typed>[^'\"\]]*)\Z")
_NAME = re.compile(r"(?<![\w.\])'\"])(?P<typed>(?:[A-Za-z_]\w*)?)\Z")
_STRING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_READ = 1_000  # characters of an expression's end
_MOST = 300


class Names(Protocol):
    """The user's namespace."""

    def variables(self) -> Mapping[str, Any]:
        """What the user has assigned."""

    def names(self, begin: str) -> Iterable[str]:
        """The names that begin so, Python's own too."""

    def attributes(self, owner: str, begin: str) -> Iterable[str]:
        """The attributes that begin so of what a name stands for."""


def go_on(source: str, names: Names, rows: str) -> Answer:
    """What may go on an expression.

    Args:
        source: what is written of it.
        names: the user's namespace.
        rows: what is written for `--rows`, which makes `row` known; empty where nothing is.
    """
    source = source[-_READ:]
    columns = _columns(rows, names.variables()) if rows else None
    if key := _KEY.search(source):
        if key["owner"] != ROW or columns is None:
            return Answer("", (), is_key=True)
        return _keys(columns, key["quote"], key["typed"])
    if {"'", '"'} & {*_STRING.sub("", source)}:  # within a text of its own
        return Answer("")
    if attribute := _ATTRIBUTE.search(source):
        return _attributes(attribute["owner"], attribute["typed"], names, columns)
    name = _NAME.search(source)
    if name is None:
        return Answer("")
    row = [] if columns is None else [Offer(ROW, "a row of --rows")]
    return Answer(name["typed"], _beginning(name["typed"], names, row))


def variables(names: Names) -> list[Offer]:
    """What the user has assigned."""
    return [Offer(name, of_type(value)) for name, value in names.variables().items()]


def _beginning(typed: str, names: Names, row: Sequence[Offer]) -> Sequence[Offer]:
    own = fitting([*row, *variables(names)], typed)
    known = {offer.text for offer in own}
    others = names.names(typed) if typed else ()
    return [*own, *(Offer(name, "name") for name in others if name not in known)][:_MOST]


def _attributes(owner: str, typed: str, names: Names, columns: Sequence[str] | None) -> Answer:
    if owner == ROW and columns is not None:
        known = [Offer(name, "column") for name in columns if name.isidentifier()]
        return Answer(typed, fitting(known, typed))
    return Answer(
        typed, [Offer(name, "attribute") for name in names.attributes(owner, typed)][:_MOST]
    )


# -- rows -------------------------------------------------------------------------------------


def is_mapping(value: Any) -> bool:
    """Whether `--input-from` takes it."""
    return isinstance(value, dict)


def is_rows(value: Any) -> bool:
    """Whether `--rows` may take it: a table, or what items can be taken from."""
    if isinstance(value, str | bytes | dict | type):
        return False
    return hasattr(type(value), "columns") or hasattr(type(value), "__iter__")


def _columns(rows: str, known: Mapping[str, Any]) -> list[str]:
    """The columns of `--rows`, as far as they can be told without running anything."""
    name = re.match(r"(?:\{\{)?\s*([A-Za-z_]\w*)", rows)
    given = known.get(name[1]) if name else None
    columns = getattr(given, "columns", None) if hasattr(type(given), "columns") else None
    if columns is None and isinstance(given, list | tuple) and given:
        columns = given[0] if isinstance(given[0], dict) else getattr(given[0], "_fields", None)
    return [] if columns is None else [str(column) for column in columns][:_MOST]


def _keys(columns: Iterable[str], quote: str, typed: str) -> Answer:
    """Columns in quotes, such as `row["my column"]`."""
    if typed and not quote:
        return Answer("")
    offers = []
    for name in columns:
        sign = quote or ("'" if '"' in name else '"')
        if name.startswith(typed) and not {sign, "\\"} & {*name} and is_clean(name):
            offers.append(Offer(f"{'' if quote else sign}{name}{sign}]", "column"))
    return Answer(typed, offers)
