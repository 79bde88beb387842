"""Owns a batch and its requests as values, and as the texts that history keeps; must do no I/O.

A long text, such as a file as a data URL, often stands in many requests, and in one of them as
input, prompt and part of its row. It is kept once a batch, and referred to by its sha256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell.coerce import unwrapped
from replicate_magic.cell.hiding import Secrets, hidden_names
from replicate_magic.cell.objects import LargeFile
from replicate_magic.cell.schema import InputField
from replicate_magic.errors import NotFound
from replicate_magic.plain import did_you_mean, one_line
from replicate_magic.runs.record import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

State = Literal["running", "ended"]

_LONG = 256  # characters; a reference and its row take less than the text twice
_MOST_NAMED = 5
_SIGN = "@"  # begins what is no text of its own; a text that begins so is given one more
_TEXT, _PATH = f"{_SIGN}text:", f"{_SIGN}file:"
_REFERENCE = re.compile(rf'"{_TEXT}([0-9a-f]{{64}})"')
_ANY = InputField(name="", types=("array", "number", "string"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch as history keeps it.

    Attributes:
        id: what it is called.
        created_at: when it began (UTC).
        total: how many requests there are; `None` where they are not counted.
        settings: how it is to be run, and whatever else is to be known of it, as JSON values.
        state: `running` also where its process died meanwhile.
        ended_at: when it ended (UTC), or `None`.
    """

    id: str
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    total: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    state: State = "running"
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One request of a batch, as far as history keeps it.

    What is read is what was written, but for two things that are not on disk, and without which
    it cannot be sent again: secrets, in whose place `(secret)` stands, and files that had no path.

    Attributes:
        number: its place in the order asked, from 0.
        target: what is to run.
        input: as it is sent; what is to be sent ahead as `LargeFile`, kept by its path.
        secrets: hidden in all of it when it is written; once read, those names that were.
        prompt: the text among it that the body goes to, or an empty string.
        params: what differs between the requests.
        row: what it was made from. What JSON has not is kept as its text.
        repeat: which of several alike it is.
        unkept: the names of the inputs with files that had no path; known once it is read.
    """

    number: int
    target: str
    input: Mapping[str, Any]
    secrets: Secrets
    prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 0
    unkept: tuple[str, ...] = ()


def chosen(records: Sequence[BatchRecord], prefix: str | None) -> BatchRecord:
    """The one batch whose id begins so; the first one where none is asked for.

    Raises:
        NotFound: there is none, or several.
    """
    if not records:
        raise NotFound("The history has no batch.", status=404)
    if prefix is None:
        return records[0]
    exact = [record for record in records if record.id == prefix]
    found = exact or [record for record in records if record.id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    shown, ids = one_line(prefix, limit=60), [record.id for record in found or records]
    listed = ", ".join(ids[:_MOST_NAMED])
    if found:
        raise NotFound(f"{shown} begins several batches: {listed}.", status=404)
    raise NotFound(
        f"No batch of the history has an id that begins with {shown}.{did_you_mean(prefix, ids)} "
        f"The newest: {listed}.",
        status=404,
    )


def joined(stored: Iterable[BatchItem], newer: Iterable[BatchItem]) -> Iterator[BatchItem]:
    """Items of both in the order of their numbers; of two with one number, the newer."""
    last = None
    for item in merge(newer, stored, key=lambda one: one.number):
        if item.number != last:
            yield item
        last = item.number


# -- to text ------------------------------------------------------------------------------------


def packed(item: BatchItem, texts: dict[str, str]) -> str:
    """An item as JSON, all but its number and target.

    Args:
        item: the item.
        texts: gets the sha256 of each long text that the JSON refers to.

    Raises:
        ValueError, RecursionError: it cannot be written as JSON.
    """
    secrets = item.secrets
    pack = partial(_stored, hide=secrets.anywhere if secrets.texts else _as_it_is, texts=texts)
    shown = secrets.input(item.input)
    told = {
        "input": pack(shown),
        "prompt": pack(item.prompt),
        "params": pack(secrets.input(item.params)),
        "row": pack(item.row),
        "repeat": item.repeat,
        "secrets": sorted(hidden_names(shown) & secrets.names),
        "unkept": [*item.unkept, *(name for name, one in shown.items() if _has_no_path(one))],
    }
    return to_json({name: value for name, value in told.items() if value})


def _as_it_is(value: Any) -> Any:
    return value


def _has_no_path(value: Any) -> bool:
    match value:
        case LargeFile():
            return value.path is None
        case list() | tuple():
            return any(map(_has_no_path, value))
        case Mapping():
            return any(map(_has_no_path, value.values()))
    return False


def _stored(value: Any, *, hide: Callable[[Any], Any], texts: dict[str, str]) -> Any:
    match value:
        case LargeFile(path=Path() as path):
            about = {"name": value.name, "media_type": value.media_type}
            return _PATH + to_json({**about, "path": str(path.absolute())})
        case str():
            return _stored_text(hide(value), texts)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {
                hide(str(name)): _stored(one, hide=hide, texts=texts) for name, one in value.items()
            }
        case list() | tuple():
            return [_stored(one, hide=hide, texts=texts) for one in value]
    plain = unwrapped(value, _ANY)
    return _stored(_described(value) if plain is value else plain, hide=hide, texts=texts)


def _described(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  (somebody else's object)
        return f"({type(value).__name__})"


def _stored_text(text: str, texts: dict[str, str]) -> str:
    if len(text) >= _LONG:
        if text not in texts:
            try:
                texts[text] = hashlib.sha256(text.encode()).hexdigest()
            except UnicodeEncodeError:  # half a character, which JSON can hold and a file cannot
                return _signed(text)
        return _TEXT + texts[text]
    return _signed(text)


def _signed(text: str) -> str:
    return f"{_SIGN}{text}" if text.startswith(_SIGN) else text


# -- from text ----------------------------------------------------------------------------------


def references(told: str) -> set[str]:
    """The sha256 of each text that the JSON of an item refers to, and perhaps of more."""
    return set(_REFERENCE.findall(told))


def unpacked(number: int, target: str, told: str, texts: Mapping[str, str]) -> BatchItem:
    """The item that was packed.

    Args:
        number: its own.
        target: its own.
        told: what `packed` made of it.
        texts: by their sha256, all that it refers to.

    Raises:
        KeyError, ValueError: it is damaged.
    """
    found = json.loads(told)
    read = {name: _read(found[name], texts) for name in ("input", "params", "row") if name in found}
    return BatchItem(
        number=number,
        target=target,
        **{"input": {}, **read},
        prompt=_read(found.get("prompt", ""), texts),
        repeat=found.get("repeat", 0),
        secrets=Secrets(names=frozenset(found.get("secrets", ()))),
        unkept=tuple(found.get("unkept", ())),
    )


def _read(value: Any, texts: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _read_text(value, texts) if value.startswith(_SIGN) else value
        case list():
            return [_read(one, texts) for one in value]
        case dict():
            return {name: _read(one, texts) for name, one in value.items()}
    return value


def _read_text(text: str, texts: Mapping[str, str]) -> str:
    if text.startswith(_TEXT):
        return texts[text.removeprefix(_TEXT)]
    if text.startswith(_PATH):
        about = json.loads(text.removeprefix(_PATH))
        return LargeFile(**{**about, "path": Path(about["path"])})
    return text.removeprefix(_SIGN)
