"""Owns which keys of a document a jq program can see; must not run a program or read a document.

It knows a small part of jq's grammar, and says nothing of a program outside it. What it follows is
where the whole document can be: only a path into it, `select`, `not` and a pipe may meet it there,
for all else would show which keys it has, in a value or in the words of an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_STRING = r'"(?:[^"\\]|\\[^(])*"'  # one that holds a program, "\(.a)", is none
_TOKEN = re.compile(
    rf"""[ \t\r\n]*+(?:
      (?P<field> \.(?:[A-Za-z_][A-Za-z0-9_]*|{_STRING}))
    | (?P<string> {_STRING})
    | (?P<number> (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<variable> \$[A-Za-z_][A-Za-z0-9_]*)
    | (?P<word> [A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign> [=!<>]=|//|[-+*/%<>|,;:.?()\[\]{{}}])
    | (?P<end> \Z)
    )""",
    re.VERBOSE,
)
_PLAIN_KEY = re.compile(r"[ !#-\[\]-~]+")  # has one spelling in a document, but for `\u` escapes
_OPERATORS = frozenset(
    {",", "//", "and", "or", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"}
)
_CONSTANTS = frozenset({"true", "false", "null", "empty", "not"})
# With `flags`, outputs are compared with the document. It has more levels than what is in it, and
# than what `+` and `*` merge of that; no function here makes an object, which could be equal to it.
_FUNCTIONS = frozenset({
    "abs", "add", "all", "any", "ascii_downcase", "ascii_upcase", "ceil", "contains",
    "endswith", "first", "floor", "fromdate", "gsub", "has", "IN", "index", "inside", "join",
    "keys", "last", "length", "ltrimstr", "map", "max", "min", "reverse", "round", "rtrimstr",
    "sort", "split", "startswith", "sub", "test", "tonumber", "tostring", "trim", "type",
    "unique",
})  # fmt: skip


def visible_keys(program: str, *, mode: str, variables: Collection[str]) -> tuple[str, ...]:
    """The keys at the top of a document without which no key changes what a program does.

    Args:
        program: a jq program; one that does not compile may get any answer.
        mode: what the program is for, in the words of `jq_worker`.
        variables: the arguments that it may name; none of them an object.

    Returns:
        The keys in the order of the program; none where it may see others, or is not understood.

    Example:
        `visible_keys("select(.a.b > 2)", mode="flags", variables=())` gives `("a",)`.
    """
    if mode not in ("flags", "outputs"):
        return ()
    try:
        reader = _Reader(program, variables)
        emits_whole = reader.pipe(whole=True)
        reader.expect("")
    except (_NotUnderstoodError, RecursionError):
        return ()
    if emits_whole if mode == "outputs" else reader.makes_objects:
        return ()
    return tuple(reader.keys)


class _NotUnderstoodError(Exception):
    """The program is outside of what is known here, or may see the whole document."""


class _Reader:
    """Reads a program once. What a method returns is whether that can be the whole document.

    `whole` is whether `.` can be it at that place. It changes at `|` and at a path alone, and `|`
    binds more loosely than all else: so the other operators are read as if they were one.
    """

    def __init__(self, program: str, variables: Collection[str]) -> None:
        self._tokens = list(_tokens(program))
        self._position = 0
        self._variables = variables
        self.keys: dict[str, None] = {}
        self.makes_objects = False

    def pipe(self, *, whole: bool, operators: frozenset[str] = _OPERATORS) -> bool:
        whole = self._operands(whole=whole, operators=operators)
        while self._takes("|"):
            whole = self._operands(whole=whole, operators=operators)
        return whole

    def expect(self, text: str) -> None:
        _require(self._takes(text))

    def _operands(self, *, whole: bool, operators: frozenset[str]) -> bool:
        is_alone = not self._takes("-")
        can_be_whole = self._term(whole=whole)
        while self._takes(*operators):
            is_alone = False
            self._takes("-")
            can_be_whole |= self._term(whole=whole)
        _require(is_alone or not can_be_whole)
        return can_be_whole

    def _term(self, *, whole: bool) -> bool:
        """A term with what follows it without an operator: `.name`, `?`, `[]`, `[0]`, `[1:-1]`."""
        can_be_whole = self._simple_term(whole=whole)
        while True:
            kind, text = self._tokens[self._position]
            if kind == "field":
                self._position += 1
                can_be_whole = self._field(text, whole=can_be_whole)
            elif self._takes("["):
                _require(not can_be_whole)
                self._index()
            elif not self._takes("?"):
                return can_be_whole

    def _simple_term(self, *, whole: bool) -> bool:
        kind, text = self._take()
        match kind:
            case "field":
                return self._field(text, whole=whole)
            case "sign":
                return self._sign(text, whole=whole)
            case "word":
                return self._word(text, whole=whole)
        _require(kind != "variable" or text[1:] in self._variables)
        return False

    def _sign(self, text: str, *, whole: bool) -> bool:
        match text:
            case "(":
                return self._closed(whole=whole)
            case "[":
                return self._array(whole=whole)
            case "{":
                return self._object(whole=whole)
        _require(text == "." and not whole)
        return False

    def _word(self, text: str, *, whole: bool) -> bool:
        if text == "select":
            self.expect("(")
            self._closed(whole=whole)
            return whole
        _require(text in _CONSTANTS or (text in _FUNCTIONS and not whole))
        if not whole and self._takes("("):
            self._closed(whole=False)
        return False

    def _closed(self, *, whole: bool) -> bool:
        """What is in parentheses; a function's arguments, too."""
        can_be_whole = self.pipe(whole=whole)
        while self._takes(";"):
            can_be_whole |= self.pipe(whole=whole)
        self.expect(")")
        return can_be_whole

    def _array(self, *, whole: bool) -> bool:
        if not self._takes("]"):
            _require(not self.pipe(whole=whole))
            self.expect("]")
        return False

    def _object(self, *, whole: bool) -> bool:
        self.makes_objects = True
        while not self._takes("}"):
            kind, text = self._take()
            _require(kind in ("word", "string"))
            if self._takes(":"):
                _require(not self.pipe(whole=whole, operators=_OPERATORS - {","}))
            else:
                self._field(text, whole=whole)
            self._takes(",")
        return False

    def _index(self) -> None:
        while not self._takes("]"):
            kind, text = self._take()
            _require(kind in ("number", "string") or text in (":", "-"))

    def _field(self, text: str, *, whole: bool) -> bool:
        if whole:
            key = text.removeprefix(".").strip('"')
            _require(_PLAIN_KEY.fullmatch(key) is not None)
            self.keys[key] = None
        return False

    def _takes(self, *texts: str) -> bool:
        """Whether the next token is one of these signs and words; if so, it is behind us."""
        kind, text = self._tokens[self._position]
        is_one = kind in ("sign", "word", "end") and text in texts
        self._position += is_one
        return is_one

    def _take(self) -> tuple[str, str]:
        token = self._tokens[self._position]
        _require(token[0] != "end")
        self._position += 1
        return token


def _tokens(program: str) -> Iterator[tuple[str, str]]:
    """Kinds and texts, the last one an empty `end`."""
    position = 0
    while True:
        token = _TOKEN.match(program, position)
        if token is None or token.lastgroup is None:
            raise _NotUnderstoodError
        yield token.lastgroup, token[token.lastgroup]
        if token.lastgroup == "end":
            return
        position = token.end()


def _require(understood: object) -> None:
    if not understood:
        raise _NotUnderstoodError
