"""Owns the words for a prediction's state: one line, the same in every view; must not draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replicate_magic.plain import count, one_line
from replicate_magic.prediction import CANCELING

if TYPE_CHECKING:
    from datetime import datetime

    from replicate_magic.prediction import Moving, Prediction, Retry

_ABSURD = 1e12  # of seconds, tokens or dollars
_TELLING_TOKENS = 5
_TELLING_S = 0.5


def status_parts(prediction: Prediction, *, ended: bool = False) -> list[str]:
    """The line's parts: model, status, times, speed. The link is the view's own.

    Args:
        prediction: the snapshot.
        ended: whether nothing more will come of it, whatever its status.
    """
    word = "not run" if ended and not prediction.id else state(prediction)
    parts = [name(prediction), word, *times(prediction), *measured(prediction)]
    parts += [*cost(prediction), *reused(prediction)]
    return [*parts, *saved(prediction)] if ended else parts


def cost(prediction: Prediction) -> list[str]:
    """About what it cost, where that is known and is anything."""
    usd = prediction.cost_usd
    return [money(usd)] if usd is not None and 0 < usd < _ABSURD else []


def money(usd: float) -> str:
    """Such as `≈ $0.0123`: it is an estimate."""
    if usd == 0:
        return "$0"
    if usd < 0.0001:
        return "< $0.0001"
    return f"≈ ${usd:,.2f}" if usd >= 1 else f"≈ ${usd:.4f}"


def reused(prediction: Prediction) -> list[str]:
    """That history gave the answer, and how old it is."""
    age_s = prediction.age_s
    return [] if age_s is None else [f"from history, {age(age_s)} old, nothing was sent"]


def age(seconds: float) -> str:
    """Such as `12 s`, `2 min 5 s`, `3 h 10 min`, or `4 days`."""
    days = int(seconds // 86_400)
    return count(days, "day") if days else duration(seconds)


def saved(prediction: Prediction) -> list[str]:
    """How many files were saved, and why others were not."""
    files = sum(file.path is not None for file in prediction.files)
    parts = [f"{count(files, 'file')} saved"] if files else []
    if prediction.unsaved:
        why = one_line(prediction.unsaved[0], limit=100)
        parts.append(f"{count(len(prediction.unsaved), 'file')} not saved: {why}")
    return parts


def times(prediction: Prediction) -> list[str]:
    """How long it waited and ran, by Replicate's clock."""
    queued, ran = queued_s(prediction), ran_s(prediction)
    return [
        f"{word} {duration(seconds)}"
        for word, seconds in (("queued", queued), ("ran", ran))
        if seconds is not None
    ]


def measured(prediction: Prediction) -> list[str]:
    """How fast the tokens came, and when the first."""
    parts = []
    speed, first = _number(prediction, "tokens_per_second"), first_token_s(prediction)
    if speed is not None:
        parts.append(f"{speed:.1f} tokens/s" if speed < 100 else f"{speed:,.0f} tokens/s")
    if first is not None:
        parts.append(f"first token {duration(first)}")
    return parts


def status_line(prediction: Prediction, *, ended: bool = False) -> str:
    """The line as text, with the link at its end."""
    page = [prediction.page] if prediction.page else []
    return " · ".join([*status_parts(prediction, ended=ended), *page])


def name(prediction: Prediction) -> str:
    """The model, with the first characters of its version where that is a hash."""
    version = prediction.version or ""
    short = f" ({version[:8]})" if re.fullmatch(r"[0-9a-f]{40,64}", version) else ""
    return one_line(f"{prediction.model}{short}")


def state(prediction: Prediction) -> str:
    """The status in a word, or what is being waited for."""
    if prediction.retry and (prediction.saving or not prediction.final):
        return waiting(prediction.retry)
    if phase(prediction) != "starting":
        return phase(prediction)
    logged = prediction.logs.strip().splitlines()[-1:]  # such as a download's progress
    return ": ".join([one_line(prediction.status), *(one_line(line, limit=80) for line in logged)])


def waiting(retry: Retry) -> str:
    """What is being waited for, which try comes then, and after how long."""
    if retry.reason == CANCELING or not retry.delay_s:
        return trouble(retry)
    return f"{trouble(retry)}, again in {duration(retry.delay_s)}"


