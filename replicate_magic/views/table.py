"""Owns how a table of runs looks, and one of their figures; must not know what makes such tables.

They are told by their columns. Only the first rows are read, and any column may be missing: a
table is the user's own to change.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replicate_magic.views import cells, columns
from replicate_magic.views.columns import LONG, NUMBER, ROWS, Column, Head, measured, others, plain
from replicate_magic.views.listed import listed_bundle
from replicate_magic.views.status import duration, money

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

_RUNS = {"id", "model", "version", "status", "created_at"}
_STATS = {"model", "runs", "success_rate"}
_KNOWN = _RUNS | {
    "prompt", "input.prompt", "output", "error", "started_at", "completed_at", "tag",
}  # fmt: skip
_NO_RUNS = "No runs: a cell that begins with %%replicate makes one; a filter may be too narrow."
_ESTIMATE = "cost is an estimate"
_HASH = re.compile(r"[0-9a-f]{40,64}")

HEADINGS = (
    "status", "model", "prompt", "output", "ran", "tokens", "tokens/s", "tag", "created", "id",
)  # fmt: skip
"""Of the columns of `run_texts`."""


def run_texts(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """What the table shows of each run of a frame, as texts that are safe to print."""
    shown = _of_runs(Head(frame, len(frame)))[: len(HEADINGS)]
    return list(zip(*([cell.text for cell in column.cells] for column in shown), strict=True))


def table_bundle(frame: pd.DataFrame) -> dict[str, str] | None:
    """The mimebundle by which a frame shows itself.

    Args:
        frame: any DataFrame. One with the columns `id, model, version, status, created_at` is of
            runs; one with `model, runs, success_rate` is of figures, one row a model.

    Returns:
        text/plain, no wider than the terminal, and text/html; `None` for other frames, but for
        what the API has listed or found.
    """
    names = set(frame.columns)
    if not (names >= _RUNS or names >= _STATS):
        return listed_bundle(frame)
    if not len(frame):
        return {"text/plain": _NO_RUNS, "text/html": f'<div style="{cells.QUIET}">{_NO_RUNS}</div>'}
    read, noun = (_of_runs, "run") if names >= _RUNS else (_of_stats, "model")
    first, *more = read(Head(frame))
    shown = [first, *(column for column in more if not column.is_empty)]
    return columns.bundle(shown, lambda told: _caption(frame, noun, told))


def _caption(frame: pd.DataFrame, noun: str, shown: list[Column]) -> str:
    told = {name for column in shown for name in column.tells}
    more = sum(name not in told for name in frame.columns)
    count = f"{len(frame):,} {noun}{'s' * (len(frame) != 1)}"
    parts = [
        f"Showing {ROWS} of {count}" if len(frame) > ROWS else count,
        f"{more} more column{'s' * (more != 1)}: df.columns" if more else "",
        _ESTIMATE if noun == "model" and "cost_usd" in told else "",
    ]
    return " · ".join(filter(None, parts))


# -- which columns ----------------------------------------------------------------------------


def _of_runs(head: Head) -> list[Column]:
    return [
        plain(head, "status", cells.dotted),
        _models(head),
        plain(head, "prompt", cells.text, style=LONG),
        _outputs(head),
        measured(head, "metrics.predict_time", duration, title="ran", rank=2),
        _tokens(head),
        measured(head, "metrics.tokens_per_second", cells.speed, title="tokens/s", rank=6),
        plain(head, "tag", cells.text, style=LONG, rank=3),
        plain(head, "created_at", cells.time, title="created", rank=4),
        _ids(head),
        *others(head, _KNOWN),
    ]


def _of_stats(head: Head) -> list[Column]:
    shown = [
        _models(head),
        measured(head, "runs", cells.count, title="runs"),
        measured(head, "success_rate", cells.share, title="succeeded"),
        measured(head, "predict_time_p50_s", duration, title="ran p50", rank=1),
        measured(head, "predict_time_p95_s", duration, title="ran p95", rank=4),
        measured(head, "total_time_p50_s", duration, title="total p50", rank=5),
        measured(head, "total_time_p95_s", duration, title="total p95", rank=6),
        measured(head, "first_token_p50_s", duration, title="first token", rank=5),
        measured(head, "tokens_per_second_p50", cells.speed, title="tokens/s p50", rank=2),
        measured(head, "input_tokens", cells.count, title="tokens in", rank=3),
        measured(head, "output_tokens", cells.count, title="tokens out", rank=3),
        _costs(head),
    ]
    return shown + others(head, {name for column in shown for name in column.tells})


def _models(head: Head) -> Column:
    versions = [str(version) for version in head["version"]]
    digits = [version[:8] if _HASH.fullmatch(version) else "" for version in versions]
    names = map(cells.model, head["model"], digits)
    tells: set[Hashable] = {"model", *(["version"] if any(digits) else [])}
    return Column(title="model", cells=list(names), tells=tells, style=LONG)


def _outputs(head: Head) -> Column:
    outputs, errors = head["output"], head["error"]
    texts = [
        cells.text(output) if error is None else cells.styled(cells.text(error), cells.BAD)
        for output, error in zip(outputs, errors, strict=True)
    ]
    failed = any(error is not None for error in errors)
    tells: set[Hashable] = {"output", *(["error"] if failed else [])}
    return Column(title="output", cells=texts, tells=tells, style=LONG)


def _tokens(head: Head) -> Column:
    names = "metrics.input_token_count", "metrics.output_token_count"
    given, made = (map(cells.sensible, head[name]) for name in names)
    texts = [cells.whole(words) for words in map(cells.tokens, given, made)]
    return Column(title="tokens", cells=texts, tells={*names}, style=NUMBER, rank=5)


def _ids(head: Head) -> Column:
    ids = list(map(cells.identity, head["id"], head["local.page"]))
    linked = any("href" in cell.markup for cell in ids)
    tells: set[Hashable] = {"id", *(["local.page"] if linked else [])}
    return Column(title="id", cells=ids, tells=tells, rank=1)


def _costs(head: Head) -> Column:
    column = measured(head, "cost_usd", money, title="cost", rank=1)
    if not column.is_empty:
        unknown = cells.styled(cells.plain("unknown"), cells.QUIET)
        column.cells[:] = [cell if cell.text else unknown for cell in column.cells]
    return column
