"""Owns the request that a cell or a call means; must not send it or read a file itself.

`read_cell` takes the text apart and evaluates its expressions; once the model's schema is known,
`plan` types and checks the inputs. Both are functions of what they are handed.
"""

from __future__ import annotations

import base64
import json
import math
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell import schema as schemas
from replicate_magic.cell.grammar import Given, Line, split_header
from replicate_magic.cell.template import expand, value_of, whole_expression
from replicate_magic.errors import CellError, InputError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.cell.template import Evaluate

DATA_URL_BYTES = 256_000
"""What Replicate takes as a data URL (https://replicate.com/docs/reference/http#predictions.create)."""

_NAME = r"[A-Za-z0-9][\w.-]*"
_MODEL = re.compile(
    rf"(?P<deployment>deployment:)?(?P<owner>{_NAME})/(?P<name>{_NAME})(?::(?P<version>[\w.-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to run: `owner/name`, `owner/name:version` or `deployment:owner/name`."""

    kind: Literal["model", "version", "deployment"]
    owner: str
    name: str
    version: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it runs on the embedded engine."""
        return self.owner == "local"

    def __str__(self) -> str:
        prefix = "deployment:" if self.kind == "deployment" else ""
        suffix = f":{self.version}" if self.version else ""
        return f"{prefix}{self.owner}/{self.name}{suffix}"


def read_target(text: str) -> Target:
    """Read what was written for MODEL.

    Raises:
        CellError: it is none.
    """
    match = _MODEL.fullmatch(re.sub(r"^(https://)?(www\.)?replicate\.com/", "", text))
    if match and not (match["deployment"] and match["version"]):
        kind: Literal["model", "version", "deployment"] = (
            "deployment" if match["deployment"] else "version" if match["version"] else "model"
        )
        return Target(kind=kind, owner=match["owner"], name=match["name"], version=match["version"])
    if text.startswith(("http://", "https://")):
        raise CellError(
            f"{one_line(text, limit=80)}: running on a Cog server's address is not part of this "
            "version of replicate_magic."
        )
    if text.startswith(("{", "$")):
        raise CellError(f"{one_line(text, limit=80)}: a variable is written {{{{name}}}}.")
    raise CellError(
        f"{one_line(text, limit=80)} is not a model. Write owner/name, owner/name:version, "
        "deployment:owner/name, or local/smollm2-135m-instruct, which needs no account."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be sent.

    Attributes:
        target: what is to run.
        input: the `input` of the API's JSON.
        prompt: the text among it that the body goes to, or an empty string.
        schema: what was known of the model.
    """

    target: Target
    input: dict[str, Any]
    prompt: str = ""
    schema: schemas.Schema = field(default_factory=schemas.Schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A cell whose expressions are evaluated, and whose inputs wait for the model's schema.

    Attributes:
        inputs: as written (`Given`, expanded) or as objects.
        prompt: the body; `None` where it is blank.
        prompt_key: the input it was asked to go to.
        template: the body as it was written, where its expressions made another text of it.
    """

    inputs: Mapping[str, Any]
    prompt: str | None = None
    prompt_key: str | None = None
    template: str | None = None


def read_cell(line: Line, body: str | None, evaluate: Evaluate) -> Draft:
    """Evaluate what the line and the body hold.

    Raises:
        CellError: the header block, an expression or `--input-from` makes no sense.
    """
    options = line.options
    header: dict[str, Given] = {}
    text = body
    if text is not None and not options.raw:
        header, text = split_header(text)
    inputs = dict(_mapping_from(options.input_from, evaluate))
    for key, given in {**header, **line.inputs}.items():
        inputs[key] = given if options.raw else _expanded(given, evaluate)
    written = text
    if text is not None and not options.raw:
        text = expand(text, evaluate)
    prompt = text.removesuffix("\n") if text and text.strip() else None
    return Draft(
        inputs=inputs,
        prompt=prompt,
        prompt_key=options.prompt_key,
        template=written.removesuffix("\n") if written and written != text else None,
    )


def _mapping_from(name: str | None, evaluate: Evaluate) -> Mapping[str, Any]:
    if name is None:
        return {}
    try:
        found = evaluate(name)
    except NameError as error:
        raise CellError(f"--input-from {name}: there is no variable {name}.") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise CellError(f"--input-from {name}: that is no dict with names as keys.")
    return found


def _expanded(given: Given, evaluate: Evaluate) -> Any:
    """One `{{expression}}` alone gives its object; within text it gives its `str`."""
    whole = whole_expression(given.text) if given.kind == "text" else None
    if whole:
        return value_of(whole.source, evaluate)
    return Given(text=expand(given.text, evaluate), kind=given.kind)


def plan(
    target: Target, draft: Draft, schema: schemas.Schema, read_bytes: Callable[[Path, int], bytes]
) -> Request:
    """Type and check the inputs of a draft.

    Args:
        target: what is to run.
        draft: the inputs and the prompt.
        schema: the model's; an empty one takes everything.
        read_bytes: from a path and a number to that many bytes of the file; raises OSError.

    Raises:
        InputError: an input is unknown, missing, unreadable, too large, or of a wrong kind.
    """
    inputs = _with_prompt(target, draft, schema)
    fields = schema.fields or {}
    typed = {
        name: _sendable(name, value, fields.get(name), read_bytes) for name, value in inputs.items()
    }
    schemas.check(typed, schema, str(target))
    prompt = typed.get(draft.prompt_key or schema.prompt_key() or "")
    return Request(
        target=target, input=typed, prompt=prompt if isinstance(prompt, str) else "", schema=schema
    )


def _with_prompt(target: Target, draft: Draft, schema: schemas.Schema) -> dict[str, Any]:
    inputs = dict(draft.inputs)
    if draft.prompt is None:
        return inputs
    key = draft.prompt_key or schema.prompt_key()
    if key is None:
        raise InputError(
            f"{target} has no input that the body could go to. "
            f"Its inputs: {schemas.listed(schema.fields or ())}. "
            "--prompt-key NAME says which one it is. Nothing was sent."
        )
    if key in inputs:
        raise InputError(f"{key} is given twice: as an input and as the body. Nothing was sent.")
    inputs[key] = draft.prompt
    return inputs


def _sendable(
    name: str,
    value: Any,
    known: schemas.InputField | None,
    read_bytes: Callable[[Path, int], bytes],
) -> Any:
    try:
        typed = _typed(name, value, known, read_bytes)
        json.dumps(typed, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # infinity, a lone surrogate, a list in itself
        raise InputError(
            f"{name} cannot be sent as JSON: {one_line(str(error))}. Nothing was sent."
        ) from error
    return typed


def _typed(
    name: str,
    value: Any,
    known: schemas.InputField | None,
    read_bytes: Callable[[Path, int], bytes],
) -> Any:
    if isinstance(value, Given):
        match value.kind:
            case "json":
                return _json_value(name, value.text)
            case "text":
                return schemas.typed(value.text, known or schemas.InputField(name=name))
            case "file":
                value = Path(value.text)
    if isinstance(value, Path):
        return _from_file(name, value, known, read_bytes)
    if hasattr(value, "read") and not isinstance(value, type):
        return _from_open_file(name, value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _data_url(name, bytes(value), "")
    return _json_ready(name, value, read_bytes)


def _json_value(name: str, text: str) -> Any:
    try:
        return schemas.read_json(text)
    except ValueError as error:
        raise InputError(
            f"{name}:={one_line(text, limit=60)} is not JSON: {error}. Nothing was sent."
        ) from error


def _from_file(
    name: str,
    path: Path,
    known: schemas.InputField | None,
    read_bytes: Callable[[Path, int], bytes],
) -> str:
    """A file input gets a data URL; a text input gets the file's text."""
    try:
        data = read_bytes(path.expanduser(), DATA_URL_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path, no such user's home
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise InputError(f"{name}=@{path}: {reason}. Nothing was sent.") from error
    if known and known.is_free_text:
        _refuse_large(name, data)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{name} takes text, and {path} is none. Nothing was sent.") from error
    return _data_url(name, data, path.name)


def _from_open_file(name: str, file: Any) -> str:
    """A file opened as text gives its text, any other a data URL."""
    try:
        data = file.read(DATA_URL_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name} is a file that cannot be read: {error}. Nothing was sent."
        ) from error
    if isinstance(data, str):
        _refuse_large(name, data)
        return data
    path = getattr(file, "name", "")
    return _data_url(name, data, path if isinstance(path, str) else "")


def _data_url(name: str, data: bytes, file_name: str) -> str:
    _refuse_large(name, data)
    media_type = mimetypes.guess_type(file_name)[0] or media_type_of(data)
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _refuse_large(name: str, data: bytes | str) -> None:
    if len(data) > DATA_URL_BYTES:
        raise InputError(
            f"{name} is a file of more than {DATA_URL_BYTES:,} bytes, which is what a request "
            "takes. Put it at an https:// address and give that. Nothing was sent."
        )


_MAGIC_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
)


def media_type_of(data: bytes) -> str:
    """The media type that a file's first bytes tell, or `application/octet-stream`."""
    for start, media_type in _MAGIC_BYTES:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(
            data[8:12], "application/octet-stream"
        )
    return "application/octet-stream"


def _json_ready(name: str, value: Any, read_bytes: Callable[[Path, int], bytes]) -> Any:
    """The value as JSON can hold it; NumPy's scalars are unwrapped, files in a list are read."""
    if hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        value = value.item()
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            return [_typed(name, item, None, read_bytes) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _typed(name, item, None, read_bytes) for key, item in value.items()}
    raise InputError(
        f"{name} is {one_line(repr(value), limit=60)} ({type(value).__name__}), which cannot be "
        "sent as JSON. Nothing was sent."
    )
