"""Owns when two requests are the same: a digest of what is asked; must not read a file.

The same bytes are the same file, whether they travel as a `data:` URL or are sent ahead.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from replicate_magic.cell.objects import LargeFile, SentFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from replicate_magic.cell.plan import Target

_HEAD = re.compile(
    r"""data:(?:[^\s/;,"]+/[^\s/;,"]+)?(?:;[^\s;,="]+=(?:"[^"]*"|[^;,"]*))*(?P<is_base64>;base64)?,""",
    re.ASCII | re.IGNORECASE,
)
_BLANKS = b"\t\n\f\r "
_FILE = "data:,"
"""Stands before a file's digest. A text that begins so is such a file itself, so that none is taken
for another."""


def request_sha256(
    target: Target,
    input: Mapping[str, Any],  # noqa: A002  (Replicate's own word)
    digest_of: Callable[[LargeFile], str],
    *,
    secrets: Collection[str] = (),
) -> str:
    """What requests that are alike have in common, and no others: 64 hex digits.

    Alike are the same target as it was asked for, the version only where it was named, with the
    same input: 1 is 1.0, the order of names is nothing, and files count by their bytes. Secrets are
    left out, since a short one could be guessed from the digest: requests that differ in nothing
    else are alike.

    Args:
        target: what is to run.
        input: as it is sent, or with what is to be sent ahead.
        digest_of: the sha256 of such a file's bytes in hex; it may read them.
        secrets: the names of the inputs that are secrets.
    """
    asked = {name: value for name, value in input.items() if name not in secrets}
    text = json.dumps(
        [str(target), _canonical(asked, digest_of)],
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def bytes_of(url: str) -> bytes | None:
    """The bytes of a `data:` URL (RFC 2397); `None` for any other text.

    What was percent-encoded, padded with nothing or broken into lines is read as browsers do:
    https://fetch.spec.whatwg.org/#data-url-processor
    """
    head = _HEAD.match(url)
    if head is None:
        return None
    data = unquote_to_bytes(url[head.end() :].encode("utf-8", "surrogatepass"))
    if not head["is_base64"]:
        return data
    digits = data.translate(None, _BLANKS)
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        return None


def _canonical(value: Any, digest_of: Callable[[LargeFile], str]) -> Any:
    """The value as all that are the same have it."""
    match value:
        case LargeFile() | SentFile():
            return _FILE + (value.sha256 if isinstance(value, SentFile) else digest_of(value))
        case str():
            data = bytes_of(value)
            return value if data is None else _FILE + hashlib.sha256(data).hexdigest()
        case float():
            return int(value) if value.is_integer() else value
        case Mapping():
            return {str(name): _canonical(inner, digest_of) for name, inner in value.items()}
        case list() | tuple():
            return [_canonical(inner, digest_of) for inner in value]
    return value
