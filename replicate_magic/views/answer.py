"""Owns what of a prediction is its answer, and of what kind; must not know a front end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.plain import one_line, printable
from replicate_magic.views.status import size

if TYPE_CHECKING:
    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import OutputFile, Prediction
    from replicate_magic.views import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer as text, and what that text is.

    Attributes:
        kind: `text` from a model, `json` and `files` as we write them.
        text: safe to print; not escaped for HTML.
    """

    kind: Literal["text", "json", "files"]
    text: str


def shown(prediction: Prediction, answer: Answer | None, look_format: Format) -> Shown:
    """What is to be shown as the answer: what jq made of it, else text, JSON, or a line a file."""
    if answer is not None:
        if not answer.outputs:
            return Shown(kind="json", text="jq gave no output: None")
        return _value(answer.value)
    if look_format == "json":
        return Shown(kind="json", text=printable(_read_as_json(prediction)))
    if prediction.files and look_format in {"auto", "image"}:
        return Shown(kind="files", text="\n".join(map(file_line, prediction.files)))
    text = prediction.text
    if prediction.output is None or prediction.is_text:
        return Shown(kind="text", text=printable(text))
    return _value(prediction.output)


def file_line(file: OutputFile) -> str:
    """A file's address, with its kind and size where they are known."""
    url = one_line(file.url, limit=60 if file.url.startswith("data:") else 2_000)
    return f"{url} ({file_facts(file)})" if file.size_bytes is not None else url


def file_facts(file: OutputFile) -> str:
    """A file's kind and size."""
    return f"{file.media_type or 'file'}, {size(file.size_bytes)}"


def _value(value: Any) -> Shown:
    if isinstance(value, str):
        return Shown(kind="text", text=printable(value))
    return Shown(kind="json", text=printable(pretty(value)))


def pretty(value: Any) -> str:
    """A JSON value with its structure shown by indentation."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _read_as_json(prediction: Prediction) -> str:
    """A model's text is read as JSON where it is some; else the output's own JSON is shown."""
    try:
        return pretty(json.loads(prediction.text))
    except (ValueError, RecursionError):
        return pretty(prediction.text if prediction.is_text else prediction.output)
