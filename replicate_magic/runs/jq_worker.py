"""Owns running jq programs, inside the helper process; must not import the rest of this package.

`jq.py` starts this file as a script, isolated, with the folder of the jq library as its argument.
A message is its length in eight bytes, most significant first, then that much JSON.

A request holds `program`, `args` (a JSON object as text, each key bound as `$key`), `documents` (a
list of JSON texts) and `deadline_s`. The answer holds either `compile_error`, or `answers`: one per
document, in order, each with `outputs` (all outputs as the text of one JSON array) or `error`.
"""

from __future__ import annotations

import functools
import json
import re
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY_BYTES = 2 << 30
_LONGEST_OUTPUTS = 64_000_000  # characters; Python values take up to twenty times as much memory
_LONGEST_ERROR = 4000
_LENGTH = struct.Struct(">Q")

# jq's limit of memory is `abort()`, and calling an iterator again after an error is one too: so
# each document gets one fresh iterator, and errors are caught inside jq. Going through `tojson`
# keeps large integers exact, and deeply nested outputs from overflowing the stack. A program starts
# on the first line for `$__loc__`; after two newlines no comment of its reaches what follows.
_WRAPPED = (
    "".join(
        f"def {name}: error({json.dumps(f'`{name}` is not available in jq programs here')}); "
        for name in ("env", "input", "inputs", "halt", "halt_error", "modulemeta")
    )
    + "def halt_error($code): halt_error; {} as $ENV | "
    + 'try ([(%s\n\n)] | tojson) catch ("E" + tojson)'
)

_IN_CODE = re.compile(r"#(?:[^\\\n]|\\[\s\S])*+|[.$]?\w+|\S")
_IN_STRING = re.compile(r'\\[\s\S]|"')
_MODULE_WORDS = ("import", "include", "module")
_PLACE = re.compile(r"jq: error: (.*) at <top-level>, line (\d+), column (\d+):")
_COUNT = re.compile(r"\s*jq: \d+ compile errors?\s*\Z")
_SURROGATE = re.compile(
    r"(\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)|\\u[dD][89a-fA-F]\w\w|[\ud800-\udfff]"
)


def main(jq_folder: str) -> None:
    """Answers requests from standard input until it is closed, as it is when the parent ends."""
    sys.path.append(jq_folder)
    _limit_resources()
    while request := _receive():
        _end_without_parent_after(request["deadline_s"] + 1)
        _send(answer(request))
        _end_without_parent_after(0)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request; both are described at the top of this module."""
    try:
        program = _compiled(request["program"], request["args"])
    except (ValueError, ImportError) as error:
        return {"compile_error": str(error)[:_LONGEST_ERROR]}
    return {"answers": [_run(program, document) for document in request["documents"]]}


@functools.lru_cache(maxsize=64)
def _compiled(program: str, args: str) -> Any:
    """The wrapped program, ready to run; ValueError with a caret under a mistake."""
    import jq

    _refuse_what_is_not_available(program)
    values = json.loads(args)
    try:
        jq.compile(program, args=values)  # alone: for its own words, and so that it is balanced
    except ValueError as error:
        raise ValueError(_tidied(str(error))) from error
    try:
        return jq.compile(_WRAPPED % program, args=values)
    except ValueError as error:
        raise ValueError("jq: there is no expression; `.` is the whole document") from error


def _run(program: Any, document: str) -> dict[str, str]:
    try:
        results = _results(program, document)
    except ValueError as error:
        return {"error": str(error)[:_LONGEST_ERROR]}
    if len(results) != 1:
        return {"error": "the document is not one JSON text"}
    result = results[0]
    if result.startswith("E"):
        return {"error": _error_text(result[1:])[:_LONGEST_ERROR]}
    if len(result) > _LONGEST_OUTPUTS:
        return {"error": f"the outputs are longer than {_LONGEST_OUTPUTS:,} characters of JSON"}
    return {"outputs": result}


def _results(program: Any, document: str) -> list[str]:
    """What the wrapped program makes of a document: one text if the document is one JSON text.

    jq refuses a document with half a surrogate pair, as broken emoji leave it; U+FFFD stands in.
    """
    try:
        return list(program.input_text(document).all())
    except ValueError:
        mended = _SURROGATE.sub(lambda match: match[1] or "\ufffd", document)
        if mended == document:
            raise
        return list(program.input_text(mended).all())


def _error_text(value: str) -> str:
    return str(json.loads(value)) if value.startswith('"') else f"{value} (not a string)"


def _refuse_what_is_not_available(program: str) -> None:
    """Raises ValueError for `$ENV`, which cannot be redefined, and for modules: they read files."""
    for index, (word, position) in enumerate(_tokens(program)):
        if word == "$ENV" or (index == 0 and word in _MODULE_WORDS):
            raise ValueError(_with_caret(program, word, position))


def _tokens(program: str) -> Iterator[tuple[str, int]]:
    """A program's words and signs with their places, without comments and the text of strings."""
    inside: list[str] = []  # the quotes and parentheses still open
    position = 0
    while match := (_IN_STRING if inside[-1:] == ['"'] else _IN_CODE).search(program, position):
        piece, position = match[0], match.end()
        if inside[-1:] == ['"']:
            _step_in_string(inside, piece)
        elif not piece.startswith("#"):
            _step_in_code(inside, piece)
            yield piece, match.start()


def _step_in_string(inside: list[str], piece: str) -> None:
    if piece == '"':
        inside.pop()
    elif piece == "\\(":
        inside.append("(")


def _step_in_code(inside: list[str], piece: str) -> None:
    if piece in ('"', "("):
        inside.append(piece)
    elif piece == ")" and inside:
        inside.pop()


def _with_caret(program: str, word: str, position: int) -> str:
    before = program[:position].rpartition("\n")[2]
    line = before + program[position:].partition("\n")[0]
    place = f"line {program.count(chr(10), 0, position) + 1}, column {len(before) + 1}"
    return (
        f"jq: `{word}` is not available in jq programs here ({place})\n"
        f"    {line}\n    {' ' * len(before)}{'^' * len(word)}"
    )


def _tidied(compile_error: str) -> str:
    placed = _PLACE.sub(r"jq: \1 (line \2, column \3)", compile_error)
    return _COUNT.sub("", placed).replace("jq: error: ", "jq: ")


def _limit_resources() -> None:
    if sys.platform == "win32":
        return
    import resource

    for kind, wanted in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):  # macOS reserves more addresses than this at the start
            continue


def _end_without_parent_after(seconds: float) -> None:
    """Lets the system end this process: a parent killed at the wrong moment stops no loop in jq."""
    if sys.platform == "win32":
        return
    import signal

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _receive() -> dict[str, Any] | None:
    head = sys.stdin.buffer.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read(*_LENGTH.unpack(head)))
    return request


def _send(message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(_LENGTH.pack(len(body)) + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
