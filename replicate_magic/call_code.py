"""Owns a run written as code: for curl, for Python's official client, as a cell; must not send it.

The token stands in none of it, nor does a secret. What a run was given may be a stranger's: it is
quoted, so that whoever runs the code runs nothing else.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pprint import pformat
from typing import TYPE_CHECKING, Any

from replicate_magic.api import protocol
from replicate_magic.api.protocol import APIRequest, Create
from replicate_magic.cell.example import file_named, is_long_file, write_run
from replicate_magic.cell.schema import Schema
from replicate_magic.plain import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from replicate_magic.cell.plan import Target

ENGINE_PORT = 8000
ENGINE_BASE = f"http://127.0.0.1:{ENGINE_PORT}/v1"
"""Where the embedded engine is once it is started by hand."""

_MOST_ARGUMENT_BYTES = 100_000  # Linux takes 128 kB (execve(2), MAX_ARG_STRLEN)
_ENGINE = (
    "First, in a terminal of its own, the engine, which prints the token to set:",
    f"  python -m replicate_magic.local --port {ENGINE_PORT}",
)
_FILE = "{} stands for the file that was sent ({} characters as a data: URL): {}."
_HIDDEN = "{} stands for a secret, which no history has."
_NOT_WRITTEN = (
    "Not in the cell, since it cannot be written there: {}. Add it as name={{{{variable}}}}."
)
_SHOWN = {
    "chunks": 'print("".join(output))',
    "files": "for file in output:\n    print(file.url)",
    "file": "print(output.url)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A run as code. It shows itself; `print(code.curl)` gives a line to copy.

    Attributes:
        curl: for a POSIX shell.
        python: with the official client, `pip install replicate`.
        cell: for a notebook, as it is.
        notes: what is to be known before the cell is run, in sentences.
    """

    curl: str
    python: str
    cell: str
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return str(self._repr_mimebundle_()["text/plain"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # The one import upwards: IPython asks the value itself how it is shown.
        from replicate_magic.views.call_code import code_bundle

        return code_bundle(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a run asked for.

    Attributes:
        target: what ran.
        version: the version to name in the request, or `None` for the target's own route.
        base: the API's address, or a Cog server's.
        inputs: as they were sent.
        secrets: the names of those that are secret.
        schema: the model's, where it is known.
    """

    target: Target
    version: str | None
    base: str
    inputs: Mapping[str, Any]
    secrets: Collection[str] = ()
    schema: Schema = field(default_factory=Schema)

    @property
    def is_on_a_server(self) -> bool:
        """Whether a Cog server runs it."""
        return self.target.kind == "cog"


def write_code(call: Call) -> Code:
    """The same request three times."""
    cell, missing = write_run(str(call.target), call.inputs, call.schema, call.secrets)
    notes = [_HIDDEN.format(f"The variable {name}") for name in _secret(call)]
    notes += [
        f"{name} is the file that was sent: save it under that name." for name in _names(call)
    ]
    if missing:
        notes.append(_NOT_WRITTEN.format(", ".join(one_line(name, limit=60) for name in missing)))
    return Code(curl=_curl(call), python=_python(call), cell=cell, notes=tuple(notes))


# -- what stands in place of files and secrets --------------------------------------------------


class _File:
    """A file, in Python code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"open({json.dumps(self.name)}, 'rb')"


def _secret(call: Call) -> list[str]:
    return [one_line(name, limit=60) for name in call.inputs if name in call.secrets]


def _placeholder(name: str) -> str:
    safe = "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
    return f"YOUR_{safe.upper()}"


def _shown(call: Call, make: type) -> dict[str, Any]:
    """The inputs, with something to be replaced where a secret or a large file was.

    Args:
        call: what was asked for.
        make: what a file's name becomes.
    """

    def of(name: str, value: Any) -> Any:
        if is_long_file(value):
            return make(file_named(name, value))
        if isinstance(value, list):
            return [of(f"{name}_{place}", one) for place, one in enumerate(value, 1)]
        if isinstance(value, dict):
            return {key: of(str(key), one) for key, one in value.items()}
        return value

    return {
        name: _placeholder(name) if name in call.secrets else of(name, value)
        for name, value in call.inputs.items()
    }


def _files(call: Call) -> Iterator[tuple[str, str]]:
    """The large files, by the names that stand for them."""

    def within(name: str, value: Any) -> Iterator[tuple[str, str]]:
        if is_long_file(value):
            yield file_named(name, value), value
        elif isinstance(value, list):
            for place, one in enumerate(value, 1):
                yield from within(f"{name}_{place}", one)
        elif isinstance(value, dict):
            for key, one in value.items():
                yield from within(str(key), one)

    for name, value in call.inputs.items():
        yield from within(name, value)


def _names(call: Call) -> list[str]:
    return [name for name, _ in _files(call)]


def _comments(call: Call, advice: str) -> list[str]:
    """What is to be known, each a line behind `#`."""
    said = list(_ENGINE) if call.base == ENGINE_BASE else []
    said += [_FILE.format(name, f"{len(url):,}", advice) for name, url in _files(call)]
    said += [_HIDDEN.format(_placeholder(name)) for name in call.inputs if name in call.secrets]
    return [f"# {line}" for line in said]


# -- curl ---------------------------------------------------------------------------------------


def _curl(call: Call) -> str:
    request = _request(call, _shown(call, str))
    body = _json(request.json)
    given, behind = f"-d {shlex.quote(body)}", ""
    if len(body.encode()) > _MOST_ARGUMENT_BYTES:
        given, behind = "--data-binary @- <<'JSON'", f"\n{body}\nJSON"
    headers = ['-H "Authorization: Bearer $REPLICATE_API_TOKEN"', "-H 'Prefer: wait'"]
    lines = [
        f"curl -s -X POST {shlex.quote(f'{call.base}{request.path}')}",
        *([] if call.is_on_a_server else headers),
        "-H 'Content-Type: application/json'",
        given,
    ]
    comments = _comments(call, "put its https:// address there, or the data: URL itself")
    return "\n".join([*comments, " \\\n  ".join(lines)]) + behind


def _request(call: Call, inputs: dict[str, Any]) -> APIRequest:
    if call.is_on_a_server:  # https://github.com/replicate/cog/blob/main/docs/http.md
        return APIRequest(method="POST", path="/predictions", json={"input": inputs})
    return protocol.create_request(Create(target=call.target, input=inputs, version=call.version))


def _json(value: Any) -> str:
    """On one line, and without what a terminal obeys or does not show."""
    text = json.dumps(value, ensure_ascii=False)
    if printable(text) == text and len(text.splitlines()) == 1:
        return text
    return json.dumps(value).replace("\x7f", "\\u007f")


# -- Python -------------------------------------------------------------------------------------


def _python(call: Call) -> str:
    comments = _comments(call, "open() reads it")
    lines = _server_lines(call) if call.is_on_a_server else _client_lines(call)
    return "\n".join([*comments, *lines])


def _client_lines(call: Call) -> list[str]:
    who, made = "replicate", ["import replicate", ""]
    if call.base != protocol.PUBLIC_API:
        address = json.dumps(call.base.removesuffix("/v1"))
        who, made = "client", [*made, f"client = replicate.Client(base_url={address})"]
    inputs = _literal(_shown(call, _File))
    target = call.target
    if target.kind == "deployment":
        name = json.dumps(f"{target.owner}/{target.name}")
        return [
            *made,
            f"prediction = {who}.deployments.predictions.create({name}, input={inputs})",
            "prediction.wait()",
            "print(prediction.output)",
        ]
    version = f":{call.version}" if call.version else ""
    name = json.dumps(f"{target.owner}/{target.name}{version}")
    shown = _SHOWN.get(call.schema.shape or "", "print(output)")
    return [*made, f"output = {who}.run({name}, input={inputs})", shown]


def _server_lines(call: Call) -> list[str]:
    """The official client speaks to the API only; a file goes as a `data:` URL."""
    inputs = _literal(_shown(call, str))
    return [
        "# The official client does not speak to Cog servers; the standard library does.",
        "import json",
        "from urllib.request import Request, urlopen",
        "",
        f"body = json.dumps({{'input': {inputs}}}).encode()",
        f"url = {json.dumps(f'{call.base}/predictions')}",
        "headers = {'Content-Type': 'application/json'}",
        "with urlopen(Request(url, data=body, headers=headers)) as answer:",
        "    print(json.load(answer)['output'])",
    ]


def _literal(value: dict[str, Any]) -> str:
    """The inputs as Python writes them, one a line where they are many."""
    text = pformat(value, width=88, sort_dicts=False)
    if "\n" not in text and len(text) <= 60:
        return text
    inner = pformat(value, width=84, sort_dicts=False)
    rest = inner[1:-1].replace("\n ", "\n    ")
    return f"{{\n    {rest},\n}}"
