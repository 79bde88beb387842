"""Owns running jq programs, inside the helper process; must not import the rest of this package.

`jq_process.py` starts this file as a script, isolated, with the folder of the jq library as its
argument. A message is two lengths in eight bytes each, most significant first, then that much JSON,
its header, and that much text. A message of two zeros says only that a long answer gets on.

A request's header holds `program`, `args` (a JSON object as text, each key bound as `$key`),
`mode`, `keys`, `sizes` and `deadline_s`. Its text is the documents, one behind the other; `sizes`
are their lengths in characters, so that nothing is escaped. Where there are `keys`, the documents
are JSON, and no other key at the top of one changes the answer: most of the time of a simple
program is jq's reading of what it does not ask for. The modes, and the text of their answers:

- `outputs`: all outputs of each document as one JSON array. Here the header holds `sizes` too, and
  0 where the program failed.
- `flags`: a character for each document: `0` where no output is true in jq's sense, `1` where the
  first one that is true is `true` itself, `2` where it is the document, `3` where it is anything
  else, `E` where the program failed.
- `together`: as `outputs`, of the array of all documents.

The header of an answer holds `compile_error`; or `erred`, how many documents the program failed on,
with the position of the first among them as `position` and what it failed with as `error`.
"""

from __future__ import annotations

import functools
import json
import re
import struct
import sys
import time
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MEMORY_BYTES = 2 << 30
_LONGEST_OUTPUTS = 64_000_000  # characters; Python values take up to twenty times as much memory
_LONGEST_ERROR = 4000
_TOO_LONG = f"the outputs are longer than {_LONGEST_OUTPUTS:,} characters of JSON"
_NOT_ONE = "the document is not one JSON text"
_SIZES = struct.Struct(">QQ")
_SIGN_OF_LIFE_S = 0.5
_LEVELS = 6  # of brackets in a value
_LONGEST_PRUNED = 1 << 22  # characters; a match takes some hundred bytes for each string it passes

# jq's limit of memory is `abort()`, and calling an iterator again after an error is one too: so
# each document gets one fresh iterator, and errors are caught inside jq. Going through `tojson`
# keeps large integers exact, and deeply nested outputs from overflowing the stack. A program starts
# on the first line for `$__loc__`; after two newlines no comment of its reaches what follows.
_PRELUDE = (
    "".join(
        f"def {name}: error({json.dumps(f'`{name}` is not available in jq programs here')}); "
        for name in ("env", "input", "inputs", "halt", "halt_error", "modulemeta")
    )
    + "def halt_error($code): halt_error; {} as $ENV | "
)
# The program is the argument of a function, where it cannot see `$document`.
_KIND = (
    "def kind(outputs): . as $document | [first(outputs | select(.))"
    ' | if . == true then "1" elif . == $document then "2" else "3" end] | .[0] // "0"; '
)
_OUTPUTS = _PRELUDE + 'try ([(%s\n\n)] | tojson) catch ("E" + tojson)'
_WRAPPED = {
    "outputs": _OUTPUTS,
    "flags": _KIND + _PRELUDE + 'try kind((%s\n\n)) catch ("E" + tojson)',
    "together": '(length | tojson) + " " + (' + _OUTPUTS + ")",
}

_IN_CODE = re.compile(r"#(?:[^\\\n]|\\[\s\S])*+|[.$]?\w+|\S")
_IN_STRING = re.compile(r'\\[\s\S]|"')
_MODULE_WORDS = ("import", "include", "module")
_PLACE = re.compile(r"jq: error: (.*) at <top-level>, line (\d+), column (\d+):")
_COUNT = re.compile(r"\s*jq: \d+ compile errors?\s*\Z")
_SURROGATE = re.compile(
    r"(\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w)|\\u[dD][89a-fA-F]\w\w|[\ud800-\udfff]"
)


def _nested(levels: int) -> str:
    """A pattern of JSON that is known to be right: brackets are counted, and not looked at."""
    inner = f"{_TEXT}|{_nested(levels - 1)}" if levels > 1 else _TEXT
    return rf'[\[{{][^"\[\]{{}}]*+(?:(?:{inner})[^"\[\]{{}}]*+)*[\]}}]'


# Most strings hold no escaped quote, and a search for a single character is the fastest there is.
_TEXT = r'"(?:[^"]*+"(?<!\\")|(?=[^"]*+"(?<=\\"))[^"\\]*+(?:\\.[^"\\]*+)*")'
_VALUE = rf'(?:{_TEXT}|[^"\[\]{{}},]++|{_nested(_LEVELS)})'


def main(jq_folder: str) -> None:
    """Answers requests from standard input until it is closed, as it is when the parent ends."""
    sys.path.append(jq_folder)
    _limit_resources()
    while request := _receive():
        header, text = request
        reply = answer(header, text, _alive(header["deadline_s"]))
        _end_without_parent_after(0)
        _send(*reply)


def answer(
    header: dict[str, Any], text: str, alive: Callable[[], None]
) -> tuple[dict[str, Any], str]:
    """The answer to one request; both are described at the top of this module.

    `alive` is called between documents.
    """
    try:
        program = _compiled(header["program"], header["args"], header["mode"])
    except (ValueError, ImportError) as error:
        return {"compile_error": str(error)[:_LONGEST_ERROR]}, ""
    documents = _documents(text, header["sizes"])
    match header["mode"]:
        case "flags":
            return _flags(_each(program, _pruned(documents, header["keys"]), alive))
        case "together":
            return _together(program, list(documents))
        case _:
            return _outputs(_each(program, _pruned(documents, header["keys"]), alive))


