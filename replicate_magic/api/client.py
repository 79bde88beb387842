"""Owns HTTP: the only user of httpx; must not decide when to wait, to retry or to stop.

The token is sent to the API's own origin and nowhere else, and no redirect of the API is followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from replicate_magic import __version__
from replicate_magic.api import answers, protocol
from replicate_magic.api.answers import Answer
from replicate_magic.api.limiter import Limiter
from replicate_magic.api.pool import Pool
from replicate_magic.errors import ConnectionFailed, ConnectionLost, UnexpectedAnswer
from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from ssl import SSLContext

    from replicate_magic.api.limiter import Place
    from replicate_magic.api.protocol import APIRequest, FileForm

_AGENT = f"replicate_magic/{__version__}"
_CONNECT_S = 10.0
_MOST_REDIRECTS = 5
_STREAM_SILENCE_S = 45.0  # the API's own streams end or speak after 30 s
_FILE_SILENCE_S = 30.0
_READ_BYTES = 256 * 1024
_UPLOAD_SILENCE_S = 120.0  # after the last byte the API still looks at the file

# What happens before a byte of the request has left: sending again cannot pay twice.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


def open_pool() -> Pool:
    """A pool of connections for all clients of a loop; close it with `aclose()`."""
    return Pool(_open_http)


def _open_http() -> httpx.AsyncClient:
    """Addresses of this machine are reached without a proxy, whatever the environment says."""
    here = httpx.AsyncHTTPTransport(verify=False)  # plain http, to this machine only
    _quicken(here)
    return httpx.AsyncClient(
        headers={"user-agent": _AGENT},
        verify=_trust(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
        mounts={"http://127.0.0.1": here, "http://localhost": here, "http://[::1]": here},
    )


@cache
def _trust(*_: str | None) -> SSLContext:
    """Whose certificates are believed, where the environment says this: 40 ms, once a process."""
    return httpx.create_ssl_context()


def _quicken(transport: Any) -> None:
    """Have a transport read more at a time than httpcore asks for.

    That is 64 kB, which over plain http a large file waits for; TLS gives 16 kB in any case. It is
    no part of httpx's interface, and where it is not there, nothing is lost but speed.
    """
    backend = getattr(getattr(transport, "_pool", None), "_network_backend", None)
    if backend is None:
        return
    connect = backend.connect_tcp

    async def connect_tcp(*args: Any, **options: Any) -> Any:
        stream = await connect(*args, **options)
        read = stream.read
        stream.read = lambda most, timeout=None: read(max(most, _READ_BYTES), timeout)
        return stream

    backend.connect_tcp = connect_tcp


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An answer that begins to come: the status code, the headers by lower-case name, the bytes."""

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]


