"""Owns the seeds of repeated requests: each repeat has its own, and the same one next time.

It must not judge a seed that was given: one that makes no sense stays, for the plan to refuse.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic.cell import coerce
from replicate_magic.cell.grammar import Given
from replicate_magic.errors import InputError

if TYPE_CHECKING:
    from replicate_magic.cell.plan import Draft
    from replicate_magic.cell.schema import InputField, Schema

SEED = "seed"


def with_seed(draft: Draft, schema: Schema, repeat: int) -> Draft:
    """The draft of one of several repeats, with a seed of its own where the model takes one.

    It is `repeat` more than the seed that was given, or than the model's default; where that is
    none, or negative, which asks models for a random one, it is counted from 1. Behind the greatest
    seed comes the least. A seed that is given as null stays.

    Args:
        draft: the draft that all repeats have.
        schema: the model's.
        repeat: which repeat it is, from 0.
    """
    field = (schema.fields or {}).get(SEED)
    if field is None or "integer" not in field.types or field.choices:
        return draft
    least, most = _bounds(field)
    first = _first(draft, field, least)
    if first is None or not least <= first <= most:
        return draft
    seed = first + repeat
    if seed > most:
        start = int(max(least, min(first, 0)))
        seed = start + (seed - start) % (int(most) - start + 1)
    return replace(draft, inputs={**draft.inputs, SEED: seed})


def _bounds(field: InputField) -> tuple[float, float]:
    """The least and the greatest whole number that an input takes."""
    least = [-math.inf, field.minimum, None if field.above is None else field.above + 1]
    most = [math.inf, field.maximum, None if field.below is None else field.below - 1]
    return max(n for n in least if n is not None), min(n for n in most if n is not None)


def _first(draft: Draft, field: InputField, least: float) -> int | None:
    """The seed of the first repeat; `None` where one is given that is no whole number."""
    if SEED not in draft.inputs:
        default = field.default
        return default if _is_whole(default) and default >= 0 else int(max(least, 1))
    given = draft.inputs[SEED]
    try:
        match given:
            case Given(kind="text"):
                given = coerce.typed(given.text, field)
            case Given(kind="json"):
                given = coerce.read_json(given.text)
    except (InputError, ValueError):
        return None
    given = coerce.fitted(coerce.unwrapped(given, field), field)
    return given if _is_whole(given) else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
