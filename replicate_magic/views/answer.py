"""Owns what of a prediction is its answer, and of what kind; must not know a front end."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from replicate_magic.plain import one_line, printable
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.views import Answer

CUT = "…\n\n[this is the beginning; the value itself, in Python, has all of it]"
"""Stands at the end of JSON that is not whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer as text, and what that text is.

    Attributes:
        kind: `text` from a model, `json` and `files` as we write them.
        text: safe to print; not escaped for HTML.
        value: what the JSON is of.
    """

    kind: Literal["text", "json", "files"]
    text: str
    value: Any = None


def shown(
    prediction: Prediction,
    answer: Answer | None,
    look_format: Format,
    *,
    most_chars: int | None = None,
) -> Shown:
    """What is to be shown as the answer: what jq made of it, else text, JSON, or a line a file.

    Args:
        prediction: whose answer.
        answer: what is shown in place of its output.
        look_format: how it is shown.
        most_chars: of JSON that is longer the text is the beginning.
    """
    if answer is not None:
        if not answer.outputs:
            return Shown(kind="json", text="jq gave no output: None")
        return _value(answer.value, most_chars)
    if look_format == "json":
        return _json(_read_as_json(prediction), most_chars)
    if prediction.files and look_format in {"auto", "image"}:
        return Shown(kind="files", text="\n".join(map(file_line, prediction.files)))
    if prediction.output is None or prediction.is_text:
        return Shown(kind="text", text=printable(prediction.text))
    return _value(prediction.output, most_chars)


def _value(value: Any, most_chars: int | None) -> Shown:
    if isinstance(value, str):
        return Shown(kind="text", text=printable(value))
    return _json(value, most_chars)


def _json(value: Any, most_chars: int | None) -> Shown:
    return Shown(kind="json", text=printable(pretty(value, most_chars)), value=value)


def pretty(value: Any, most_chars: int | None = None) -> str:
    """A JSON value with its structure shown by indentation.

    Args:
        value: the value.
        most_chars: where there is more, or it is nested deeper than Python goes, the end says so.
    """
    written, length = [], 0
    try:
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            written.append(part)
            length += len(part)
            if most_chars is not None and length > most_chars:
                return "".join(written)[:most_chars] + CUT
    except RecursionError:
        return "".join(written) + CUT
    return "".join(written)


def _read_as_json(prediction: Prediction) -> Any:
    """A model's text is read as JSON where it is some; else it is the output itself."""
    if prediction.output is not None and not prediction.is_text:
        return prediction.output
    try:
        return json.loads(prediction.text)
    except (ValueError, RecursionError):
        return prediction.text if prediction.is_text else prediction.output


# -- files ------------------------------------------------------------------------------------


def file_line(file: OutputFile) -> str:
    """A file's address, its kind and size where they are known, and where it was saved."""
    url = one_line(file.url, limit=60 if file.url.startswith("data:") else 2_000)
    line = f"{url} ({file_facts(file)})" if file.size_bytes is not None else url
    return f"{line}, saved as {place(file.path)}" if file.path else line


def file_facts(file: OutputFile) -> str:
    """A file's kind and size."""
    return f"{_kind(file)}, {size(file.size_bytes)}"


def file_name(file: OutputFile) -> str:
    """What a file is called: the end of its address, else of its path."""
    url = "" if file.url.startswith("data:") else file.url
    try:
        named = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        named = ""
    return one_line(named or (file.path.name if file.path else ""), limit=80) or "file"


def _kind(file: OutputFile) -> str:
    """Its media type, else the end of its name: many have none, as those of models and weights."""
    if file.media_type and file.media_type != "application/octet-stream":
        return file.media_type
    _, dot, ending = file_name(file).rpartition(".")
    is_telling = dot and ending.isalnum() and len(ending) <= 12
    return ending.lower() if is_telling else file.media_type or "file"


def place(path: Path) -> str:
    """Where a saved file lies, written as short as it is true: from here, from home, or in full."""
    for base, mark in ((_cwd(), ""), (Path("~").expanduser(), "~/")):
        if path.is_relative_to(base):
            return mark + one_line(path.relative_to(base).as_posix(), limit=1_000)
    return one_line(str(path), limit=1_000)


def address(file: OutputFile) -> str:
    """Where a click leads, as a URL: to the saved file where a page finds it, else to where it lay.

    A page finds what lies below its notebook; servers hide names that begin with a dot.
    """
    if file.path is not None:
        path = file.path.parent.resolve() / file.path.name
        base = _notebook_folder().resolve()
        parts = path.relative_to(base).parts if path.is_relative_to(base) else (".",)
        if not any(part.startswith(".") for part in parts):
            return quote("/".join(parts), safe="/")
    return printable(file.url) if file.url.startswith(("https://", "http://")) else ""


def _notebook_folder() -> Path:
    """Jupyter's servers tell a kernel its notebook; elsewhere kernels begin beside it."""
    notebook = Path(os.environ.get("JPY_SESSION_NAME", ""))
    return notebook.parent if notebook.is_absolute() and notebook.parent.is_dir() else _cwd()


def _cwd() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was deleted: nothing lies there
        return Path(os.devnull)