def trouble(retry: Retry) -> str:
    """What went wrong, in a sentence, and which try comes next."""
    sentence = re.split(r"\.\s", one_line(retry.reason, limit=2_000))[0].rstrip(".")
    reason = one_line(f"{retry.file}: {sentence}" if retry.file else sentence, limit=100)
    return f"{reason}, try {retry.attempt}" if retry.attempt else reason


def moved(moving: Moving | None) -> list[str]:
    """Which files are on their way, and how far: `saving 2 of 3 files`, `34 of 100 MB`."""
    if moving is None:
        return []
    which = one_line(moving.name) or f"{moving.done_files} of {count(moving.files, 'file')}"
    parts = [f"{_verb(moving)} {which}"]
    if moving.total_bytes is not None:
        return [*parts, share(moving.done_bytes, moving.total_bytes)]
    return [*parts, size(moving.done_bytes)] if moving.done_bytes else parts


def begun(moving: Moving) -> str:
    """That files have set out: `sending cat.mp4 (34.0 MB) …`, for where it is told once."""
    which = one_line(moving.name) or count(moving.files, "file")
    much = "" if moving.total_bytes is None else f" ({size(moving.total_bytes)})"
    return f"{_verb(moving)} {which}{much} …"


def _verb(moving: Moving) -> str:
    return "sending" if moving.direction == "up" else "saving"


def phase(prediction: Prediction) -> str:
    """The status in a word, as people see it: also `sending`, `running`, `streaming`, `saving`."""
    if prediction.moving and prediction.moving.direction == "up":
        return "sending"
    if prediction.saving:
        return "saving"
    if prediction.final:
        return one_line(prediction.status)
    if prediction.first_output_after_s is not None or len(prediction.streamed):
        return "streaming"
    return "running" if prediction.status == "processing" else one_line(prediction.status)


def passed(prediction: Prediction) -> list[tuple[str, float]]:
    """The phases so far with the seconds each took, as seen from here; the last one goes on."""
    sent_s = prediction.sent_after_s
    is_sending = phase(prediction) == "sending"
    begun = [
        (word, at_s)
        for word, at_s in (
            ("sending", None if sent_s is None and not is_sending else 0.0),
            ("queued", None if is_sending else sent_s or 0.0),
            ("running", prediction.started_after_s),
            ("streaming", prediction.first_output_after_s),
            ("saving", prediction.finished_after_s if prediction.saving else None),
        )
        if at_s is not None
    ]
    ends = [*(at_s for _, at_s in begun[1:]), prediction.seen_after_s]
    lasted = [(word, end_s - at_s) for (word, at_s), end_s in zip(begun, ends, strict=True)]
    return [(word, seconds) for word, seconds in lasted[:-1] if seconds > 0] + lasted[-1:]


def live_speed(prediction: Prediction) -> str:
    """Tokens a second while they come, about; an empty string where there are too few to tell."""
    first_s, tokens = prediction.first_output_after_s, len(prediction.streamed)
    if prediction.final or first_s is None or tokens < _TELLING_TOKENS:
        return ""
    seconds = prediction.seen_after_s - first_s
    return f"≈ {tokens / seconds:,.0f} tokens/s" if seconds >= _TELLING_S else ""


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
    """Such as `42 B`, `310 kB`, `4.2 MB` or `1.0 GB`."""
    if size_bytes is None:
        return "size unknown"
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    if size_bytes < 999_500:
        return f"{size_bytes / 1_000:.0f} kB"
    if size_bytes < 999_500_000:
        return f"{size_bytes / 1_000_000:.1f} MB"
    return f"{size_bytes / 1_000_000_000:.1f} GB"


def share(done_bytes: int, total_bytes: int) -> str:
    """How much of so much, such as `34 of 100 MB` or `0.4 of 1.2 GB`."""
    whole, unit = size(total_bytes).split(" ")
    factor = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}[unit]
    digits = 1 if "." in whole and len(whole) <= 3 else 0
    return f"{done_bytes / factor:.{digits}f} of {total_bytes / factor:.{digits}f} {unit}"


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
