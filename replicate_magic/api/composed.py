"""Owns the request that an address and fields mean; must not send it, or read a file itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from replicate_magic.api import operations
from replicate_magic.api.operations import READING
from replicate_magic.api.protocol import APIRequest
from replicate_magic.cell import check
from replicate_magic.cell.coerce import read_json
from replicate_magic.cell.grammar import Given
from replicate_magic.cell.options import duration, seconds_to_wait
from replicate_magic.cell.plan import Target, as_sent, read_target
from replicate_magic.cell.schema import InputField
from replicate_magic.errors import CellError, InputError
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicate_magic.api.address import Address
    from replicate_magic.api.operations import Field, Operation

    ReadBytes = Callable[[Path, int], bytes]

_MOST_BYTES = 10_000_000  # of a file that is read as JSON
_END = "Nothing was sent."
_DEPLOYMENTS = re.compile(r"/deployments(/[^/]+/[^/]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The prediction that a request creates.

    Attributes:
        target: what runs.
        version: what the body names for it; `None` where the path does.
        inputs: its inputs as they were written; the model's schema is to type them.
        beside: what else is in the body.
        wait_s: how long the answer may wait for the result, or `None`.
        cancel_after_s: after how long it is cancelled, or `None`.
    """

    target: Target
    version: str | None
    inputs: Mapping[str, Any]
    beside: Mapping[str, Any]
    wait_s: int | None
    cancel_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A request to the API, ready to be sent.

    Attributes:
        operation: what the description says of it, or `None` where it has no such operation.
        request: what is sent, but for what is made of the parts below.
        fields: what the body holds.
        creation: the prediction that it creates, if it does.
        form: the parts of the file that it sends, if it does: `content` and what is beside it.
    """

    operation: Operation | None
    request: APIRequest
    fields: Mapping[str, Any]
    creation: Creation | None = None
    form: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.request.method} {self.path}"

    @property
    def path(self) -> str:
        """Its path, without the query."""
        return self.request.path.partition("?")[0]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be sent again."""
        return self.request.method in READING

    @property
    def keeps_running(self) -> dict[str, Any]:
        """Of a deployment, the fields that may have it cost more from now on."""
        operation = self.operation
        if operation is None or operation.effect != "changes":
            return {}
        if not _DEPLOYMENTS.fullmatch(operation.path):
            return {}
        also = ["max_instances", "hardware"] if operation.method == "PATCH" else []
        names = ["min_instances", *also]
        return {name: self.fields[name] for name in names if self.fields.get(name)}


def composed(address: Address, read_bytes: ReadBytes, *, force: bool = False) -> Composed:
    """The request that an address and its fields mean.

    Args:
        address: where it goes, and the fields by name, as written (`Given`) or as objects; `a.b`
            is `b` within `a`.
        read_bytes: from a path and a number to that many bytes of the file; raises OSError.
        force: whether fields are sent that the description does not have, or refuses.

    Raises:
        CellError: the fields make no sense.
        InputError: they are unknown, missing, or of a wrong kind: all of them, one a line.
    """
    operation = operations.find(address.method, address.path)
    parts = _Parts(address, operation, force=force)
    query, headers, body = parts.read(read_bytes)
    request = APIRequest(
        method=address.method,
        path=f"{address.path}{'?' if query else ''}{urlencode(query)}",
        headers=headers,
    )
    made = Composed(operation=operation, request=request, fields=body)
    if operation is None or operation.takes == "json":
        if parts.creates:
            return replace(made, creation=_creation(address.path, body, headers))
        takes_body = operation is not None or bool(body)
        return replace(made, request=replace(request, json=body if takes_body else None))
    if operation.takes == "form":
        return replace(made, form=body)
    if operation.takes == "text":
        return replace(made, request=_with_text(request, "".join(map(str, body.values()))))
    return made


def _with_text(request: APIRequest, text: str) -> APIRequest:
    headers = {**request.headers, "content-type": "text/plain; charset=utf-8"}
    return replace(request, content=text.encode("utf-8", "replace"), headers=headers)


# -- the fields ---------------------------------------------------------------------------------


