"""Owns an offer to whoever types, and the words beside it; must not know where it is made.

Names and descriptions are the API's, so that each note is one clean line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from replicate_magic.plain import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.options import Option
    from replicate_magic.cell.schema import InputField
    from replicate_magic.notebook.recall import Found
    from replicate_magic.runs.batch_items import BatchRecord
    from replicate_magic.runs.glance import Glance

_CHARS = 80  # more would not stand beside a name in a page
_PROMPT_CHARS = 40
_MOST_READ = 1_000  # of a description
_FEW_CHOICES = 6
_HALF_LIFE = 100  # of a run's weight, in runs
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


class Offer(NamedTuple):
    """Something that may stand where the cursor is, and a note on it."""

    text: str
    note: str = ""


class Answer(NamedTuple):
    """What is offered in place of what is written.

    Attributes:
        typed: what is replaced; it ends at the cursor.
        is_key: whether a key of the user's own object is written, which IPython completes.
    """

    typed: str
    offers: Sequence[Offer] = ()
    is_key: bool = False


def fitting(offers: Iterable[Offer], text: str, *, anywhere: bool = False) -> list[Offer]:
    """Those that begin with what is written, and perhaps those that hold it, in their order."""
    word, known = text.lower(), list(offers)
    first = [offer for offer in known if offer.text.lower().startswith(word)]
    if not anywhere:
        return first
    return [*first, *(one for one in known if word in one.text.lower() and one not in first)]


def of_option(option: Option) -> Offer:
    """An option by its long name."""
    value = f"{option.value}: " if option.value else ""
    return Offer(f"--{option.name}", one_line(f"{value}{option.help}", limit=_CHARS))


def of_field(field: InputField, info: ModelInfo) -> str:
    """A note such as `integer, 1 to 2048, default 256 · The longest answer, in tokens.`."""
    use = "the cell's body" if field.name == info.prompt_key else ""
    return of_taken(field, info.descriptions.get(field.name, ""), use)


def of_taken(field: InputField, described: str, use: str = "") -> str:
    """A note on what something takes, what it is for, and how it is described."""
    from replicate_magic.cell import words

    choices = words.choices(field)
    facts = [
        _shown(choices) if choices else words.kind(field),
        words.limits(field),
        f"default {words.value(field.default, limit=40)}" if field.default is not None else "",
        "required" if field.required else "",
        use,
    ]
    told = [", ".join(filter(None, facts)), one_line(described[:_MOST_READ])]
    return one_line(" · ".join(filter(None, told)), limit=_CHARS)


def _shown(choices: Sequence[Any]) -> str:
    from replicate_magic.cell import words

    shown = " | ".join(words.value(choice, limit=20) for choice in choices[:_FEW_CHOICES])
    return f"{shown} | …" if len(choices) > _FEW_CHOICES else shown


def of_run(run: Glance) -> Offer:
    """A run with a note such as `acme/poet, succeeded, 3 h ago · Write a poem about…`."""
    facts = f"{run.model}, {run.status}, {ago(run.created_us)}"
    told = f"{facts} · {one_line(run.prompt, limit=_PROMPT_CHARS)}" if run.prompt else facts
    return Offer(run.id, one_line(told, limit=_CHARS))


def of_batch(batch: BatchRecord) -> Offer:
    """A batch with a note such as `40 requests, running, 3 h ago`."""
    many = "requests" if batch.total is None else count(batch.total, "request")
    at_us = int(batch.created_at.timestamp() * 1e6)
    return Offer(batch.id, f"{many}, {batch.state}, {ago(at_us)}")


def of_found(found: Found) -> str:
    """A note on a model that a search has found."""
    runs = count(found.run_count, "run") if isinstance(found.run_count, int) else ""
    told = " · ".join(filter(None, [runs, found.description[:_MOST_READ].strip()]))
    return one_line(told, limit=_CHARS)


def of_models(runs: Iterable[Glance]) -> Iterator[tuple[str, str]]:
    """The models of runs, newest first; those that were run often and lately come first."""
    weights: dict[str, float] = {}
    times: dict[str, list[int]] = {}
    for number, run in enumerate(runs):
        weights[run.model] = weights.get(run.model, 0.0) + 0.5 ** (number / _HALF_LIFE)
        times.setdefault(run.model, []).append(run.created_us)
    for model in sorted(weights, key=lambda name: weights[name], reverse=True):
        yield model, f"{count(len(times[model]), 'run')}, the last {ago(max(times[model]))}"


def of_type(value: Any) -> str:
    """What a variable holds."""
    return one_line(type(value).__name__, limit=60)


def ago(at_us: int) -> str:
    """How long ago a moment was, such as `5 min ago`; one in the future is now."""
    seconds = datetime.now(UTC).timestamp() - at_us / 1e6
    for unit, span_s in _UNITS:
        if seconds >= span_s:
            return f"{int(seconds // span_s):,} {unit} ago"
    return "just now"
