"""Owns the request that a cell or a call means; must not send it or read a file itself.

`read_cell` takes the text apart and evaluates its expressions; once the model's schema is known,
`plan` types and checks the inputs. Both are functions of what they are handed.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.cell import chat, check, coerce, files
from replicate_magic.cell.address import server_address
from replicate_magic.cell.grammar import Given, Line, split_header
from replicate_magic.cell.objects import Encoded, as_file
from replicate_magic.cell.schema import InputField, Schema
from replicate_magic.cell.template import expand, value_of, whole_expression
from replicate_magic.errors import CellError, InputError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicate_magic.cell.template import Evaluate

_NAME = r"[A-Za-z0-9][\w.-]*"
_MODEL = re.compile(
    rf"(?P<deployment>deployment:)?(?P<owner>{_NAME})/(?P<name>{_NAME})(?::(?P<version>[\w.-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to run: `owner/name`, `owner/name:version`, `deployment:owner/name`, a Cog server.

    Attributes:
        name: of a Cog server the address, such as `http://localhost:5000`; it has no owner. Empty
            for a version that was named alone.
    """

    kind: Literal["model", "version", "deployment", "cog"]
    owner: str
    name: str
    version: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it runs on the embedded engine."""
        return self.owner == "local"

    def __str__(self) -> str:
        if self.kind == "cog":
            return self.name
        if not self.name:
            return f"version {self.version}"
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
    if address := server_address(text):
        return Target(kind="cog", owner="", name=address)
    if text.startswith(("{", "$")):
        raise CellError(f"{one_line(text, limit=80)}: a variable is written {{{{name}}}}.")
    raise CellError(
        f"{one_line(text, limit=80)} is not a model. Write owner/name, owner/name:version, "
        "deployment:owner/name, http://host:port for a Cog server, or "
        "local/smollm2-135m-instruct, which needs no account."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be sent.

    Attributes:
        target: what is to run.
        input: the `input` of the API's JSON.
        prompt: the text among it that the body goes to, or an empty string, as for a secret.
        schema: what was known of the model.
    """

    target: Target
    input: dict[str, Any]
    prompt: str = ""
    schema: Schema = field(default_factory=Schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A cell whose expressions are evaluated, and whose inputs wait for the model's schema.

    Attributes:
        inputs: as written (`Given`, expanded) or as objects.
        prompt: the body; `None` where it is blank.
        prompt_key: the input it was asked to go to.
        template: the body as it was written, where its expressions made another text of it.
        force: send what the schema refuses all the same, typed as far as it can be.
    """

    inputs: Mapping[str, Any]
    prompt: str | None = None
    prompt_key: str | None = None
    template: str | None = None
    force: bool = False


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
    inputs = {**line.base, **_mapping_from(options.input_from, evaluate)}
    for key, given in {**header, **line.inputs}.items():
        inputs[key] = given if options.raw else expanded(given, evaluate)
    written = text
    if text is not None and not options.raw:
        text = expand(text, evaluate)
    prompt = text.removesuffix("\n") if text and text.strip() else None
    return Draft(
        inputs=inputs,
        prompt=prompt,
        prompt_key=options.prompt_key,
        template=written.removesuffix("\n") if written and written != text else None,
        force=options.force,
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


def expanded(given: Given, evaluate: Evaluate) -> Any:
    """One `{{expression}}` alone gives its object; within text it gives its `str`.

    Raises:
        TemplateError: an expression could not be evaluated.
    """
    whole = whole_expression(given.text) if given.kind == "text" else None
    if whole:
        return value_of(whole.source, evaluate)
    return Given(text=expand(given.text, evaluate), kind=given.kind)


def plan(
    target: Target, draft: Draft, schema: Schema, read_bytes: Callable[[Path, int], bytes]
) -> Request:
    """Type and check the inputs of a draft.

    Args:
        target: what is to run.
        draft: the inputs and the prompt.
        schema: the model's; an empty one takes everything.
        read_bytes: from a path and a number to that many bytes of the file; raises OSError.

    Raises:
        InputError: inputs are unknown, missing, unreadable, too large, or of a wrong kind: all
            of them, one a line. With `force` only what cannot be sent at all is told.
    """
    inputs = _with_prompt(target, draft, schema, read_bytes)
    fields = schema.fields or {}
    sendable: dict[str, Any] = {}
    failed: dict[str, InputError] = {}
    for name, value in inputs.items():
        known = fields.get(name) or InputField(name=name)
        try:
            sendable[name] = as_sent(value, known, read_bytes, force=draft.force)
        except InputError as error:
            failed[name] = error
    check.check(sendable, Schema() if draft.force else schema, str(target), failed)
    key = draft.prompt_key or schema.prompt_key() or ""
    prompt = "" if key in fields and fields[key].is_secret else sendable.get(key)
    return Request(
        target=target,
        input=sendable,
        prompt=prompt if isinstance(prompt, str) else chat.said_last(sendable, schema),
        schema=schema,
    )


def _with_prompt(
    target: Target, draft: Draft, schema: Schema, read_bytes: Callable[[Path, int], bytes]
) -> dict[str, Any]:
    inputs = dict(draft.inputs)
    if draft.prompt is None:
        return inputs
    if conversation := chat.heard_in(draft, schema):
        said = _said_in(conversation, inputs.get(conversation.name, []), read_bytes)
        if said is not None:
            return {**inputs, conversation.name: chat.continued(said, draft.prompt)}
        return {**inputs, "prompt": draft.prompt} if draft.force else inputs
    key = draft.prompt_key or schema.prompt_key() or ("prompt" if draft.force else None)
    if key is None:
        raise InputError(
            f"{target} has no input that the body could go to. "
            f"Its inputs: {check.listed(schema.fields or ())}. "
            "--prompt-key NAME says which one it is. Nothing was sent."
        )
    if key in inputs:
        raise InputError(f"{key} is given twice: as an input and as the body. Nothing was sent.")
    known = (schema.fields or {}).get(key)
    inputs[key] = [draft.prompt] if known and known.is_list_of_text else draft.prompt
    return inputs


def _said_in(
    conversation: InputField, value: Any, read_bytes: Callable[[Path, int], bytes]
) -> list[Any] | None:
    """What was said so far; `None` where it is no list of messages, which is told later."""
    try:
        said = _typed(value, conversation, read_bytes)
    except InputError:
        return None
    return said if isinstance(said, list) else None


def as_sent(
    value: Any, known: InputField, read_bytes: Callable[[Path, int], bytes], *, force: bool
) -> Any:
    """A value as JSON, typed by what takes it; it may be another than that takes.

    Args:
        value: as it was written (`Given`), or any object.
        known: what takes it.
        read_bytes: from a path and a number to that many bytes of the file; raises OSError.
        force: whether text that cannot be typed so is typed as if nothing were known.

    Raises:
        InputError: it cannot be read, typed or sent.
    """
    try:
        typed = coerce.fitted(_typed(value, known, read_bytes), known)
        json.dumps(typed, allow_nan=False, ensure_ascii=False).encode()
    except InputError:
        if force and isinstance(value, Given | Path) and known.types:
            untyped = InputField(name=known.name, is_secret=known.is_secret)
            return as_sent(value, untyped, read_bytes, force=False)
        raise
    except (ValueError, RecursionError) as error:  # infinity, a lone surrogate, a list in itself
        reason = "" if known.is_secret else f": {one_line(str(error))}"
        raise InputError(
            f"{known.name} cannot be sent as JSON{reason}. Nothing was sent."
        ) from files.cause(error, known)
    return typed


def _typed(value: Any, known: InputField, read_bytes: Callable[[Path, int], bytes]) -> Any:
    match value:
        case Given(kind="json"):
            return _json_value(value.text, known)
        case Given(kind="text"):
            return coerce.typed(value.text, known)
        case Given(kind="file"):
            return files.from_path(Path(value.text), known, read_bytes)
    return _from_object(value, known, read_bytes)


def _from_object(value: Any, known: InputField, read_bytes: Callable[[Path, int], bytes]) -> Any:
    value = coerce.unwrapped(as_file(value, known), known)
    if isinstance(value, Encoded):
        return files.data_url(known.name, value.data, value.name)
    if isinstance(value, Path):
        return files.from_path(value, known, read_bytes)
    if hasattr(value, "read") and not isinstance(value, type):
        return files.from_open_file(known.name, value)
    if isinstance(value, bytes | bytearray | memoryview):
        return files.data_url(known.name, bytes(value), "")
    return _json_ready(value, known, read_bytes)


def _json_value(text: str, known: InputField) -> Any:
    try:
        return coerce.read_json(text)
    except ValueError as error:
        shown = "(secret)" if known.is_secret else one_line(text, limit=60)
        raise InputError(
            f"{known.name}:={shown} is not JSON: {error}. Nothing was sent."
        ) from files.cause(error, known)


def _json_ready(value: Any, known: InputField, read_bytes: Callable[[Path, int], bytes]) -> Any:
    """The value as JSON can hold it; files in a list or an object are read."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case list() | tuple():
            item = known.item or InputField(name=known.name, is_secret=known.is_secret)
            return [_typed(one, item, read_bytes) for one in value]
        case dict() if all(isinstance(key, str) for key in value):
            part = InputField(name=known.name, is_secret=known.is_secret)
            return {key: _typed(one, part, read_bytes) for key, one in value.items()}
    shown = "(secret)" if known.is_secret else one_line(repr(value), limit=60)
    raise InputError(
        f"{known.name} is {shown} ({type(value).__name__}), which cannot be sent as JSON. "
        "Nothing was sent."
    )
