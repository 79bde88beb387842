"""Owns the dialect of a Cog server as values: requests, what its answers mean; must not do I/O.

A Cog server runs one model and keeps no predictions: only who began one is told its end, on the
connection that began it. Source: https://github.com/replicate/cog/blob/main/docs/http.md, and what
cog 0.23 is seen to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic import errors
from replicate_magic.api import answers
from replicate_magic.api.protocol import APIRequest
from replicate_magic.cell.files import DATA_URL_BYTES
from replicate_magic.cell.schema import read_schema
from replicate_magic.plain import one_line, printable, without_colours
from replicate_magic.prediction import is_final

if TYPE_CHECKING:
    from replicate_magic.api.answers import Answer
    from replicate_magic.api.protocol import Create

_EVENTS = {"accept": "text/event-stream"}
_NO_INPUT = 0
_LONGEST_URL = DATA_URL_BYTES * 2  # longer inputs are not part of a row
_MOST_CHARS = 2_000
_LOG_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a server can do, as its schema tells.

    Attributes:
        streams: whether it sends events while a prediction runs.
        checks: whether it checks inputs before the model sees them; a server whose model was
            never built has no schema, and does not.
        gives_files: whether its output is files.
    """

    streams: bool = False
    checks: bool = False
    gives_files: bool = False


def read_dialect(openapi: Mapping[str, Any] | None) -> Dialect:
    """What the schema tells of its server."""
    told: Any = openapi
    for key in ("paths", "/predictions", "post", "x-cog-streaming"):
        told = told.get(key) if isinstance(told, Mapping) else None
    schema = read_schema(openapi)
    return Dialect(
        streams=told is True,
        checks=schema.fields is not None,
        gives_files=schema.shape in {"file", "files"},
    )


# -- requests ---------------------------------------------------------------------------------


def root_request() -> APIRequest:
    """The GET of what the server says of itself."""
    return APIRequest(method="GET", path="/")


def schema_request() -> APIRequest:
    """The GET of the model's schema."""
    return APIRequest(method="GET", path="/openapi.json")


def health_request() -> APIRequest:
    """The GET of how the server is."""
    return APIRequest(method="GET", path="/health-check", timeout_s=10.0)


def create_request(create: Create, prediction_id: str, *, streams: bool) -> APIRequest:
    """The PUT that creates a prediction under an id of ours, and is answered at its end.

    Raises:
        CellError: it asks for what such a server does not do.
    """
    if create.wait_s is not None:
        raise errors.CellError(
            "--wait (in Python wait=) is Replicate's: a Cog server always answers at the end. "
            "Nothing was sent."
        )
    body = {"input": create.input}
    headers = _EVENTS if streams else {}
    return APIRequest(method="PUT", path=_path(prediction_id), json=body, headers=headers)


def create_request_of_old(create: Create, prediction_id: str) -> APIRequest:
    """The same for a server from before there was a PUT (cog 0.5)."""
    body = {"id": prediction_id, "input": create.input}
    return APIRequest(method="POST", path="/predictions", json=body)


def question(prediction_id: str, *, streams: bool = False) -> APIRequest:
    """Asks how a prediction stands, and never runs one.

    There is no GET of a prediction. A PUT with the id of one that runs is answered with its state,
    or joins its events; with the id of one that has ended it would run it again. Therefore it has
    an input that none can have, so that a server which checks inputs refuses it then.
    """
    body = {"input": _NO_INPUT}
    headers = _EVENTS if streams else {}
    path = _path(prediction_id)
    return APIRequest(method="PUT", path=path, json=body, headers=headers, timeout_s=10.0)


def _path(prediction_id: str) -> str:
    return f"/predictions/{prediction_id}"


# -- answers ----------------------------------------------------------------------------------


def read_openapi(answer: Answer) -> dict[str, Any] | None:
    """The schema of a server; `None` where it is none of a Cog server's."""
    try:
        openapi = answers.read_object(answer, subject="")
    except errors.ReplicateMagicError:
        return None
    return openapi if "/predictions" in answers.object_in(openapi, "paths") else None


def read_state(answer: Answer) -> dict[str, Any] | None:
    """How a prediction stands, as a `question` was answered; `None` where it does not run."""
    if answer.status != 202:
        return None
    try:
        return answers.read_object(answer, subject="")
    except errors.UnexpectedAnswer:
        return None


class Health(NamedTuple):
    """How a server is, in its own word, such as `READY` or `SETUP_FAILED`; and why."""

    status: str
    why: str

    @property
    def is_broken(self) -> bool:
        """Whether waiting is of no use."""
        return self.status in {"SETUP_FAILED", "DEFUNCT", "UNHEALTHY"}