class Client:
    """Replicate's API at one address, with one token.

    Args:
        pool: where its connections are from.
        base: the API's address, ending in `/v1`.
        token: the API token.

    Attributes:
        base: the same.
        limits: the rate limits that requests are held to.
    """

    def __init__(self, pool: Pool, *, base: str, token: str) -> None:
        self.base = base
        self.limits = Limiter(documented=base == protocol.PUBLIC_API)
        self._pool = pool
        self._token = token
        self._ahead = timedelta(0)
        self._background: set[asyncio.Task[None]] = set()

    @property
    def account(self) -> str:
        """Tells accounts apart: the same for the same API and token, and not the token."""
        return hashlib.sha256(f"{self.base}\n{self._token}".encode()).hexdigest()

    def server_time(self) -> datetime:
        """The time by the server's clock, as its last answer told."""
        return datetime.now(UTC) + self._ahead

    async def send(self, request: APIRequest, place: Place | None = None) -> Answer:
        """Send a request once, as soon as the rate limit lets it.

        Args:
            request: what to send.
            place: the request's turn, where it was waited for already.

        Raises:
            ConnectionFailed: nothing was sent.
            ConnectionLost: something was sent, and no whole answer came.
        """
        url = request.path if "://" in request.path else f"{self.base}{request.path}"
        headers = httpx.Headers(  # its repr hides the token, where a tool shows a frame's variables
            {"accept": "application/json", **request.headers, **self._credentials(url)}
        )
        timeout = httpx.Timeout(request.timeout_s, connect=_CONNECT_S)
        return await self._exchange(
            place or await self.limits.admit(protocol.kind_of(request)),
            request.method,
            url,
            json=request.json,
            content=request.content,
            headers=headers,
            timeout=timeout,
        )

    async def upload(self, form: FileForm, size_bytes: int, pieces: AsyncIterator[bytes]) -> Answer:
        """Send a file to `POST /files` once, as its bytes are read.

        Args:
            form: what stands around the bytes.
            size_bytes: how many there are, which is told ahead.
            pieces: the form's head, the bytes, and the form's tail; what it raises is raised.

        Raises:
            ConnectionFailed: nothing was sent.
            ConnectionLost: something was sent, and no whole answer came.
        """
        url = f"{self.base}/files"
        length = len(form.head) + size_bytes + len(form.tail)
        headers = httpx.Headers(
            {
                "accept": "application/json",
                "content-type": form.content_type,
                "content-length": str(length),
                **self._credentials(url),
            }
        )
        timeout = httpx.Timeout(_UPLOAD_SILENCE_S, connect=_CONNECT_S)
        place = await self.limits.admit("other")
        return await self._exchange(
            place, "POST", url, content=pieces, headers=headers, timeout=timeout
        )

    async def _exchange(self, place: Place, method: str, url: str, **options: Any) -> Answer:
        try:
            with _faults(url):
                async with self._pool.client(url) as http:
                    response = await http.request(method, url, **options)
        except ConnectionFailed:
            self.limits.give_back(place)
            raise
        finally:
            self.limits.drop(place)
        answer = Answer(
            status=response.status_code, headers=response.headers, body=response.content
        )
        self._learn_time(answer)
        self.limits.learn(place, answers.read_allowance(answer, self.server_time()))
        return answer

    @asynccontextmanager
    async def open_stream(self, url: str, last_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an event stream, as they come. No token is sent: the URL is the key.

        Raises:
            ConnectionLost: no stream is to be had there, or it broke.
        """
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if last_id:
            headers["last-event-id"] = last_id
        timeout = httpx.Timeout(_STREAM_SILENCE_S, connect=_CONNECT_S)
        try:
            async with (
                self._pool.client(url) as http,
                http.stream(
                    "GET", url, headers=headers, timeout=timeout, follow_redirects=True
                ) as response,
            ):
                kind = response.headers.get("content-type", "")
                if response.status_code != httpx.codes.OK or "text/event-stream" not in kind:
                    raise ConnectionLost(f"No stream there: HTTP {response.status_code} {kind}.")
                yield response.aiter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ConnectionLost(f"The stream broke: {_reason(error)}.") from error

    @asynccontextmanager
    async def open(self, request: APIRequest) -> AsyncIterator[Incoming]:
        """The answer to a request as it comes, whatever the status is, and however long it takes.

        Raises:
            ConnectionFailed: nothing was sent.
            ConnectionLost: something was sent, and the connection broke before or within the block.
        """
        url = f"{self.base}{request.path}"
        headers = httpx.Headers(
            {"accept": "application/json", **request.headers, **self._credentials(url)}
        )
        timeout = httpx.Timeout(None, connect=_CONNECT_S)
        with _faults(url):
            async with (
                self._pool.client(url) as http,
                http.stream(
                    request.method, url, json=request.json, headers=headers, timeout=timeout
                ) as response,
            ):
                yield _incoming(response)

    @asynccontextmanager
    async def open_file(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        silence_s: float = _FILE_SILENCE_S,
    ) -> AsyncIterator[Incoming]:
        """A file that a model gave, as it comes; whatever the status is. No token is sent.

        Only https is followed, and the API's own host: an address comes from a model, and must not
        reach into the reader's network.

        Raises:
            ConnectionLost: it cannot be had, or broke within the block.
            UnexpectedAnswer: it leads where nothing is fetched from.
        """
        sent = {"accept": "*/*", "accept-encoding": "identity", **(headers or {})}
        timeout = httpx.Timeout(silence_s, connect=_CONNECT_S)
        for _ in range(_MOST_REDIRECTS + 1):
            if not self._may_fetch(url):
                raise UnexpectedAnswer(f"{_host(url)} is no place that files are fetched from.")
            try:
                async with (
                    self._pool.client(url) as http,
                    http.stream("GET", url, headers=sent, timeout=timeout) as response,
                ):
                    if response.next_request is None:
                        yield _incoming(response)
                        return
                    url = str(response.next_request.url)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise ConnectionLost(
                    f"{_host(url)}: connection lost ({_reason(error)})."
                ) from error
        raise UnexpectedAnswer(f"{_host(url)}: too many redirects.")

    async def download(self, url: str, most_bytes: int) -> tuple[bytes | None, int | None]:
        """A file that a model gave, in memory: its bytes, and how many there are.

        It is fetched as `open_file` does.

        Returns:
            `None` for the bytes where there are more than `most_bytes`; `None` for the length
            where it is not told.

        Raises:
            UnexpectedAnswer: it cannot be had.
        """
        async with self.open_file(url) as coming:
            if coming.status != httpx.codes.OK:
                raise ConnectionLost(f"{_host(url)} answered HTTP {coming.status}.")
            return await _body_of(coming, most_bytes)

    def _may_fetch(self, url: str) -> bool:
        scheme, host, _ = protocol.origin(url)
        return scheme == "https" or (scheme == "http" and host == protocol.origin(self.base)[1])

    async def settle(self, within_s: float) -> None:
        """Let the work behind the caller's back end, for a while."""
        if self._background:
            await asyncio.wait(self._background, timeout=within_s)

    def go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """Finish some work behind the caller's back: a cancel whose id is still on its way."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _credentials(self, url: str) -> dict[str, str]:
        if self._token and protocol.origin(url) == protocol.origin(self.base):
            return protocol.authorization(self._token)
        return {}

    def _learn_time(self, answer: Answer) -> None:
        if told := answers.http_date(answer.headers.get("date")):
            self._ahead = told - datetime.now(UTC)

    def __repr__(self) -> str:
        return f"<Client of {self.base}>"


@contextmanager
def _faults(url: str) -> Iterator[None]:
    """Tells apart what httpx raises: nothing was sent, or something may have arrived."""
    try:
        yield
    except _NOT_SENT as error:
        raise ConnectionFailed(
            f"No connection to {_host(url)}: {_reason(error)}. Nothing was sent. Are you "
            "offline? If that is the wrong address, look at REPLICATE_BASE_URL."
        ) from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise ConnectionLost(
            f"The connection to {_host(url)} broke before the answer was complete: "
            f"{_reason(error)}."
        ) from error


def _incoming(response: httpx.Response) -> Incoming:
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    pieces = response.aiter_bytes() if encoded else response.aiter_raw()
    return Incoming(status=response.status_code, headers=response.headers, pieces=pieces)


async def _body_of(coming: Incoming, most_bytes: int) -> tuple[bytes | None, int | None]:
    declared = coming.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else None
    body = bytearray()
    async for piece in coming.pieces:
        body += piece
        if max(len(body), size or 0) > most_bytes:
            return None, size
    return bytes(body), len(body)


def _host(url: str) -> str:
    scheme, host, port = protocol.origin(url)
    return f"{scheme}://{host}:{port}" if port not in {80, 443} else host


def _reason(error: Any) -> str:
    return one_line(str(error)).rstrip(".") or type(error).__name__