class _Parts:
    """The fields of a call, on their way to where each of them goes.

    Attributes:
        creates: whether the call creates a prediction.
    """

    def __init__(self, address: Address, operation: Operation | None, *, force: bool) -> None:
        self._operation = operation
        self._force = force
        self._subject = f"{address.method} {address.path}"
        self.creates = (
            operation is not None
            and operation.effect == "pays"
            and operation.path.endswith("/predictions")
        )
        self._in_query = address.method in READING and not (operation and operation.takes)
        written = {name: Given(text=text) for name, text in address.query if self._known(name)}
        self._query = [pair for pair in address.query if pair[0] not in written]
        self._tree = _nested({**written, **address.fields})

    def _known(self, name: str) -> Field | None:
        return self._operation.field(name) if self._operation else None

    def read(
        self, read_bytes: ReadBytes
    ) -> tuple[list[tuple[str, str]], dict[str, str], dict[str, Any]]:
        """Query, headers and body.

        Raises:
            InputError: all that is wrong with the fields, one a line.
        """
        query, headers, body = list(self._query), dict[str, str](), dict[str, Any]()
        problems: list[str] = []
        for name, value in self._tree.items():
            known = self._known(name)
            try:
                sent = self._sent(name, value, known, read_bytes)
            except InputError as error:
                problems.append(str(error).removesuffix(_END).rstrip())
                continue
            place = known.place if known else "query" if self._in_query else "body"
            match place:
                case "query":
                    query.append((name, _in_query(sent)))
                case "header":
                    headers[name.lower()] = str(sent)
                case _:
                    body[name] = sent
        problems += self._missing()
        if problems:
            end = f" {_END}" if len(problems) == 1 else f"\n{_END}"
            raise InputError("\n".join(problems) + end)
        return query, headers, body

    def _sent(self, name: str, value: Any, known: Field | None, read_bytes: ReadBytes) -> Any:
        """A field as it is sent; what a file is, and a prediction's input, is left as it is.

        Raises:
            InputError: it cannot be sent.
        """
        if self._operation and known is None and not self._force:
            raise InputError(_unknown(name, self._operation, self._subject))
        takes = known.takes if known else InputField(name=name)
        if self._operation and self._operation.takes == "form" and name == "content":
            return value
        if takes.types == ("object",):
            value = _object(name, value, read_bytes)
            if self.creates and name == "input":
                return value
        sent = as_sent(value, takes, read_bytes, force=self._force)
        if known and not self._force and (wrong := check.problem(takes, sent)):
            raise InputError(wrong)
        return sent

    def _missing(self) -> list[str]:
        if self._operation is None or self._force:
            return []
        given = {known.name for name in self._tree if (known := self._known(name))}
        missing = [
            one.name
            for one in self._operation.fields
            if one.required and one.place != "path" and one.name not in given
        ]
        return [f"{self._subject} requires {check.listed(missing)}."] if missing else []


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with `a.b` as `b` within `a`.

    Raises:
        CellError: one is given twice, or within another that is a value.
    """
    tree: dict[str, Any] = {}
    for name, value in sorted(fields.items(), key=lambda one: one[0].count(".")):
        *above, last = name.split(".")
        inner = tree
        for step in above:
            found = _opened(inner.setdefault(step, {}))
            if found is None:
                raise CellError(f"{name} stands within {step}, which is given as a value. {_END}")
            inner[step] = inner = found
        if last in inner:
            raise CellError(f"{name} is given twice. {_END}")
        inner[last] = value
    return tree


def _opened(value: Any) -> dict[str, Any] | None:
    """The object that a value is, to add to it; `None` where it is none."""
    if isinstance(value, Given) and value.kind != "file":
        try:
            value = read_json(value.text)
        except ValueError:
            return None
    return dict(value) if isinstance(value, Mapping) else None


def _object(name: str, value: Any, read_bytes: ReadBytes) -> Mapping[str, Any]:
    """What was written for an object: JSON, or a file of JSON.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, Given):
        raise InputError(f"{name} is {type(value).__name__}: expected an object. {_END}")
    text = value.text
    try:
        if value.kind == "file":
            text = read_bytes(Path(text).expanduser(), _MOST_BYTES).decode()
        found: Any = read_json(text)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or one_line(str(error))
        raise InputError(f"{name}: no JSON object is to be read there: {reason}. {_END}") from error
    if not isinstance(found, dict):
        raise InputError(
            f"{name}={one_line(text, limit=60)}: expected an object. It is written "
            f'{name}.key=value or {name}:={{"key": 1}}. {_END}'
        )
    return found


def _unknown(name: str, operation: Operation, subject: str) -> str:
    names = [one.name for one in operation.fields if one.place != "path"]
    if not names:
        return f"{subject} takes no fields, and {one_line(name, limit=60)} is one."
    return (
        f"{subject} has no field {one_line(name, limit=60)}.{check.nearest(name, names)} It takes "
        f"{check.listed(names)}. --force sends it all the same."
    )


def _in_query(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# -- a prediction -------------------------------------------------------------------------------


def _creation(path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Creation:
    """The prediction that a request creates.

    Raises:
        CellError: what runs, or a header, is none.
    """
    version = body.get("version")
    _, room, *names = map(unquote, path.split("/"))
    match room:
        case "predictions":
            target = _of_version(str(version))
        case "deployments":
            target = Target(kind="deployment", owner=names[0], name=names[1])
        case _:
            target = Target(kind="model", owner=names[0], name=names[1])
    prefer, after = headers.get("prefer"), headers.get("cancel-after")
    return Creation(
        target=target,
        version=None if version is None else str(version),
        inputs=body.get("input") or {},
        beside={name: one for name, one in body.items() if name not in {"input", "version"}},
        wait_s=None if prefer is None else _seconds_preferred(prefer),
        cancel_after_s=None if after is None else duration(after),
    )


def _of_version(version: str) -> Target:
    """What `version` names: a model, a model's version, or a version alone."""
    if "/" in version:
        return read_target(version)
    return Target(kind="version", owner="", name="", version=version)


def _seconds_preferred(text: str) -> int:
    """Of `wait` or `wait=N`, as the API has it."""
    word, _, seconds = text.replace(" ", "").partition("=")
    if word != "wait":
        raise CellError(f"Prefer={one_line(text, limit=40)}: it is wait, or wait=N. {_END}")
    return seconds_to_wait(seconds or 60)
