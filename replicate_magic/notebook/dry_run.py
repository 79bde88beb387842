"""Owns how a request that is not sent is written out; the token is no part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replicate_magic.session import DryRun


def dry_run_text(dry_run: DryRun) -> str:
    """The request line, the headers and the exact JSON."""
    request = dry_run.request
    lines = [f"{request.method} {dry_run.base}{request.path}"]
    lines += ["authorization: Bearer (the token)", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += ["", json.dumps(request.json, indent=2, ensure_ascii=False), ""]
    if dry_run.doubt:
        doubt = dry_run.doubt.removesuffix("Nothing was sent.").rstrip()
        lines.append(f"Not checked against the model's schema: {doubt}")
    return "\n".join([*lines, "Nothing was sent."])
