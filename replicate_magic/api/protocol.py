"""Owns Replicate's HTTP API as values: requests, what answers mean, when to wait; must not do I/O.

Source: https://replicate.com/docs/reference/http, and what the API is seen to answer.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from replicate_magic import errors
from replicate_magic.plain import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.cell.plan import Target

PUBLIC_API = "https://api.replicate.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class APIRequest:
    """One request to the API.

    Attributes:
        path: below the base URL, beginning with `/`; or a whole URL that the API has given.
        json: the body, or `None`.
        timeout_s: how long the answer may take to begin.
    """

    method: str
    path: str
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the status code, the headers by lower-case name, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


_BESIDE = " \t\r\n\v\f\xa0\u200b\ufeff\"'`\u201c\u201d\u2018\u2019"
"""Blanks and quotes, which come along when a setting is copied."""


def base_url(configured: str | None) -> str:
    """The API's address, ending in `/v1`, of what `REPLICATE_BASE_URL` holds.

    Raises:
        CellError: it is no http(s) address.
    """
    text = (configured or "").strip(_BESIDE).rstrip("/") or PUBLIC_API
    scheme, host, _ = origin(text)
    if scheme not in {"http", "https"} or not host:
        raise errors.CellError(
            f"REPLICATE_BASE_URL is {one_line(text)}, which is not an http(s) address."
        )
    return text if text.endswith("/v1") else f"{text}/v1"


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what must be the same for a token to be sent there.

    What is no URL has an origin of nothing.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return "", "", None
    return parts.scheme, (parts.hostname or "").lower(), port


def clean_token(text: str | None) -> str:
    """A token without the blanks and quotes that come along when one is copied."""
    return (text or "").strip(_BESIDE)


def authorization(token: str) -> dict[str, str]:
    """The header that carries the token.

    Raises:
        Unauthorized: it cannot be in a header; the libraries below would quote it in their error.
    """
    if not re.fullmatch(r"[!-~]+", token):
        raise errors.Unauthorized(
            "REPLICATE_API_TOKEN holds characters that no token has, such as a blank or a line "
            "end. Copy it again from https://replicate.com/account/api-tokens. Nothing was sent.",
            status=401,
        )
    return {"authorization": f"Bearer {token}"}


# -- requests ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A prediction to create.

    Attributes:
        target: what is to run.
        input: its input.
        version: the version to name in the body of `POST /predictions`; `None` sends to the
            target's own route.
        wait_s: how long the answer may wait for the result (1 to 60), or `None` for none.
        cancel_after_s: after how long Replicate cancels by itself, or `None`.
    """

    target: Target
    input: dict[str, Any]
    version: str | None = None
    wait_s: int | None = None
    cancel_after_s: float | None = None


def create_request(create: Create) -> APIRequest:
    """The POST that creates a prediction."""
    body: dict[str, Any] = {"input": create.input}
    target = create.target
    if create.version:
        path = "/predictions"
        body = {"version": create.version, **body}
    else:
        room = "deployments" if target.kind == "deployment" else "models"
        path = f"/{room}/{_segment(target.owner)}/{_segment(target.name)}/predictions"
    headers: dict[str, str] = {}
    timeout_s = 60.0
    if create.wait_s is not None:
        headers["prefer"] = f"wait={create.wait_s}"
        timeout_s = create.wait_s + 15.0
    if create.cancel_after_s is not None:
        headers["cancel-after"] = cancel_after(create.cancel_after_s)
    return APIRequest(method="POST", path=path, json=body, headers=headers, timeout_s=timeout_s)


def cancel_after(seconds: float) -> str:
    """The header's value, within the 5 s to 24 h that the API takes."""
    return f"{min(max(math.ceil(seconds), 5), 24 * 3600)}s"


def model_request(target: Target) -> APIRequest:
    """The GET of a model."""
    return APIRequest(
        method="GET", path=f"/models/{_segment(target.owner)}/{_segment(target.name)}"
    )


def models_request() -> APIRequest:
    """The GET of the models there are."""
    return APIRequest(method="GET", path="/models")


def version_request(target: Target, version: str) -> APIRequest:
    """The GET of one version of a model."""
    path = f"{model_request(target).path}/versions/{_segment(version)}"
    return APIRequest(method="GET", path=path)


