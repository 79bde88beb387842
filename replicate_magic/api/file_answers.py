"""Owns what an answer tells of a file that a model gave: its type, name and extent; no I/O."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replicate_magic.api.answers import PAGES, number_in
from replicate_magic.cell.files import media_type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN = "application/octet-stream"
_SAYS_NOTHING = {_UNKNOWN, "binary/octet-stream", "application/binary", "application/x-download"}


def file_type(start: bytes, declared: str, url: str) -> str:
    """A file's media type: by its first bytes, else as declared, else by the URL's name."""
    if (told := media_type_of(start)) != _UNKNOWN:
        return told
    kind = declared.partition(";")[0].strip().lower()
    if re.fullmatch(r"[\w.+-]+/[\w.+-]+", kind, re.ASCII) and kind not in _SAYS_NOTHING:
        return kind
    return type_in_name(url_name(url)) or _UNKNOWN


def url_name(url: str) -> str:
    """The last part of a URL's path as it is written there; empty for a `data:` URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return "" if parts.scheme == "data" else parts.path.rpartition("/")[2]


def type_in_name(name: str) -> str | None:
    """The media type that a file's name tells, if it does."""
    return mimetypes.guess_type(f"file.{name.rpartition('.')[2]}")[0] if "." in name else None


def is_page_instead(declared: str, url: str) -> bool:
    """Whether HTML is declared where the URL names a file of another kind: a sign-in page."""
    kind = declared.partition(";")[0].strip().lower()
    named = type_in_name(url_name(url))
    return kind in PAGES and named not in {None, kind, "text/html"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which part of a file an answer brings, by its status and headers (RFC 9110, 14 and 15.3.7).

    Attributes:
        start: the offset of its first byte.
        total: the whole file's length, where it is told.
        validator: what `If-Range` takes for this very file, or an empty string.
    """

    start: int
    total: int | None
    validator: str


def read_extent(status: int, headers: Mapping[str, str]) -> Extent | None:
    """The extent of a good answer with a file; `None` for a part that is not told."""
    if headers.get("content-encoding", "identity") != "identity":
        return Extent(start=0, total=None, validator="") if status == 200 else None
    tag = headers.get("etag", "")
    validator = tag if tag.startswith('"') else headers.get("last-modified", "")
    if status == 200:
        length = number_in(headers.get("content-length", ""))
        return Extent(start=0, total=length, validator=validator)
    told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("content-range", ""), re.ASCII)
    if status != 206 or told is None:
        return None
    start = number_in(told[1])
    if start is None:
        return None
    return Extent(start=start, total=number_in(told[2]), validator=validator)
