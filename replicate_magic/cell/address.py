"""Owns the address of a Cog server as people write it; must not connect to it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from replicate_magic.errors import CellError
from replicate_magic.plain import one_line

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_OF_REPLICATE = re.compile(r"https?://([\w-]+\.)*replicate\.(com|delivery)(/|$)", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"[\w-]+(\.[\w-]+)*:\d{2,5}/?", re.ASCII)
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+")
_PATH = re.compile(r"[\w/.~-]*", re.ASCII)
_HOW = "Write http://host:port."


def server_address(text: str) -> str | None:
    """The address: scheme and host in small letters, without a `/` at its end.

    Returns:
        `None` for what is no http(s) address, and for one of Replicate's own.

    Raises:
        CellError: it is meant as one, and is none.
    """
    if _HOST_AND_PORT.fullmatch(text):
        raise CellError(f"{text} is not a model. A Cog server's address is written http://{text}")
    if not _ADDRESS.match(text) or _OF_REPLICATE.match(text):
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise CellError(_none(text)) from None
    if "@" in parts.netloc:
        raise CellError(
            "A Cog server's address has no name or password in it: it stands in each run's row, "
            f"and Cog asks for none. {_HOW}"
        )
    if parts.query or parts.fragment or not (_HOST.fullmatch(host) and _PATH.fullmatch(parts.path)):
        raise CellError(_none(text))
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _none(text: str) -> str:
    return f"{one_line(text, limit=80)} is not the address of a Cog server. {_HOW}"
