"""Owns writing inputs as a cell that reads back as the same inputs; must not run it.

The inputs may be a stranger's: whoever runs the cell must not run what stands in them, so that no
`{{expression}}` is left in it but their own texts and, for a secret, a variable's name.
Each piece is read back by the grammar before it is taken.
"""

from __future__ import annotations

import ast
import json
import mimetypes
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.cell import coerce
from replicate_magic.cell.check import fits, is_same
from replicate_magic.cell.grammar import Given, parse_line, split_header
from replicate_magic.cell.schema import InputField
from replicate_magic.cell.template import expand, expressions
from replicate_magic.errors import CellError
from replicate_magic.plain import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from replicate_magic.cell.schema import Schema

_LINE_CHARS = 96
_SHORT_CHARS = 60  # of what stands on the line
_MOST_CHARS = 20_000  # of a value
_MOST_RUN_CHARS = 200_000  # of a value of a run that was paid for
_MOST_FILE_CHARS = 4_000  # of a data URL
_PATH = "PATH"
_MISTAKEN = re.compile(r"\s*(?:---|>>>|\.\.\.|In \[)")
"""How a body may begin that is taken for a header block, or for a prompt that IPython strips."""


class _Piece(NamedTuple):
    """An input, and what it is.

    Attributes:
        most_chars: how long its value may be.
        path: what stands for a file that is too long.
    """

    field: InputField
    value: Any
    most_chars: int = _MOST_CHARS
    path: str = _PATH


def write_cell(model: str, inputs: Mapping[str, Any], schema: Schema) -> str:
    """A cell that runs a model with these inputs; empty where one that is required is not there.

    Left out is what the model takes by itself, what its schema does not know or refuses, and what
    cannot be written. A secret is a variable of its name, a file that is too long `@PATH`.

    Args:
        model: as it is written for MODEL.
        inputs: by name, as the API has them.
        schema: the model's.
    """
    pieces = {piece.field.name: piece for piece in _pieces(inputs, schema)}
    cell, written = _assembled(f"%%replicate {model}", pieces, schema.prompt_key())
    if any(field.required and name not in written for name, field in (schema.fields or {}).items()):
        return ""
    return cell


def write_run(
    model: str, inputs: Mapping[str, Any], schema: Schema, secrets: Collection[str]
) -> tuple[str, list[str]]:
    """A cell that sends these very inputs again, also those that the model takes by itself.

    A secret is a variable of its name, a file that is too long `@` and a name: `file_named`.

    Args:
        model: as it is written for MODEL.
        inputs: by name, as they were sent.
        schema: the model's; an empty one takes everything.
        secrets: the names of those that are secret.

    Returns:
        The cell, and the names of the inputs that cannot be written in one.
    """
    pieces = {name: _piece(name, value, schema, secrets) for name, value in inputs.items()}
    refused = schema.fields is not None and not all(
        name in schema.fields and _is_taken(piece) for name, piece in pieces.items()
    )
    line = f"%%replicate {model}{' --force' if refused else ''}"
    cell, written = _assembled(line, dict(pieces), schema.prompt_key())
    return cell, [name for name in pieces if name not in written]


def file_named(name: str, url: str) -> str:
    """What a file may be called that an input holds as a `data:` URL: such as `image.png`."""
    media_type = re.split("[;,]", url[5:100], maxsplit=1)[0]
    ending = mimetypes.guess_extension(media_type) or ".bin"
    return f"{re.sub(r'[^0-9A-Za-z_-]', '_', name[:60]) or 'file'}{ending}"


def is_long_file(value: Any) -> bool:
    """Whether it is a file as a `data:` URL that is too long to be written."""
    return isinstance(value, str) and value.startswith("data:") and len(value) > _MOST_FILE_CHARS


def _piece(name: str, value: Any, schema: Schema, secrets: Collection[str]) -> _Piece:
    field = (schema.fields or {}).get(name) or InputField(name=name)
    field = replace(field, is_secret=field.is_secret or name in secrets)
    path = file_named(name, value) if is_long_file(value) else _PATH
    return _Piece(field, value, _MOST_RUN_CHARS, path)


def _is_taken(piece: _Piece) -> bool:
    if piece.field.is_secret or is_long_file(piece.value):
        return True
    try:
        return fits(piece.field, coerce.fitted(piece.value, piece.field))
    except RecursionError:
        return False


def _assembled(line: str, pieces: dict[str, _Piece], key: str | None) -> tuple[str, set[str]]:
    """The cell of these inputs, and the names of those that could be written."""
    body = _body(pieces[key]) if key is not None and key in pieces else None
    if body is not None:
        del pieces[str(key)]
    header: list[str] = []
    written = {str(key)} if body is not None else set[str]()
    for piece in pieces.values():
        token = _on_line(piece)
        fits_in = len(token) <= min(_SHORT_CHARS, _LINE_CHARS - len(line) - 1)
        if token and fits_in and body is not None:
            line = f"{line} {token}"
        elif entry := _in_header(piece):
            header.append(entry)
        else:
            continue
        written.add(piece.field.name)
    if header or body is None or _MISTAKEN.match(body):
        header = ["---", *header, "---"]
    return "\n".join([line, *header, *([] if body is None else [body])]), written


