"""The ways in which a secret may be written, and what of them is in some bytes."""

from __future__ import annotations

import base64
from urllib.parse import quote


def spellings(secret):
    """A secret's spellings, by name: found in bytes, the secret is in them."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "backwards": raw[::-1],
        "url": quote(secret, safe="").encode(),
        "url twice": quote(quote(secret, safe=""), safe="").encode(),
        "url throughout": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "hex": raw.hex().encode(),
        "hex with blanks": raw.hex(" ").encode(),
        "utf-16": secret.encode("utf-16-le"),
        "json": "".join(f"\\u{byte:04x}" for byte in raw).encode(),
        "bytes": ", ".join(map(str, raw)).encode(),
        "bytes in json": ",".join(map(str, raw)).encode(),
    }
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw)
        whole = text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]  # without its neighbours
        found[f"base64 from {before}"] = whole
        found[f"base64 for urls from {before}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    return {name: spelled.lower() for name, spelled in found.items()}


def spelled_in(data, secret):
    """The names of the spellings that are in some bytes or text; none is where it is not there."""
    data = (data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")).lower()
    return [name for name, spelled in spellings(secret).items() if spelled in data]
