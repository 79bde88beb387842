"""Gets the content of a file input, which is an http, https or data URL.

Opens nothing else, no local file above all. This engine's own files come as http URLs too.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import quote, urlsplit

from replicate_magic.local.model import ModelError

MAX_BYTES = 100 * 1024 * 1024
TIMEOUT_S = 30.0
DEADLINE_S = 300.0
CHUNK_BYTES = 256 * 1024
SHOWN_CHARS = 200

# Some hosts refuse what names no client.
_HEADERS = {"User-Agent": "replicate-magic (embedded engine)", "Accept": "image/*, */*;q=0.5"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = "%/:=&?~#+!$,;'@()*[]"


def fetch(url: str) -> bytes:
    """What is at *url*.

    Raises:
        ModelError: If it cannot be had, or is more than 100 MB.
    """
    try:
        with _open(url) as answer:
            return _read(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failure(url, f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failure(url, str(error.reason)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _failure(url, str(error) or type(error).__name__) from error


def _open(url: str) -> IO[bytes]:
    scheme = urlsplit(url).scheme.lower()
    if scheme not in {"http", "https", "data"}:
        raise ValueError("it must be an http, https or data URL")
    opener = urllib.request.OpenerDirector()
    # Not `build_opener`, which opens files and FTP too.
    for handler in (
        urllib.request.ProxyHandler({} if urlsplit(url).hostname in _LOOPBACK else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_certificates()),
        urllib.request.DataHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    readable = url if scheme == "data" else quote(url, safe=_SAFE)
    request = urllib.request.Request(readable, headers=_HEADERS)  # noqa: S310 - checked above
    answer = opener.open(request, timeout=TIMEOUT_S)
    if answer is None:
        raise ValueError("it leads to what is no http, https or data URL")
    opened: IO[bytes] = answer
    return opened


def _certificates() -> ssl.SSLContext:
    """The system's roots, and certifi's: Python has none where it came from python.org on macOS."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context


def _read(answer: IO[bytes]) -> bytes:
    end = time.monotonic() + DEADLINE_S
    content = bytearray()
    while chunk := answer.read(CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ValueError("it has more than 100 MB")
        if time.monotonic() > end:
            raise ValueError(f"it took more than {DEADLINE_S / 60:.0f} minutes")
    # `http.client` tells only those who read it all at once.
    if getattr(answer, "length", None):
        raise ValueError("it broke off")
    return bytes(content)


def _failure(url: str, reason: str) -> ModelError:
    return ModelError(f"The image at {_shown(url)} could not be fetched: {reason}.")


def _shown(url: str) -> str:
    """*url* without what may be secret, and of a length that can be read."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return url[:SHOWN_CHARS]
    if not host:
        return f"{parts.scheme or url[:20]}:…"
    return f"{parts.scheme}://{host}{parts.path}"[:SHOWN_CHARS]