def _pieces(inputs: Mapping[str, Any], schema: Schema) -> Iterator[_Piece]:
    for name, value in inputs.items():
        field = InputField(name=name) if schema.fields is None else schema.fields.get(name)
        if field is None or value is None:
            continue
        if field.is_secret:
            if field.required:
                yield _Piece(field, value)
            continue
        is_left_alone = not field.required and is_same(value, field.default)
        try:
            taken = fits(field, coerce.fitted(value, field))
        except RecursionError:
            continue
        if taken and not is_left_alone:
            yield _Piece(field, value)


# -- the body ---------------------------------------------------------------------------------


def _body(piece: _Piece) -> str | None:
    """The text as a body, its own expressions as texts; `None` where a body cannot hold it."""
    text = piece.value
    if piece.field.is_list_of_text and isinstance(text, list) and len(text) == 1:
        [text] = text
    if not isinstance(text, str) or not text.strip() or len(text) > piece.most_chars:
        return None
    if printable(text) != text or text.startswith("\n") or piece.field.is_secret:
        return None
    written = _quoted(text)
    try:
        reads_back = expand(written, ast.literal_eval) == text
    except CellError:
        return None
    return (f"{written}\n" if text.endswith("\n") else written) if reads_back else None


def _quoted(text: str) -> str:
    """The text with each expression as the expression of a text: `{{"{{name}}"}}`."""
    parts, done = [], 0
    for found in expressions(text):
        literal = json.dumps(text[found.start : found.end], ensure_ascii=False)
        parts += [text[done : found.start], f"{{{{{literal}}}}}"]
        done = found.end
    return "".join([*parts, text[done:]])


# -- an input ---------------------------------------------------------------------------------


def _on_line(piece: _Piece) -> str:
    """Such as `key=value`, or an empty string where a line cannot hold it."""
    name, (text, as_json) = piece.field.name, _written(piece)
    tries = [f"{name}={text}", f'{name}="{text}"', f"{name}='{text}'"] if text is not None else []
    return next(filter(lambda one: _line_says(one, piece), [*tries, f"{name}:={as_json}"]), "")


def _in_header(piece: _Piece) -> str:
    """Such as `key: value`, or an empty string where a header block cannot hold it."""
    name, (text, as_json) = piece.field.name, _written(piece)
    tries = [f"{name}: {text}", f'{name}: "{text}"'] if text is not None else []
    if text is not None and "\n" in text:
        tries.append("\n  ".join([f"{name}: |", *text.split("\n")]))
    return next(filter(lambda one: _header_says(one, piece), [*tries, f"{name}:= {as_json}"]), "")


def _written(piece: _Piece) -> tuple[str | None, str]:
    """The value as it may stand behind `=`, and as JSON."""
    value = piece.value
    if piece.field.is_secret:
        return _variable(piece.field.name), ""
    if is_long_file(value):
        return f"@{piece.path}", ""
    as_json = _json(value)
    if len(as_json) > piece.most_chars:
        return None, ""
    if isinstance(value, str):
        return value, as_json
    return (as_json if isinstance(value, bool | int | float) else None), as_json


def _json(value: Any) -> str:
    """JSON that holds no `{{` and nothing that cannot be seen; both stand within texts only."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        if printable(text) != text or len(text.splitlines()) > 1:
            text = json.dumps(value).replace("\x7f", "\\u007f")
    except (TypeError, ValueError, RecursionError):
        return ""
    return text.replace("{{", "{\\u007b")


def _line_says(written: str, piece: _Piece) -> bool:
    """Whether it is the input, whatever stands before and behind it on the line."""
    if "{{" in written and not piece.field.is_secret:
        return False
    if len(written.splitlines()) != 1 or printable(written) != written:
        return False
    try:
        line = parse_line(f"a/b {written} c/d")
    except CellError:
        return False
    alone = line.words == ("a/b", "c/d") and list(line.inputs) == [piece.field.name]
    return alone and _is_meant(line.inputs[piece.field.name], piece)


def _header_says(written: str, piece: _Piece) -> bool:
    if written.splitlines() != written.split("\n") or printable(written) != written:
        return False
    try:
        inputs, rest = split_header(f"---\n{written}\n---\n")
    except CellError:
        return False
    alone = not rest and list(inputs) == [piece.field.name]
    return alone and _is_meant(inputs[piece.field.name], piece)


def _is_meant(given: Given, piece: _Piece) -> bool:
    if piece.field.is_secret:
        return given == Given(text=_variable(piece.field.name))
    if is_long_file(piece.value):
        return given == Given(text=piece.path, kind="file")
    if given.kind == "file" or next(expressions(given.text), None):
        return False
    try:
        if given.kind == "json":
            return _are_alike(coerce.read_json(given.text), piece.value)
        read = coerce.fitted(coerce.typed(given.text, piece.field), piece.field)
        return _are_alike(read, coerce.fitted(piece.value, piece.field))
    except (CellError, ValueError, RecursionError):
        return False


def _are_alike(one: Any, other: Any) -> bool:
    return type(one) is type(other) and is_same(one, other)


def _variable(name: str) -> str:
    """The name as an expression."""
    return f"{{{{{re.sub(r'[^0-9A-Za-z_]', '_', name)}}}}}"
