"""Owns `df.jq` and `rm.jq`: jq over the rows of a frame, or over plain records.

It must not know how a program is run, or how a frame is built.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from replicate_magic.errors import JqError
from replicate_magic.plain import one_line
from replicate_magic.runs import jq
from replicate_magic.runs.frame import (
    is_frame,
    is_runs,
    pairs_of,
    records_of,
    register,
    values_frame,
)
from replicate_magic.runs.history import the_history
from replicate_magic.runs.record import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

Found = TypeVar("Found", jq.Matches, jq.Mapped)

_BLOCK = 500
_SKIPPED = "The jq program failed on {count:,} of {of:,} rows, which are left out. The first: {why}"
_PLAIN = (
    "{count:,} of {of:,} rows are not in the history any more: jq sees of those what the frame "
    "holds, which is less than the prediction's JSON"
)
SUGGESTS_MAP = (
    "The program kept every row and gave neither booleans nor the documents: to see what it makes "
    "of them, use {map}"
)


class Jq:
    """jq over many documents.

    A frame of runs is seen as its predictions: each row's document is the API's JSON, with what
    this package adds under `local`. Any other frame, and a list of dicts or of JSON texts, is seen
    as it is; columns named like `a.b` as nested.

    ```python
    df = replicate_magic.runs()
    df.jq.filter('.metrics.predict_time > 2')
    df.jq.map('{model, tps: .metrics.tokens_per_second}')
    df.jq.all('group_by(.model) | map({model: .[0].model, n: length})')
    ```

    In jq `null` is less than any number, so `.metrics.predict_time < 2` also holds where there is
    none; https://jqlang.org/manual/ has the language.

    Args:
        data: the frame or the list.
        tell: handed what is to be noticed; a warning unless told.

    Raises:
        JqError: it is neither a frame nor a list of dicts or JSON texts.
    """

    def __init__(
        self, data: pd.DataFrame | Sequence[Any], *, tell: Callable[[str], object] | None = None
    ) -> None:
        self._tell = tell or _warn
        self._frame = data if is_frame(data) else None
        self._items = () if is_frame(data) else data
        if not isinstance(self._items, list | tuple):
            raise JqError(
                f"jq works on a DataFrame, or on a list of dicts or JSON texts, and this is "
                f"{type(data).__name__}."
            )

    def filter(
        self, program: str, *, args: Mapping[str, Any] | None = None, skip_errors: bool = False
    ) -> Any:
        """The original rows for which a program gives anything but `false` and `null`.

        Args:
            program: a predicate, or `select(…)`.
            args: values that the program sees as `$name`.
            skip_errors: whether rows that the program fails on are left out, with one warning.

        Returns:
            Rows of the frame, or items of the list.

        Raises:
            JqError: the program does not compile, fails on a row, or takes too long.
        """
        found = self.matches(program, args=args, skip_errors=skip_errors)
        if found.suggests_map:
            self._tell(SUGGESTS_MAP.format(map=".jq.map(…)"))
        kept = [position for position, keeps in enumerate(found.flags) if keeps]
        if self._frame is not None:
            return self._frame.iloc[kept]
        return [self._items[position] for position in kept]

    def map(
        self, program: str, *, args: Mapping[str, Any] | None = None, skip_errors: bool = False
    ) -> pd.DataFrame:
        """A new frame, one row an output.

        Objects become columns, other values one column `value`; no output, no row. The arguments
        and the errors are those of `filter`.
        """
        found = self._each(jq.mapped, program, args=args, skip_errors=skip_errors)
        return values_frame([output for outputs in found.outputs for output in outputs])

    def all(self, program: str, *, args: Mapping[str, Any] | None = None) -> Any:
        """What a program makes of all documents as one array.

        Returns:
            A frame, one row an output, or one for each item of an array; a single value that is
            neither object nor array is returned itself.

        Raises:
            JqError: as for `filter`.
        """
        return shaped(jq.together(program, self.documents(), args=args, names=self.name))

    def matches(
        self, program: str, *, args: Mapping[str, Any] | None = None, skip_errors: bool = False
    ) -> jq.Matches:
        """Which rows `filter` keeps; the arguments are its own."""
        return self._each(jq.matches, program, args=args, skip_errors=skip_errors)

    def __len__(self) -> int:
        return len(self._items if self._frame is None else self._frame)

    def documents(self) -> Iterator[str]:
        """The JSON text of each row, in order."""
        if self._frame is None:
            return map(_text_of, self._items)
        if not is_runs(self._frame):
            return map(_text_of, records_of(self._frame))
        return self._of_history(self._frame)

    def name(self, position: int) -> str:
        """What an error calls a row."""
        if self._frame is None or not is_runs(self._frame):
            return f"row {position}"
        return f"run {self._frame['id'].iloc[position]}"

    def _each(
        self,
        way: Callable[..., Found],
        program: str,
        *,
        args: Mapping[str, Any] | None,
        skip_errors: bool,
    ) -> Found:
        """What a program makes of each document, by `jq.matches` or `jq.mapped`."""
        found = way(
            program,
            self.documents(),
            args=args,
            names=self.name,
            skip_errors=skip_errors,
            trusted=self._trusted,
        )
        self._tell_skipped(found)
        return found

    @property
    def _trusted(self) -> bool:
        """Whether all texts were written here, and not by the caller."""
        return not any(isinstance(item, str) for item in self._items)

    def _of_history(self, frame: pd.DataFrame) -> Iterator[str]:
        """The predictions; a row without one, such as a request that got no id, as it stands."""
        missing = 0
        for start in range(0, len(frame), _BLOCK):
            block = frame.iloc[start : start + _BLOCK]
            pairs = pairs_of(block)
            found = list(the_history().documents(pairs))
            gone = [place for place, document in enumerate(found) if document is None]
            missing += sum(bool(pairs[place][0]) for place in gone)
            plain = dict(zip(gone, records_of(block.iloc[gone]), strict=True)) if gone else {}
            for place, document in enumerate(found):
                yield _text_of(plain[place]) if document is None else document
        if missing:
            self._tell(_PLAIN.format(count=missing, of=len(frame)))

    def _tell_skipped(self, found: jq.Matches | jq.Mapped) -> None:
        if found.skipped:
            self._tell(
                _SKIPPED.format(count=found.skipped, of=len(self), why=one_line(found.first_error))
            )


def shaped(outputs: list[Any]) -> Any:
    """The outputs of a program over all documents: a frame, or a single value as it is."""
    match outputs:
        case [list() as items]:
            return values_frame(items)
        case [dict() as one]:
            return values_frame([one])
        case [value]:
            return value
    return values_frame(outputs)


def _text_of(item: Any) -> str:
    return item if isinstance(item, str) else to_json(item)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


register("jq", Jq)