def read_health(answer: Answer) -> Health | None:
    """How the server is; `None` where it does not tell."""
    try:
        told = answers.read_object(answer, subject="")
    except errors.ReplicateMagicError:
        return None
    status = told.get("status")
    why = told.get("user_healthcheck_error") or answers.object_in(told, "setup").get("logs")
    if not isinstance(status, str):
        return None
    return Health(status.upper(), why if isinstance(why, str) else "")


def broken(health: Health, *, subject: str) -> errors.ServerError:
    """The error for a server that takes no predictions, nor will."""
    what = {
        "SETUP_FAILED": "its setup has failed, so that it takes no predictions",
        "DEFUNCT": "it has had a fault, and takes no predictions any more",
    }.get(health.status, "it says that it is unhealthy, and takes no predictions")
    lines = without_colours(health.why[-_MOST_CHARS:]).strip().splitlines()[-_LOG_LINES:]
    told = "".join(f"\n  {one_line(line)}" for line in lines)
    return errors.ServerError(
        f"{subject}: {what}. Nothing was run. Start it again once that is mended.{told}",
        status=503,
        detail=health.why,
    )


def refusal(answer: Answer, *, subject: str) -> errors.ReplicateMagicError:
    """The error for an answer of 300 and above: the server's own words."""
    try:
        problem = answers.read_object(_as_good(answer), subject=subject)
    except errors.UnexpectedAnswer:
        problem = {"detail": answer.body[:_MOST_CHARS].decode("utf-8", "replace")}
    fields = _invalid_fields(problem)
    said = "\n".join(f"{one['field']}: {one['description']}" for one in fields)
    said = said or printable(str(problem.get("detail") or problem.get("error") or ""))
    words = said[:_MOST_CHARS].rstrip(".") or "no reason was given"
    kind = {404: errors.NotFound, 422: errors.InvalidInput}.get(answer.status, errors.APIError)
    if answer.status >= 500:
        kind = errors.ServerError
    advice = f" {_TOO_LARGE}" if answer.status == 413 else ""
    return kind(
        f"{subject}: {words} (HTTP {answer.status}). Nothing was run.{advice}",
        status=answer.status,
        detail=said,
        invalid_fields=fields,
    )


_TOO_LARGE = (
    "Files travel within the request, and it is too large: put them at an address that the server "
    "reaches, and give that."
)


def _as_good(answer: Answer) -> Answer:
    return answers.Answer(status=200, headers=answer.headers, body=answer.body)


def _invalid_fields(problem: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs that were refused, as Replicate words it."""
    fields = []
    for one in answers.objects_in(problem, "detail"):
        where = one.get("loc")
        place = [str(part) for part in where] if isinstance(where, list) else []
        name = ".".join(part for part in place if part not in {"body", "input"}) or "input"
        words = one_line(str(one.get("msg")))
        fields.append({"type": one.get("type"), "field": one_line(name), "description": words})
    return fields


# -- a prediction's JSON as Replicate writes it -------------------------------------------------


def begun(create: Create, prediction_id: str, base: str, at: datetime) -> dict[str, Any]:
    """The JSON of a prediction that a server has taken.

    Args:
        create: what was sent.
        prediction_id: its id.
        base: the server's address.
        at: when it was sent.
    """
    return {
        "id": prediction_id,
        "model": str(create.target),
        "version": None,
        "status": "starting",
        "input": _without_files(create.input),
        "output": None,
        "error": None,
        "logs": "",
        "metrics": {},
        "created_at": _stamp(at),
        "started_at": None,
        "completed_at": None,
        "urls": {"cancel": f"{base}{_path(prediction_id)}/cancel"},
    }


def after(raw: Mapping[str, Any], told: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The JSON after the server has told how it stands; what it leaves out stays as it was.

    It leaves out the times, for which ours stand in, and the logs and the output of what failed.

    Args:
        raw: the JSON so far.
        told: the server's.
        at: when it was told.
    """
    now = {**raw, "metrics": {**raw["metrics"], **answers.object_in(told, "metrics")}}
    if "output" in told:
        now["output"] = told["output"]
    for key in ("status", "error", "logs", "started_at", "completed_at"):
        if isinstance(told.get(key), str) and told[key]:
            now[key] = told[key]
    if now["status"] != "starting":
        now["started_at"] = now["started_at"] or now["created_at"]
    if is_final(now):
        now["completed_at"] = now["completed_at"] or _stamp(at)
        took_s = (at - datetime.fromisoformat(raw["created_at"])).total_seconds()
        now["metrics"].setdefault("total_time", max(round(took_s, 6), 0.0))
    return now


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _without_files(value: Any) -> Any:
    """The input without the bytes of large files."""
    match value:
        case str() if value.startswith("data:") and len(value) > _LONGEST_URL:
            head = value[:200].partition(",")[0].removesuffix(";base64")
            return f"{one_line(head)};size={len(value)},"
        case list():
            return [_without_files(one) for one in value]
        case dict():
            return {key: _without_files(one) for key, one in value.items()}
    return value
