"""Owns Replicate's HTTP API as values: addresses, requests, when to wait; must not do I/O.

Source: https://replicate.com/docs/reference/http, and what the API is seen to answer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode, urljoin, urlsplit

from replicate_magic import errors
from replicate_magic.api import answers
from replicate_magic.plain import one_line

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
        content: the body, where it is no JSON.
        timeout_s: how long the answer may take to begin.
    """

    method: str
    path: str
    json: dict[str, Any] | None = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0


Kind = Literal["create", "get", "cancel", "other"]
"""Which rate limit a request falls under; those of the last two are the same."""


def kind_of(request: APIRequest) -> Kind:
    """A request's kind, by its method and address."""
    path, post = request.path, request.method == "POST"
    if post and path.endswith(("/predictions", "/trainings")):
        return "create"
    if post and path.endswith("/cancel"):
        return "cancel"
    return "get" if request.method == "GET" and path.startswith("/predictions/") else "other"


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
    text = re.sub(r"^(https?://)[^/@]*@", r"\1", text)  # a password would be in every row
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


def is_here(url: str) -> bool:
    """Whether an address is one of this machine's own."""
    return origin(url)[1] in {"127.0.0.1", "localhost", "::1"}


def authorization(token: str) -> dict[str, str]:
    """The header that carries the token.

    Raises:
        Unauthorized: it cannot be in a header; the libraries below would quote it in their error.
    """
    if not re.fullmatch(r"[!-~]+", token):
        raise errors.Unauthorized(
            "The API token holds characters that no token has, such as a blank or a line "
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
        secret: the names of inputs that the API does not answer as they were sent.
        beside: what else is in the body, such as `webhook`.
    """

    target: Target
    input: dict[str, Any]
    version: str | None = None
    wait_s: int | None = None
    cancel_after_s: float | None = None
    secret: frozenset[str] = frozenset()
    beside: Mapping[str, Any] = field(default_factory=dict)


def account_request() -> APIRequest:
    """The GET of the account that the token belongs to."""
    return APIRequest(method="GET", path="/account")


def create_request(create: Create) -> APIRequest:
    """The POST that creates a prediction."""
    body: dict[str, Any] = {**create.beside, "input": create.input}
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


def search_request(query: str, limit: int) -> APIRequest:
    """The GET of models, collections and docs that fit; so many models at most."""
    return APIRequest(method="GET", path=f"/search?{urlencode({'query': query, 'limit': limit})}")


def older_search_request(query: str) -> APIRequest:
    """The QUERY of models that fit, as plain text: a search that has been there for longer."""
    return APIRequest(
        method="QUERY",
        path="/models",
        content=query.encode("utf-8", "replace"),
        headers={"content-type": "text/plain; charset=utf-8"},
    )


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


def list_request(
    *, created_after: datetime | None = None, created_before: datetime | None = None
) -> APIRequest:
    """The GET of the account's predictions, newest first, perhaps of a span of time only."""
    moments = {"created_after": created_after, "created_before": created_before}
    query = {name: _stamp(moment) for name, moment in moments.items() if moment}
    return APIRequest(method="GET", path=f"/predictions{'?' if query else ''}{urlencode(query)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm:
    """A file to upload as `multipart/form-data` (RFC 7578): what stands around its bytes."""

    content_type: str
    head: bytes
    tail: bytes


_MOST_NAME_BYTES = 255  # https://replicate.com/docs/reference/http#files.create
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_IN_QUOTES = {code: f"%{code:02X}" for code in (*range(32), 34, 127)} | {92: "\\\\"}


def file_form(name: str, media_type: str, *, boundary: str, metadata: str = "") -> FileForm:
    """The form of `POST /files`: its part `content`, and `metadata`, a JSON text, if there is one.

    A name is any text: quotes, line ends and control characters are written as percent and hex, as
    browsers do (https://html.spec.whatwg.org/#multipart-form-data), so that none ends the header. A
    media type that is none becomes `application/octet-stream`.
    """
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    quoted = _shortened(name or "file").translate(_IN_QUOTES)
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="content"; filename="{quoted}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    beside = (
        f"\r\n--{boundary}\r\n"
        'Content-Disposition: form-data; name="metadata"\r\n'
        f"Content-Type: application/json\r\n\r\n{metadata}"
    )
    return FileForm(
        content_type=f"multipart/form-data; boundary={boundary}",
        head=head.encode(),
        tail=f"{beside if metadata else ''}\r\n--{boundary}--\r\n".encode(),
    )


def _shortened(name: str) -> str:
    """A file's name of at most 255 bytes of UTF-8; the end stays, since it tells the kind."""
    data = name.encode("utf-8", "replace")
    if len(data) > _MOST_NAME_BYTES:
        data = data[: _MOST_NAME_BYTES - 20] + data[-20:]
    return data.decode("utf-8", "ignore")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _segment(text: str) -> str:
    return quote(text, safe="")


# -- what was accepted before the connection broke ----------------------------------------------

LOOK_BACK = timedelta(minutes=1)
"""How much earlier than the request a look-up begins: an HTTP date has no fractions."""


def could_be(raw: Mapping[str, Any], create: Create, *, official: bool | None) -> bool:
    """Whether a listed prediction could be the one whose creation broke off.

    The input must be the same, but for secrets, in whose place other words are answered
    (https://replicate.com/docs/topics/predictions/secrets); so must the model where it compares:
    official models may answer an internal name.
    """
    if not answers.is_prediction(raw) or not _is_alike(raw.get("input"), create):
        return False
    if create.version and create.version not in [raw.get("version"), str(create.target)]:
        return False
    if not create.target.name:  # the version alone was named
        return True
    asked = f"{create.target.owner}/{create.target.name}"
    named = raw.get("model")
    internal = not isinstance(named, str) or named.startswith(("replicate-internal/", "replicate/"))
    if create.target.kind == "deployment":
        return raw.get("deployment") in {None, create.target.name, asked}
    return named == asked or (official is not False and internal)


def _is_alike(given: Any, create: Create) -> bool:
    if not create.secret or not isinstance(given, dict):
        return bool(given == create.input)
    theirs, ours = (
        {name: value for name, value in one.items() if name not in create.secret}
        for one in (given, create.input)
    )
    return theirs == ours


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
