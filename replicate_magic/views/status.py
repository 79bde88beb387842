"""Owns the words for a prediction's state: one line, the same in every view; must not draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replicate_magic.plain import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from replicate_magic.prediction import Prediction

_ABSURD = 1e12  # of seconds or tokens


def status_parts(prediction: Prediction) -> list[str]:
    """The line's parts: model, status, times, speed. The link is the view's own."""
    parts = [name(prediction), state(prediction)]
    queued, ran = queued_s(prediction), ran_s(prediction)
    if queued is not None:
        parts.append(f"queued {duration(queued)}")
    if ran is not None:
        parts.append(f"ran {duration(ran)}")
    speed = _number(prediction, "tokens_per_second")
    if speed is not None:
        parts.append(f"{speed:.1f} tokens/s" if speed < 100 else f"{speed:,.0f} tokens/s")
    first = first_token_s(prediction)
    if first is not None:
        parts.append(f"first token {duration(first)}")
    return parts


def status_line(prediction: Prediction) -> str:
    """The line as text, with the link at its end."""
    page = [prediction.page] if prediction.page else []
    return " · ".join([*status_parts(prediction), *page])


def name(prediction: Prediction) -> str:
    """The model, with the first characters of its version where that is a hash."""
    version = prediction.version or ""
    short = f" ({version[:8]})" if re.fullmatch(r"[0-9a-f]{40,64}", version) else ""
    return one_line(f"{prediction.model}{short}")


def state(prediction: Prediction) -> str:
    """The status in a word, or what is being waited for."""
    if prediction.final:
        return one_line(prediction.status)
    if prediction.retry:
        return f"{one_line(prediction.retry.reason)}, again in {duration(prediction.retry.delay_s)}"
    if len(prediction.streamed):
        return "streaming"
    if prediction.status == "processing":
        return "running"
    logged = prediction.logs.strip().splitlines()[-1:]  # such as a download's progress
    return ": ".join([one_line(prediction.status), *(one_line(line, limit=80) for line in logged)])


def queued_s(prediction: Prediction) -> float | None:
    """Seconds between creation and start, by Replicate's clock."""
    return _between(prediction.created_at, prediction.started_at)


def ran_s(prediction: Prediction) -> float | None:
    """Seconds the model ran: its own `predict_time`, else by Replicate's clock."""
    told = _number(prediction, "predict_time")
    return told if told is not None else _between(prediction.started_at, prediction.completed_at)


def first_token_s(prediction: Prediction) -> float | None:
    """Seconds until the first token: as the model measured, else as it was seen from here."""
    told = _number(prediction, "time_to_first_token")
    if told is not None or not prediction.final or prediction.shape not in {"chunks", "text"}:
        return told  # while it runs, queueing cannot be told from the model's own first second
    first, created = prediction.first_output_after_s, prediction.created_after_s
    return first - created if first is not None and created is not None else None


def duration(seconds: float) -> str:
    """Such as `0.42 s`, `3.1 s`, `42 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 0.005:
        return "0 s"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(size_bytes: int | None) -> str:
    """Such as `42 B`, `310 kB` or `4.2 MB`."""
    if size_bytes is None:
        return "size unknown"
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    if size_bytes < 999_500:
        return f"{size_bytes / 1_000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def _number(prediction: Prediction, metric: str) -> float | None:
    """A metric, where it is a number that makes sense: recorded ones may be negative."""
    value = prediction.metrics.get(metric)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _ABSURD:
        return float(value)
    return None


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    seconds = (end - start).total_seconds()
    return seconds if seconds >= 0 else None