def deployment_request(target: Target) -> APIRequest:
    """The GET of a deployment."""
    path = f"/deployments/{_segment(target.owner)}/{_segment(target.name)}"
    return APIRequest(method="GET", path=path)


def get_request(prediction_id: str) -> APIRequest:
    """The GET of a prediction."""
    return APIRequest(method="GET", path=f"/predictions/{_segment(prediction_id)}")


def cancel_request(prediction_id: str) -> APIRequest:
    """The POST that cancels a prediction."""
    path = f"/predictions/{_segment(prediction_id)}/cancel"
    return APIRequest(method="POST", path=path, timeout_s=5.0)


def recent_request(created_after: datetime) -> APIRequest:
    """The GET of the predictions created since a moment."""
    since = created_after.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return APIRequest(method="GET", path=f"/predictions?{urlencode({'created_after': since})}")


def _segment(text: str) -> str:
    return quote(text, safe="")


# -- answers ----------------------------------------------------------------------------------


def read_object(answer: Answer, *, subject: str) -> dict[str, Any]:
    """The JSON object of a good answer.

    Args:
        answer: what came back.
        subject: what was asked for, for messages: a model's or a prediction's name.

    Raises:
        APIError: Replicate refused.
        UnexpectedAnswer: it is not an answer of Replicate's API.
    """
    if answer.status >= 300:
        raise refusal(answer, subject=subject)
    found = _json_object(answer.body)
    if found is None:
        raise errors.UnexpectedAnswer(
            f"{subject}: {_described(answer)} Is REPLICATE_BASE_URL right, and does no proxy or "
            "sign-in page stand in between?"
        )
    return found


def read_prediction(answer: Answer, *, subject: str) -> dict[str, Any]:
    """The JSON object of a prediction.

    Raises:
        APIError: Replicate refused.
        UnexpectedAnswer: it is no prediction.
    """
    raw = read_object(answer, subject=subject)
    if not is_prediction(raw):
        raise errors.UnexpectedAnswer(
            f"{subject}: the answer is JSON, but no prediction with an id and a status. Is "
            "REPLICATE_BASE_URL right?"
        )
    return raw


def is_prediction(raw: Mapping[str, Any]) -> bool:
    """Whether an object of the API's JSON has what is needed to follow a prediction."""
    return (
        bool(raw.get("id"))
        and isinstance(raw["id"], str)
        and isinstance(raw.get("status"), str)
        and isinstance(raw.get("urls") or {}, dict)
    )


