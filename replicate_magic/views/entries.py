"""Owns the words for a request of a batch, and for all of them; must not draw."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from replicate_magic.plain import count, one_line, printable
from replicate_magic.views import cells, status
from replicate_magic.views.answer import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replicate_magic.cell.options import Format
    from replicate_magic.prediction import Prediction
    from replicate_magic.tally import Entry, Tally

Kind = Literal["waiting", "running", "succeeded", "failed", "canceled"]
"""What a request is counted, coloured and found by."""

_TAIL_CHUNKS = 200  # of a stream, in which its last line is looked for
_TAIL_CHARS = 2_000
_JSON_CHARS = 20_000


# -- one request ------------------------------------------------------------------------------


def kind(entry: Entry) -> Kind:
    """How far it is."""
    return kind_of(entry.outcome)


def kind_of(outcome: str) -> Kind:
    """How far what has such an `Entry.outcome` is; what ended unlike all others has failed."""
    match outcome:
        case "waiting" | "running" | "succeeded":
            return outcome
        case "canceled" | "aborted" | "not sent":
            return "canceled"
    return "failed"


def word(entry: Entry) -> str:
    """How far it is, as people see it."""
    if entry.phase == "running":
        return status.phase(entry.prediction)
    return one_line(entry.outcome, limit=20)


def parameter(value: Any) -> str:
    """A value of `Entry.params`; of a long one the beginning."""
    text = "" if value is None else value if isinstance(value, str) else str(value)
    return one_line(text[:400], limit=40)


def answer(entry: Entry, look_format: Format = "auto", *, most_chars: int = _JSON_CHARS) -> str:
    """What came of it, safe to print: the output, else why there is none.

    Args:
        entry: the request.
        look_format: how the output is shown.
        most_chars: of an output that is longer the text is the beginning.
    """
    if entry.phase == "done" and not entry.ok and entry.error:
        return printable(entry.error[:most_chars])
    prediction = entry.prediction
    if not prediction.id:
        return ""
    if prediction.is_text and not prediction.files and look_format != "json":
        return printable(prediction.text[:most_chars]).strip("\n")  # no more is read than is shown
    text = shown(prediction, None, look_format, most_chars=most_chars).text
    return text[:most_chars].strip("\n")


def line(entry: Entry, limit: int) -> str:
    """What there is of its answer on one line: the last one while it grows, then the beginning."""
    if entry.phase == "done":
        return one_line(answer(entry, most_chars=4 * limit), limit=limit)
    if entry.phase == "waiting":
        return ""
    grown = _tail(entry.prediction).strip()
    if grown:
        return one_line(grown.splitlines()[-1], limit=limit)
    return status.waiting(entry.prediction.retry) if entry.prediction.retry else ""


def _tail(prediction: Prediction) -> str:
    """The end of what has come; files and values have none."""
    if prediction.shape not in {"chunks", "text", None} or prediction.files:
        return ""
    chunks = prediction.streamed
    if len(chunks):
        return "".join(chunks.parts(max(len(chunks) - _TAIL_CHUNKS, 0)))[-_TAIL_CHARS:]
    return prediction.text[-_TAIL_CHARS:]


def ran_s(entry: Entry) -> float | None:
    """Seconds that it ran: by the model, else as it was seen from here."""
    prediction = entry.prediction
    told = status.ran_s(prediction)
    if told is not None or prediction.age_s is not None:
        return told
    begun, finished = prediction.created_after_s, prediction.finished_after_s
    return finished - begun if begun is not None and finished is not None else None


def speed(entry: Entry) -> float | None:
    """Tokens a second, as the model measured them."""
    return _amount(entry.prediction, "tokens_per_second")


def speed_word(entry: Entry) -> str:
    """Tokens a second, such as `42.1`; while they come `≈ 42`."""
    if entry.phase == "running":
        return status.live_speed(entry.prediction).removesuffix(" tokens/s")
    per_s = speed(entry)
    return "" if per_s is None else cells.speed(per_s)


def facts(entry: Entry) -> list[str]:
    """How long it ran and how fast, or that nothing was sent."""
    if entry.prediction.age_s is not None:
        return [f"from history, {status.age(entry.prediction.age_s)} old"]
    seconds, fast = ran_s(entry), speed(entry)
    return [
        *([status.duration(seconds)] if seconds is not None else []),
        *([_speed(fast)] if fast is not None else []),
    ]


# -- several ----------------------------------------------------------------------------------


def counted(tally: Tally) -> list[str]:
    """How many are how far, such as `3 running`; those that succeeded come first."""
    counts = tally.counts()
    order = ["succeeded", "failed", "canceled", "aborted", "not sent", "running", "waiting"]
    known = [outcome for outcome in order if outcome in counts]
    others = [outcome for outcome in counts if outcome not in order]
    return [f"{counts[outcome]:,} {one_line(outcome)}" for outcome in (*known, *others)]


def summary(tally: Tally, now_s: float) -> list[str]:
    """What a batch has come to: counts, time, speed, cost, and what it is called."""
    seconds = max((tally.ended_s or now_s) - tally.began_s, 0.0)
    asked = len(tally.entries) if tally.total is None else tally.total
    return [
        count(asked, "request"),
        *counted(tally),
        status.duration(seconds),
        *_speed_of_all(tally.entries, seconds),
        *_cost(tally.entries),
        f"batch {one_line(tally.batch_id)}",
    ]


def of_model(entries: Sequence[Entry]) -> list[str]:
    """How a model did: how many of its requests succeeded, and what is usual for it."""
    ran = [seconds for entry in entries if entry.ok and (seconds := ran_s(entry)) is not None]
    fast = [per_s for entry in entries if entry.ok and (per_s := speed(entry)) is not None]
    good = sum(entry.ok for entry in entries)
    usual = "median " if len(ran) > 1 else ""
    is_plain = good == len(entries) == 1
    return [
        *([] if is_plain else [f"{good:,} of {len(entries):,} succeeded"]),
        *([f"{usual}{status.duration(median(ran))}"] if ran else []),
        *([_speed(median(fast))] if fast else []),
    ]


def _speed_of_all(entries: Iterable[Entry], seconds: float) -> list[str]:
    """Tokens a second over all that were sent: more run at a time."""
    sent = [entry.prediction for entry in entries if entry.prediction.age_s is None]
    tokens = sum(filter(None, map(_tokens, sent)))
    return [f"{_speed(tokens / seconds)} in all"] if tokens and seconds >= 0.1 else []


def _tokens(prediction: Prediction) -> float | None:
    """Models count tokens under two schemes of names."""
    told = _amount(prediction, "output_token_count")
    return _amount(prediction, "token_output_count") if told is None else told


def _cost(entries: Iterable[Entry]) -> list[str]:
    """What all that were sent have cost, as far as it is known."""
    sent = [one.prediction for one in entries if one.prediction.id and one.prediction.age_s is None]
    known = [one.cost_usd for one in sent if one.cost_usd is not None]
    if len(known) == len(sent):
        return [status.money(sum(known))] if sum(known) > 0 else []
    if not known:
        return ["cost unknown"]
    return [f"{status.money(sum(known))} and {len(sent) - len(known):,} of unknown cost"]


def _speed(per_s: float) -> str:
    return f"{cells.speed(per_s)} tokens/s"


def _amount(prediction: Prediction, metric: str) -> float | None:
    return cells.sensible(prediction.metrics.get(metric))
