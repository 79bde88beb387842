"""Owns what is known of a model as one value; must not fetch it or draw it itself.

Whoever pushes a model writes what stands in its JSON, so nothing here raises: what is not
understood is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replicate_magic.cell import words
from replicate_magic.cell.example import write_cell
from replicate_magic.cell.schema import read_schema
from replicate_magic.plain import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replicate_magic.cell.schema import InputField, Schema

_MOST_RUNS = 10**15
_MOST_CHARS = 20_000  # of a description
_LONGEST_URL = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known of a model. It shows itself; `print(info.example)` gives a cell to run.

    All texts are safe to print; they are the model's own words.

    Attributes:
        name: as it is written for MODEL.
        model: the `owner/name` that runs; empty where a deployment does not say.
        description: what the model is.
        inputs: by `x-order`, or `None` where no schema is told; the default of a secret is `None`.
        descriptions: what each input is, by its name.
        prompt_key: the input that the cell's body goes to, or `None`.
        output: what it gives, in words; empty where that is not told.
        official: whether Replicate keeps it running, or `None`.
        run_count: how often it has run, or `None`.
        url, license_url, github_url, paper_url: https addresses, or empty.
        version: the one that would run; empty where that is not told.
        hardware: of a deployment; else empty.
        example: the model's own example as a cell, or empty.
        as_of: when this was told (UTC), where nothing newer is to be had now; else `None`.
    """

    name: str
    model: str = ""
    description: str = ""
    inputs: tuple[InputField, ...] | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)
    prompt_key: str | None = None
    output: str = ""
    official: bool | None = None
    run_count: int | None = None
    url: str = ""
    license_url: str = ""
    github_url: str = ""
    paper_url: str = ""
    version: str = ""
    hardware: str = ""
    example: str = ""
    as_of: datetime | None = None

    def __str__(self) -> str:
        return str(self._repr_mimebundle_()["text/plain"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        # The one import upwards: IPython asks the value itself how it is shown.
        from replicate_magic.views.info import info_bundle

        return info_bundle(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001  (IPython's protocol)
        printer.text(str(self))


def read_info(
    name: str,
    model: Mapping[str, Any] | None,
    openapi: Mapping[str, Any] | None,
    *,
    runs: str = "",
    version: str | None = None,
    hardware: object = None,
) -> ModelInfo:
    """Read what the API tells.

    Args:
        name: as it is written for MODEL.
        model: the JSON of `GET /models/{owner}/{name}`, where it was told.
        openapi: the schema of the version that would run, where it was told.
        runs: the `owner/name` that runs.
        version: the version that would run.
        hardware: of a deployment.
    """
    told = model or {}
    schema = read_schema(openapi)
    example = told.get("default_example")
    given = example.get("input") if isinstance(example, dict) else None
    official = told.get("is_official")
    return ModelInfo(
        name=name,
        model=runs,
        description=_text(told.get("description")),
        inputs=_inputs(schema),
        descriptions=_descriptions(openapi, schema),
        prompt_key=_prompt_key(schema),
        output=words.output(openapi),
        official=official if isinstance(official, bool) else None,
        run_count=_count(told.get("run_count")),
        url=_https(told.get("url")),
        license_url=_https(told.get("license_url")),
        github_url=_https(told.get("github_url")),
        paper_url=_https(told.get("paper_url")),
        version=one_line(version, limit=100) if isinstance(version, str) else "",
        hardware=one_line(hardware, limit=40) if isinstance(hardware, str) else "",
        example=write_cell(name, given, schema) if isinstance(given, dict) and given else "",
    )


def _inputs(schema: Schema) -> tuple[InputField, ...] | None:
    if schema.fields is None:
        return None
    return tuple(map(_without_secret, sorted(schema.fields.values(), key=lambda one: one.order)))


def _without_secret(known: InputField) -> InputField:
    """The input without what is nobody else's to see."""
    item = _without_secret(known.item) if known.item else None
    if known.is_secret or (item and item.is_secret):
        known = replace(known, default=None, choices=())
    return replace(known, item=item)


def _prompt_key(schema: Schema) -> str | None:
    key = schema.prompt_key()
    return key if key in (schema.fields or ()) else None


def _descriptions(openapi: Mapping[str, Any] | None, schema: Schema) -> dict[str, str]:
    """They stand beside what `read_schema` reads, in the input itself."""
    if not schema.fields or openapi is None:
        return {}
    specs = openapi["components"]["schemas"]["Input"]["properties"]  # as `read_schema` found them
    texts = {
        name: _text(spec.get("description"))
        for name, spec in specs.items()
        if isinstance(spec, dict) and name in schema.fields
    }
    return {name: text for name, text in texts.items() if text}


def _text(value: object) -> str:
    return printable(value[:_MOST_CHARS]).strip() if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST_RUNS else None


def _https(value: object) -> str:
    """An address that a link may lead to; of anything else nothing."""
    if not isinstance(value, str) or not value.startswith("https://"):
        return ""
    is_plain = value.isprintable() and " " not in value and len(value) <= _LONGEST_URL
    return value if is_plain else ""
