"""Owns what jq programs over documents mean; must not run one in the process it is imported in."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import JqError
from replicate_magic.runs import jq_process
from replicate_magic.runs.jq_requests import Program, prepared, replies, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from replicate_magic.runs.jq_process import Reply

_KEPT = frozenset("123")  # `jq_worker` says what the kinds mean
_UNREADABLE = "an output is nested too deeply, or a number in it is too long, for Python to read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Which documents a filter keeps."""

    flags: list[bool]
    """One for each document, in order."""
    skipped: int
    """How many documents the program failed on: they are not kept."""
    first_error: str
    """How it failed on the first of them, and on which; empty where there is none."""
    suggests_map: bool
    """Every document was kept, and none for `true` or for itself: a map was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a program makes of each document."""

    outputs: list[list[Any]]
    """All outputs of each document, in order; none where it was skipped."""
    skipped: int
    """How many documents the program failed on, or gave outputs for that Python cannot read."""
    first_error: str
    """How it failed on the first of them, and on which; empty where there is none."""


def matches(
    program: str,
    documents: Iterable[str],
    *,
    args: Mapping[str, Any] | None = None,
    names: Callable[[int], str] = "row {}".format,
    skip_errors: bool = False,
    trusted: bool = False,
    deadline_s: float = 10.0,
) -> Matches:
    r"""Runs a jq program on each of many JSON texts, to keep some of them.

    A document is kept if any output is neither `false` nor `null`, so that `.a > 1` and
    `select(.a > 1)` do the same. In jq `null` is less than any number, and a text is more.

    Args:
        program: as for `outputs`. It stops at the first output that keeps the document.
        documents: JSON texts; taken a few hundred at a time, none is held.
        args: as for `outputs`.
        names: what an error calls the document at a position, counted from 0.
        skip_errors: whether a document that the program fails on is left out, not raised for.
        trusted: whether all documents are what `json.dumps` wrote. Then a program that plainly asks
            for some keys at the top of a document is twice as fast, and a fault in the text of
            another key goes unnoticed.
        deadline_s: seconds for one document; a job of many takes as long as it gets on.

    Raises:
        JqError: the program does not compile, fails on a document and `skip_errors` is not set,
            stays at one document too long, takes too much memory, or jq is not installed.

    Example:
        `matches(".a > 1", ['{"a": 1}', '{"a": 2}']).flags` gives `[False, True]`.
    """
    asked = prepared(program, args, "flags", deadline_s=deadline_s, names=names, trusted=trusted)
    skipped = _Skipped(asked, skip_errors=skip_errors)
    kinds: list[str] = []
    with closing(replies(asked, documents)) as answers:
        for answer in answers:
            skipped.add(answer)
            kinds.append(answer.text)
    joined = "".join(kinds)
    return Matches(
        flags=[kind in _KEPT for kind in joined],
        skipped=skipped.count,
        first_error=skipped.first_error,
        suggests_map=bool(joined) and set(joined) == {"3"},
    )


def mapped(
    program: str,
    documents: Iterable[str],
    *,
    args: Mapping[str, Any] | None = None,
    names: Callable[[int], str] = "row {}".format,
    skip_errors: bool = False,
    trusted: bool = False,
    deadline_s: float = 10.0,
) -> Mapped:
    """Runs a jq program on each of many JSON texts, for all its outputs.

    The arguments and the errors are those of `matches`, the values those of `outputs`.

    Example:
        `mapped(".[]", ["[1, 2]", "[]"]).outputs` gives `[[1, 2], []]`.
    """
    asked = prepared(program, args, "outputs", deadline_s=deadline_s, names=names, trusted=trusted)
    skipped = _Skipped(asked, skip_errors=skip_errors)
    results: list[list[Any]] = []
    with closing(replies(asked, documents)) as answers:
        for answer in answers:
            values = list(_values(answer))
            skipped.add(answer, [place for place, each in enumerate(values) if each is None])
            results.extend(each or [] for each in values)
    return Mapped(outputs=results, skipped=skipped.count, first_error=skipped.first_error)


