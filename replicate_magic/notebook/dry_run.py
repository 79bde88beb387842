"""Owns how a request that is not sent is written out; neither token nor secret is part of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from replicate_magic.plain import count, dollars, one_line
from replicate_magic.runs.history import the_history
from replicate_magic.runs.prices import expected_usd

if TYPE_CHECKING:
    from replicate_magic.batch_run import Batch
    from replicate_magic.runs.prices import Earlier, Prices
    from replicate_magic.session import DryRun
    from replicate_magic.tally import Entry

_MOST_LISTED = 20
_STEERS = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")  # and JSON may hold it


def dry_run_text(dry_run: DryRun, *, cost: str = "") -> str:
    """The request line, the headers and the exact JSON, but for secrets; what it may cost."""
    request = dry_run.request
    lines = [f"{request.method} {dry_run.base}{request.path}"]
    lines += ["authorization: Bearer (the token)"] if dry_run.has_token else []
    lines += ["content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    whole = json.dumps(request.json, indent=2, ensure_ascii=False)
    lines += ["", _STEERS.sub(_escaped, whole), ""]
    if dry_run.doubt:
        doubt = dry_run.doubt.removesuffix("Nothing was sent.").rstrip()
        lines.append(f"{_checked(dry_run.as_of)}: {doubt}")
    return "\n".join([*lines, f"{cost} Nothing was sent.".lstrip()])


def _escaped(sign: re.Match[str]) -> str:
    return f"\\u{ord(sign[0]):04x}"


def many_text(batch: Batch, *, prices: Prices) -> str:
    """What a batch would send: how many, what they may cost, and the first of them."""
    entries = batch.tally.entries
    lines = [_entry_line(entry) for entry in entries[:_MOST_LISTED]]
    if len(entries) > _MOST_LISTED:
        lines.append(f"… and {count(len(entries) - _MOST_LISTED, 'more request')}")
    cost = cost_text([entry.model for entry in entries], prices)
    head = f"{count(len(entries), 'request')}. {cost}"
    return "\n".join([head, "", *lines, "", "Nothing was sent."])


def cost_text(models: list[str], prices: Prices) -> str:
    """What runs may cost, by the models' earlier ones."""
    cost = expected_usd(models, _earlier, prices)
    if cost is None:
        return "Estimated cost: unknown."
    return f"Estimated cost: {f'about {dollars(cost)}, by earlier runs' if cost else 'nothing'}."


def _earlier(model: str) -> list[Earlier]:
    return [earlier for _, earlier in the_history().last_runs(model)]


def _entry_line(entry: Entry) -> str:
    params = [f"{name}={one_line(str(it), limit=40)}" for name, it in entry.params.items()]
    prompt = [one_line(entry.prompt, limit=60)] if entry.prompt else []
    return f"{entry.number + 1:>6}  {'  '.join([entry.model, *params, *prompt])}"


def _checked(as_of: datetime | None) -> str:
    if as_of is None:
        return "Not checked against the model's schema"
    return f"Checked against the model's schema as it was {_span(datetime.now(UTC) - as_of)} ago"


def _span(age: timedelta) -> str:
    """Such as `3 days`."""
    if age.days > 0:
        return count(age.days, "day")
    hours, seconds = divmod(max(age.seconds, 0), 3600)
    return count(hours, "hour") if hours else count(seconds // 60, "minute")
