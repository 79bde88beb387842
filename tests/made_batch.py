"""Requests of a batch that nobody made, and a tally of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replicate_magic.prediction import Prediction
from replicate_magic.tally import Entry, Tally

BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOSTILE = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>\u202ee\u2066'


def waiting(number, *, model="acme/poet", prompt="Write.", **params):
    return Entry(number=number, model=model, prompt=prompt, params=params)


def running(number, *, text="", at_s=1.0, model="acme/poet", prompt="Write.", **params):
    """A request that runs; what has come of it was polled."""
    raw = {"id": f"p{number}", "status": "processing", "output": text or None}
    prediction = Prediction(
        model=model, raw=raw, shape="text", seen_after_s=at_s, started_after_s=0.5
    )
    return Entry(
        number=number, model=model, prompt=prompt, params=params, phase="running",
        prediction=prediction,
    )  # fmt: skip


def ended(
    number, output="Hello world", *, status="succeeded", error="", at_s=0.0, queued_s=0.5,
    ran_s=1.5, model="acme/poet", prompt="Write.", params=None, metrics=None, cost_usd=None,
    age_s=None, shape="text", files=(), **raw,
):  # fmt: skip
    """A request that has ended; its times are in seconds since the batch began."""
    began = BEGAN + timedelta(seconds=at_s)
    started = began + timedelta(seconds=queued_s)
    raw = {
        "id": f"p{number}",
        "status": status,
        "output": [file.url for file in files] or output,
        "error": error or None,
        "created_at": began.isoformat(),
        "started_at": started.isoformat(),
        "completed_at": (started + timedelta(seconds=ran_s)).isoformat(),
        "metrics": {"predict_time": ran_s} if metrics is None else metrics,
        **raw,
    }
    prediction = Prediction(
        model=model, raw=raw, shape="files" if files else shape, fetched=tuple(files),
        cost_usd=cost_usd, age_s=age_s,
    )  # fmt: skip
    return Entry(
        number=number, model=model, prompt=prompt, params=params or {}, phase="done",
        prediction=prediction, error=error, reused=age_s is not None,
    )  # fmt: skip


def unsent(number, error="Not sent: it was interrupted.", **given):
    return Entry(
        number=number, model=given.pop("model", "acme/poet"), prompt="Write.", params=given,
        phase="done", error=error,
    )  # fmt: skip


def tally_of(entries, *, total=..., began_s=100.0, ended_s=None):
    entries = list(entries)
    tally = Tally("3f9ac0d1e2b4", len(entries) if total is ... else total, began_s)
    for entry in entries:
        tally.add(entry)
    tally.ended_s = ended_s
    return tally