def object_in(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under a key of the API's JSON; an empty one where there is none."""
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def objects_in(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list in the API's JSON; whatever else is there is passed over."""
    found = raw.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _described(answer: Answer) -> str:
    kind = one_line(answer.headers.get("content-type", "")) or "no content type"
    start = one_line(answer.body[:300].decode("utf-8", "replace"), limit=80)
    if "html" in kind:
        return f"the answer is a web page (HTTP {answer.status}), not Replicate's API: {start}"
    if "json" in kind:
        what = "of an unknown shape" if _is_json(answer.body) else "cut short or broken"
        return f"the answer is JSON {what} (HTTP {answer.status}): {start}"
    return f"the answer (HTTP {answer.status}, {kind}) is not JSON: {start or 'empty'}."


_KINDS: dict[int, type[errors.APIError]] = {
    401: errors.Unauthorized,
    402: errors.InsufficientCredit,
    403: errors.Unauthorized,
    404: errors.NotFound,
    422: errors.InvalidInput,
    429: errors.RateLimited,
}

_ADVICE: dict[int, str] = {
    401: "Check REPLICATE_API_TOKEN. Models named local/… need none.",
    402: "Buy credit at https://replicate.com/account/billing; local/… models cost nothing.",
    403: "The token has no right to this.",
    404: "Check the spelling; a private model needs a token of its owner.",
    422: "Nothing was run.",
    429: "Wait, or raise --timeout so that it waits for you.",
}


def refusal(answer: Answer, *, subject: str) -> errors.ReplicateMagicError:
    """The error for an answer of 300 and above: Replicate's own words, or a redirect."""
    if answer.status < 400:
        where = one_line(answer.headers.get("location", "nowhere"))
        return errors.UnexpectedAnswer(
            f"{subject}: the API answered with a redirect to {where}, which is not followed, so "
            "that the token goes nowhere else. Is REPLICATE_BASE_URL right?"
        )
    problem = _json_object(answer.body) or {}
    detail = problem.get("detail")
    words = _own_words(problem)
    words = f"{words} (HTTP {answer.status})." if words else _described(answer)
    kind = _KINDS.get(
        answer.status, errors.ServerError if answer.status >= 500 else errors.APIError
    )
    advice = _ADVICE.get(answer.status, "" if answer.status < 500 else "Try again in a while.")
    return kind(
        f"{subject}: {words} {advice}".rstrip(),
        status=answer.status,
        detail=detail if isinstance(detail, str) else "",
        invalid_fields=objects_in(problem, "invalid_fields"),
    )


def _own_words(problem: Mapping[str, Any]) -> str:
    """Title and detail, with the fields named; all of it is text from outside."""
    title, detail = (str(problem.get(key) or "").strip() for key in ("title", "detail"))
    if title and detail and not detail.startswith(title):
        words = f"{title}: {detail}" if "\n" not in detail else f"{title}:\n{detail}\n"
    else:
        words = detail or title
    return printable(words)[:2_000].rstrip(".")


def retry_after_s(answer: Answer, now: datetime) -> float:
    """How long an answer asks to wait, in seconds: the greatest of header, body and text.

    One second where it does not say.
    """
    problem = _json_object(answer.body) or {}
    named = (answer.headers.get("retry-after"), problem.get("retry_after"))
    said = [_header_s(str(value), now) for value in named]
    if match := re.search(r"resets in ~?(\d+(?:\.\d+)?)s", str(problem.get("detail") or "")):
        said.append(float(match[1]))
    return max(said) or 1.0


def _header_s(value: str, now: datetime) -> float:
    """`Retry-After` is seconds or an HTTP date (RFC 9110, 10.2.3)."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = _date_s(value, now)
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _date_s(value: str, now: datetime) -> float:
    when = http_date(value)
    return (when - now).total_seconds() if when else 0.0


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware datetime."""
    try:
        when = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


# -- what was accepted before the connection broke ----------------------------------------------

LOOK_BACK = timedelta(minutes=1)
"""How much earlier than the request a look-up begins: an HTTP date has no fractions."""


def could_be(raw: Mapping[str, Any], create: Create, *, official: bool | None) -> bool:
    """Whether a listed prediction could be the one whose creation broke off.

    The input must be the same, and the model where it compares: official models may answer an
    internal name.
    """
    if not is_prediction(raw) or raw.get("input") != create.input:
        return False
    if create.version and create.version not in [raw.get("version"), str(create.target)]:
        return False
    asked = f"{create.target.owner}/{create.target.name}"
    named = raw.get("model")
    internal = not isinstance(named, str) or named.startswith(("replicate-internal/", "replicate/"))
    if create.target.kind == "deployment":
        return raw.get("deployment") in {None, create.target.name, asked}
    return named == asked or (official is not False and internal)


def next_page(listing: Mapping[str, Any], base: str) -> str | None:
    """The next page's URL, if it is on the API's own host."""
    url = listing.get("next")
    if not isinstance(url, str) or not url:
        return None
    try:
        url = urljoin(f"{base}/", url)
    except ValueError:
        return None
    return url if origin(url) == origin(base) else None


# -- waiting ----------------------------------------------------------------------------------


def backoff_s(attempt: int) -> float:
    """How long to wait before the next try, in seconds, after `attempt` failed ones (from 1)."""
    return float(min(0.5 * 2 ** min(attempt - 1, 10), 15.0))


def poll_delay_s(polls: int, *, stream: Literal["none", "open", "flowing"]) -> float:
    """How long to wait before the next GET, in seconds.

    Without a stream quick at first, since many models answer within a second. An open stream tells
    the end by itself, and GETs only tell that the model has started; while output flows, a GET is
    there to notice that the stream has died.
    """
    match stream:
        case "none":
            return float(min(0.1 * 1.3 ** min(polls, 20), 2.0))
        case "open":
            return float(min(0.5 * 1.3 ** min(polls, 20), 2.0))
    return 5.0