def together(
    program: str,
    documents: Iterable[str],
    *,
    args: Mapping[str, Any] | None = None,
    names: Callable[[int], str] = "row {}".format,
    deadline_s: float = 10.0,
) -> list[Any]:
    """Runs a jq program once, on the array of all documents, as `jq --slurp` does.

    All are held in memory, here and in the helper: the limit is some hundreds of megabytes.

    Args:
        program: as for `outputs`.
        documents: JSON texts.
        args: as for `outputs`.
        names: what an error calls the document at a position, where it is that which is no JSON.
        deadline_s: seconds for the program, and one more for each megabyte of documents.

    Returns:
        All outputs, as `outputs` gives them.

    Raises:
        JqError: as for `outputs`.

    Example:
        `together("map(.a) | add", ['{"a": 1}', '{"a": 2}'])` gives `[3]`.
    """
    asked = prepared(program, args, "together", deadline_s=deadline_s, names=names)
    whole = list(documents)
    answer = reply(asked, whole)
    if answer.header["erred"]:
        matches("true", whole, names=names)  # tells which one, if it is a document that is wrong
    return _outputs(asked, answer)


def outputs(
    program: str,
    document: str,
    *,
    args: Mapping[str, Any] | None = None,
    deadline_s: float = 10.0,
) -> list[Any]:
    r"""Runs a jq program on one JSON text, in the helper process.

    Args:
        program: a jq 1.8 program; `env`, `$ENV`, `input`, `halt` and modules are not available.
        document: one JSON text. Half a surrogate pair in it becomes U+FFFD.
        args: values that JSON can hold; `{"x": 1}` binds `$x`.
        deadline_s: seconds after which the program is stopped.

    Returns:
        All outputs, in order. Integers that the program leaves alone are exact, whatever their
        size; NaN becomes `None` and an infinity the largest float, as in jq.

    Raises:
        JqError: the program does not compile (with jq's own words and a caret), fails on the
            document, takes too long or too much memory, or jq is not installed.

    Example:
        `outputs(".a[] + $x", '{"a": [1, 2]}', args={"x": 1})` gives `[2, 3]`.
    """
    asked = prepared(program, args, "outputs", deadline_s=deadline_s, names=lambda _: "")
    return _outputs(asked, reply(asked, [document]))


def check(program: str) -> None:
    """Compiles a jq program and does not run it, so that a mistake costs nothing.

    Raises:
        JqError: it does not compile, or jq is not installed.
    """
    mapped(program, [])


def close() -> None:
    """Ends the helper processes that are not in use. The next use starts a new one."""
    jq_process.close()


class _Skipped:
    """The documents that the program fails on: raised for, or counted."""

    def __init__(self, program: Program, *, skip_errors: bool) -> None:
        self._program = program
        self._skip_errors = skip_errors
        self.count = 0
        self.first_error = ""

    def add(self, reply: Reply, unreadable: Sequence[int] = ()) -> None:
        """Takes what failed in the helper, and the places of what came back unreadable."""
        errors = [(place, _UNREADABLE) for place in unreadable[:1]]
        if reply.header["erred"]:
            errors.append((reply.header["position"], reply.header["error"]))
        if not errors:
            return
        place, error = min(errors)
        message = f"{error} ({self._program.name(reply.request.first + place)})"
        count = reply.header["erred"] + len(unreadable)
        if not self._skip_errors:
            others = self._others(reply, count - 1)
            raise JqError(f"jq: {message}{others}\n    {self._program.quoted}")
        self.count += count
        self.first_error = self.first_error or message

    @staticmethod
    def _others(reply: Reply, count: int) -> str:
        seen = reply.request.first + len(reply.request.header["sizes"])
        return f"; {count:,} more of the first {seen:,} fail" if count else ""


def _outputs(program: Program, answer: Reply) -> list[Any]:
    """The outputs that an answer about one run holds."""
    if answer.header["erred"]:
        raise JqError(f"jq: {answer.header['error']}\n    {program.quoted}")
    [values] = _values(answer)
    if values is None:
        raise JqError(f"jq: {_UNREADABLE}\n    {program.quoted}")
    return values


def _values(reply: Reply) -> Iterator[list[Any] | None]:
    """The outputs of each document: none where the program failed, None if Python cannot read."""
    for start, end in pairwise(accumulate(reply.header["sizes"], initial=0)):
        try:
            yield json.loads(reply.text[start:end]) if end > start else []
        except (ValueError, RecursionError):
            yield None
