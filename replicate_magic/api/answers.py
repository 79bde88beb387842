"""Owns what an answer of the API means: its JSON, a refusal, how long to wait; must not do I/O.

Every part of an answer is text from outside, and may be of any shape. Source of the error bodies:
https://replicate.com/docs/reference/http, and what the API is seen to answer.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from replicate_magic import errors
from replicate_magic.plain import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES = {"text/html", "application/xhtml+xml"}
"""The media types of what is there for people, such as a page to sign in at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: the status code, the headers by lower-case name, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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


def read_value(answer: Answer, *, subject: str) -> Any:
    """What a good answer of any kind holds: JSON as its value, text as a `str`, else `bytes`.

    Returns:
        `None` for an answer that is empty.

    Raises:
        UnexpectedAnswer: it is a web page, or broken JSON: not an answer of Replicate's API.
    """
    kind = media_type(answer)
    if not answer.body:
        return None
    if kind == "application/json" or kind.endswith("+json") or (not kind and _is_json(answer.body)):
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            kind = "text/html"
    if kind in PAGES:
        raise errors.UnexpectedAnswer(
            f"{subject}: {_described(answer)} Is REPLICATE_BASE_URL right, and does no proxy or "
            "sign-in page stand in between?"
        )
    return answer.body.decode("utf-8", "replace") if kind.startswith("text/") else answer.body


def media_type(answer: Answer) -> str:
    """The media type that an answer declares, or an empty string."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that was uploaded.

    Attributes:
        url: what a model's input takes for it.
        expires_at: when Replicate deletes it, or `None` where that is not told.
        sha256: the digest of what came there, in hex, or `None` where that is not told.
    """

    url: str
    expires_at: datetime | None
    sha256: str | None


def read_file(answer: Answer, *, subject: str) -> StoredFile:
    """The answer to an upload (https://replicate.com/docs/reference/http#files.create).

    Raises:
        APIError: Replicate refused.
        UnexpectedAnswer: it is no file.
    """
    raw = read_object(answer, subject=subject)
    url = object_in(raw, "urls").get("get")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise errors.UnexpectedAnswer(
            f"{subject}: the answer is JSON, but no file with an address. Is REPLICATE_BASE_URL "
            "right?"
        )
    digest = object_in(raw, "checksums").get("sha256")
    return StoredFile(
        url=url,
        expires_at=_moment(raw.get("expires_at")),
        sha256=digest.lower() if isinstance(digest, str) else None,
    )


def age_s(raw: Mapping[str, Any], now: datetime) -> float:
    """How many seconds ago a prediction was created; 0 where it does not say."""
    created_at = _moment(raw.get("created_at"))
    return max(0.0, (now - created_at).total_seconds()) if created_at else 0.0


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def number_in(digits: str) -> int | None:
    """The whole number that a header tells, if it does."""
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


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
    401: "Check the API token: %replicate status says where it is from.",
    402: "Buy credit at https://replicate.com/account/billing; local/… models cost nothing.",
    403: "The token has no right to this: %replicate status says whose it is.",
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
    said = _own_words(problem)
    words = f"{said} (HTTP {answer.status})." if said else _described(answer)
    kind = _KINDS.get(
        answer.status, errors.ServerError if answer.status >= 500 else errors.APIError
    )
    meant = said or answer.status == 429  # a gateway throttles too, in words of its own
    advice = _ADVICE.get(answer.status, "") if meant else "Is REPLICATE_BASE_URL right?"
    if answer.status >= 500:
        advice = "Try again in a while."
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What an answer tells of a rate limit.

    Attributes:
        limited: whether the API tells of limits at all; `None` where this answer cannot tell.
        remaining: how many more requests of the kind may be made at once.
        reset_s: after how long it is as many as ever, rounded up.
        wait_s: how long nothing more of the kind may be sent, where it was refused for that.
        rate_s: how many a second may be sent, where a refusal says so.
        burst: how many at once, likewise.
    """

    limited: bool | None = None
    remaining: int | None = None
    reset_s: float | None = None
    wait_s: float | None = None
    rate_s: float | None = None
    burst: float | None = None


_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(r"\b(\d{1,6}) requests? per (second|minute|hour)\b", re.ASCII)
_BURST = re.compile(r"\bburst of (\d{1,6})\b", re.ASCII)


def read_allowance(answer: Answer, now: datetime) -> Allowance:
    """What an answer tells of the limit that its request fell under.

    Source: https://replicate.com/docs/topics/predictions/rate-limits, and the headers and words
    that the API is seen to answer.
    """
    remaining = number_in(answer.headers.get("ratelimit-remaining", ""))
    reset_s = number_in(answer.headers.get("ratelimit-reset", ""))
    if answer.status != 429:
        told = remaining is not None or (False if answer.status < 500 else None)
        return Allowance(limited=told, remaining=remaining, reset_s=reset_s)
    words = str((_json_object(answer.body) or {}).get("detail") or "")
    rate, burst = _RATE.search(words), _BURST.search(words)
    return Allowance(
        wait_s=retry_after_s(answer, now),
        rate_s=int(rate[1]) / _SECONDS[rate[2]] if rate else None,
        burst=max(float(burst[1]), 1.0) if burst else None,
    )


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