def _documents(text: str, sizes: list[int]) -> Iterator[str]:
    return (text[start:end] for start, end in pairwise(accumulate(sizes, initial=0)))


def _pruned(documents: Iterable[str], keys: list[str]) -> Iterable[str]:
    """The documents with these keys only, null for a missing one; whole if in doubt."""
    if not keys:
        return documents
    shape, template = _shape(tuple(keys))
    return (_with_keys(document, shape, template) for document in documents)


def _with_keys(document: str, shape: re.Pattern[str], template: str) -> str:
    found = shape.fullmatch(document) if len(document) <= _LONGEST_PRUNED else None
    return template % found.groups("null") if found else document


@functools.lru_cache(maxsize=64)
def _shape(keys: tuple[str, ...]) -> tuple[re.Pattern[str], str]:
    """A pattern of objects whose groups are the values of the keys, and what to put those into.

    Of a key that is there twice a group holds the last, as jq does. No part of the pattern can
    match in two ways: where a document is not of this shape, that is found out in linear time.
    """
    members = "".join(f'{re.escape(key)}": ?+({_VALUE})|' for key in keys)
    others = rf'(?!(?:{"|".join(map(re.escape, keys))})")[^"\\]*+": ?+{_VALUE}'
    template = ",".join('"{}":%s'.format(key.replace("%", "%%")) for key in keys)
    return re.compile(rf'\{{(?:"(?:{members}{others}),?+ ?+)*\}}', re.DOTALL), f"{{{template}}}"


def _each(program: Any, documents: Iterable[str], alive: Callable[[], None]) -> Iterator[str]:
    """What `_run` gives for each document: one stream of all is no faster, and loses count."""
    for document in documents:
        yield _run(program, document)
        alive()


def _flags(results: Iterable[str]) -> tuple[dict[str, Any], str]:
    failures = _Failures()
    flags = [
        failures.add(position, result[1:], mark="E") if result.startswith("E") else result
        for position, result in enumerate(results)
    ]
    return failures.header(), "".join(flags)


def _outputs(results: Iterable[str]) -> tuple[dict[str, Any], str]:
    failures, texts, room = _Failures(), list[str](), _LONGEST_OUTPUTS
    for position, result in enumerate(results):
        room -= len(result)
        if result.startswith("E"):
            texts.append(failures.add(position, result[1:], mark=""))
        elif room < 0:
            texts.append(failures.add(position, _TOO_LONG, mark=""))
        else:
            texts.append(result)
    return {"sizes": [len(text) for text in texts], **failures.header()}, "".join(texts)


def _together(program: Any, documents: list[str]) -> tuple[dict[str, Any], str]:
    array = "[" + ",\n".join(documents) + "]"
    result = _run(program, array, count=len(documents))
    if len(result) > _LONGEST_OUTPUTS:
        result = "E" + _TOO_LONG
    failures = _Failures()
    if result.startswith("E"):
        result = failures.add(0, result[1:], mark="")
    return {"sizes": [len(result)], **failures.header()}, result


class _Failures:
    """On how many documents a program failed, and how on the first."""

    def __init__(self) -> None:
        self._erred = 0
        self._first: dict[str, Any] = {}

    def add(self, position: int, error: str, *, mark: str) -> str:
        self._erred += 1
        if not self._first:
            self._first = {"position": position, "error": error[:_LONGEST_ERROR]}
        return mark

    def header(self) -> dict[str, Any]:
        return {"erred": self._erred, **self._first}


@functools.lru_cache(maxsize=64)
def _compiled(program: str, args: str, mode: str) -> Any:
    """The wrapped program, ready to run; ValueError with a caret under a mistake."""
    import jq

    _refuse_what_is_not_available(program)
    values = json.loads(args)
    try:
        jq.compile(program, args=values)  # alone: for its own words, and so that it is balanced
    except ValueError as error:
        raise ValueError(_tidied(str(error))) from error
    try:
        return jq.compile(_WRAPPED[mode] % program, args=values)
    except ValueError as error:
        raise ValueError("jq: there is no expression; `.` is the whole document") from error


def _run(program: Any, document: str, *, count: int | None = None) -> str:
    """What the wrapped program gives, or E and the error in words.

    With `count` the document is an array of as many, whose length comes before the result: it is
    another one where a piece was not one JSON text.
    """
    try:
        results = _results(program, document)
    except ValueError as error:
        return f"E{error}"
    if len(results) != 1:
        return "E" + _NOT_ONE
    result = results[0]
    if count is not None:
        length, _, result = result.partition(" ")
        if length != str(count):
            return "E" + _NOT_ONE
    return f"E{_error_text(result[1:])}" if result.startswith("E") else result


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


def _alive(deadline_s: float) -> Callable[[], None]:
    """What tells the parent, now and then, that the helper gets on; the time limit starts anew."""
    told = time.monotonic()
    _end_without_parent_after(deadline_s + 1)

    def alive() -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > _SIGN_OF_LIFE_S:
            told = now
            _end_without_parent_after(deadline_s + 1)
            sys.stdout.buffer.write(_SIZES.pack(0, 0))
            sys.stdout.buffer.flush()

    return alive


def _receive() -> tuple[dict[str, Any], str] | None:
    read = sys.stdin.buffer.read
    head = read(_SIZES.size)
    if len(head) < _SIZES.size:
        return None
    header_size, text_size = _SIZES.unpack(head)
    header = json.loads(read(header_size))
    return header, read(text_size).decode(errors="surrogatepass")


def _send(header: dict[str, Any], text: str) -> None:
    head, body = json.dumps(header).encode(), text.encode()
    sys.stdout.buffer.write(_SIZES.pack(len(head), len(body)) + head)
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
