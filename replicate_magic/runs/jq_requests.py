"""Owns a jq program on its way to the helpers: checked, in requests; not what its outputs mean."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicate_magic.errors import JqError
from replicate_magic.plain import one_line
from replicate_magic.runs import jq_process
from replicate_magic.runs.jq_process import HelperError, Reply, Request
from replicate_magic.runs.jq_prune import visible_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

_CHUNK_DOCUMENTS = 500
_CHUNK_CHARACTERS = 1 << 20
_CHARACTERS_PER_S = 1_000_000  # a slow machine reads as many; a fast one six times more
_ARG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({"ENV", "__loc__", "__prog_args"})
_SCALARS = (str, int, float, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A checked program, what it is run with, and how its user is told of it."""

    text: str
    args: str
    mode: str
    keys: tuple[str, ...]
    deadline_s: float
    names: Callable[[int], str]

    @property
    def quoted(self) -> str:
        """The program as a message shows it."""
        return one_line(self.text)

    def name(self, position: int) -> str:
        """What a message calls the document at a position."""
        return one_line(self.names(position))


def prepared(
    program: str,
    args: Mapping[str, Any] | None,
    mode: str,
    *,
    deadline_s: float,
    names: Callable[[int], str],
    trusted: bool = False,
) -> Program:
    """The program, after a look at what jq itself would not refuse.

    Where the documents are `trusted` to be JSON, those keys that it cannot see are left out.

    Raises:
        JqError: the program or an argument cannot be handed to jq.
    """
    text, values = _checked_program(program), args or {}
    scalars = {name for name, value in values.items() if isinstance(value, _SCALARS)}
    return Program(
        text=text,
        args=_checked_args(values),
        mode=mode,
        keys=visible_keys(text, mode=mode, variables=scalars) if trusted else (),
        deadline_s=deadline_s,
        names=names,
    )


def replies(program: Program, documents: Iterable[str]) -> Generator[Reply, None, None]:
    """The answers about a few hundred documents each, in order, which are taken as they are needed.

    Raises:
        JqError: the program does not compile, or a helper was lost over it.
    """
    return _exchanged(program, _requests(program, documents))


def reply(program: Program, documents: list[str]) -> Reply:
    """The one answer about all documents; the errors are those of `replies`."""
    [only] = _exchanged(program, iter([_request(program, documents, 0)]))
    return only


def _requests(program: Program, documents: Iterable[str]) -> Iterator[Request]:
    """The documents in chunks. Where there are none, one that has the program compiled."""
    first, chunk, size = 0, list[str](), 0
    for document in documents:
        chunk.append(document)
        size += len(document)
        if len(chunk) == _CHUNK_DOCUMENTS or size >= _CHUNK_CHARACTERS:
            yield _request(program, chunk, first)
            first, chunk, size = first + len(chunk), [], 0
    if chunk or not first:
        yield _request(program, chunk, first)


def _request(program: Program, documents: list[str], first: int) -> Request:
    text = "".join(documents)
    deadline_s = program.deadline_s + len(text) // _CHARACTERS_PER_S
    header = {
        "program": program.text,
        "args": program.args,
        "mode": program.mode,
        "keys": program.keys,
        "sizes": [len(document) for document in documents],
        "deadline_s": deadline_s,
    }
    return Request(header=header, text=text, first=first, deadline_s=deadline_s)


def _exchanged(program: Program, requests: Iterator[Request]) -> Generator[Reply, None, None]:
    """The replies in order, with what went wrong in words."""
    try:
        with closing(jq_process.exchange(requests)) as exchanged:
            for each in exchanged:
                if "compile_error" in each.header:
                    raise JqError(each.header["compile_error"])
                yield each
    except HelperError as error:
        raise JqError(_loss(program, error)) from error


def _loss(program: Program, error: HelperError) -> str:
    where = _among(program, error.request)
    if error.why is None:
        return (
            f"the jq program `{program.quoted}` ran longer than {error.request.deadline_s:g} s "
            f"{where}and was stopped"
        )
    return (
        f"jq broke down ({error.why}) {where}on the program `{program.quoted}`: it may need more "
        "than 2 GiB of memory; if every program does this, try `python -c 'import jq'`"
    )


def _among(program: Program, request: Request) -> str:
    """Which documents a helper was busy with, as the start of a phrase."""
    first, count = request.first, len(request.header["sizes"])
    if program.mode == "together" or not count:
        return ""
    if count == 1:
        name = program.name(first)
        return f"on {name} " if name else ""
    return f"on one of {program.name(first)} to {program.name(first + count - 1)} "


def _checked_program(program: str) -> str:
    if "\0" in program:
        raise JqError(f"the jq program `{one_line(program)}` holds a NUL character")
    try:
        program.encode()
    except UnicodeEncodeError as error:
        raise JqError(f"the jq program {program!a} holds half a surrogate pair") from error
    return program


def _checked_args(args: Mapping[str, Any]) -> str:
    for name in args:
        if not _ARG_NAME.fullmatch(name) or name in _RESERVED:
            raise JqError(f"jq args: `{name}` cannot be the name of one, or is jq's own")
    try:
        text = json.dumps(dict(args), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise JqError(f"jq args: only values that JSON can hold, please: {error}") from error
    return text
