"""Owns `show`, `cancel`, `rerun`, `diff` and `code`: what is done about an earlier run.

It must not do what `looking`, `ending` and `again` do, nor print.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replicate_magic import ending
from replicate_magic.again import earlier, inputs_again
from replicate_magic.call_code import ENGINE_BASE, Call, Code, write_code
from replicate_magic.cell.plan import Draft
from replicate_magic.difference import Difference
from replicate_magic.errors import InputError
from replicate_magic.functions import conditions_of
from replicate_magic.looking import looked_up
from replicate_magic.runs.history import warn_of_history
from replicate_magic.session import the_session
from replicate_magic.views import Look, NoView, choose
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from replicate_magic.again import Again
    from replicate_magic.prediction import Prediction
    from replicate_magic.runs.record import Record


def show(prediction_id: str, /) -> Prediction:
    """An earlier run, which shows itself whole: its state, its answer, its logs.

    One that had not ended is asked about, and its row in the history is settled. One that is not in
    the history is fetched by its whole id, and kept.

    Args:
        prediction_id: its id, or the beginning of it.

    Raises:
        NotFound: there is none, or several; the nearest are named.
        HistoryError: the history cannot be read.
    """
    return replace(looked_up(prediction_id).prediction, whole=True)


def cancel(prediction_id: str | None = None, /, *, every: bool = False) -> list[Prediction]:
    """End runs, and wait for what became of them; `status` tells, which need not be `canceled`.

    ```python
    [p] = replicate_magic.cancel("rrr4z55ocneqzikepnug6xezpe")
    ```

    Args:
        prediction_id: the id of a run, or the beginning of it; also of one that another kernel
            began. The only one that this kernel runs if none is given.
        every: end all that this kernel runs.

    Raises:
        CellError: none is given, and there is none, or there are several.
        NotFound: there is no such run, or where it was made it is not known any more.
        ReplicateMagicError: it could not be told to stop.
    """
    outcomes = ending.end_all() if every else ending.end_one(prediction_id)
    warn_of_history()
    return [outcome.prediction for outcome in outcomes]


def rerun(
    prediction_id: str,
    /,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    timeout: float | str | None = None,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    cached: bool = False,
    max_cost: float | None = None,
    show: bool = False,
    **inputs: Any,
) -> Prediction:
    """Run the same model and version once more, with the inputs that were sent, and with changes.

    ```python
    p = replicate_magic.rerun("rrr4z55o", temperature=0.2)
    ```

    Args:
        prediction_id: the id of the earlier run, or the beginning of it.
        input: changed inputs as a mapping, for those named like one of these arguments.
        timeout: as for `run`, and so are all other arguments.
        tag: a word to find this run by in the history.
        log: whether the history keeps it.
        save: whether output files are saved, in the history's own folder; or the folder for them.
        force: send inputs that the model's schema refuses all the same.
        cached: take the answer from history where model and inputs are the same, and pay nothing.
        max_cost: send nothing where it may cost more US dollars than this.
        show: whether to draw the prediction as the cell does.
        **inputs: changed inputs.

    Raises:
        NotFound: there is no such run.
        InputError: a secret has to be given again, or a file is gone; nothing was sent.
        PredictionFailed, ReplicateMagicError: as for `run`.
    """
    twice = sorted(set(input or ()) & set(inputs))
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice. Nothing was sent.")
    changed = {**(input or {}), **inputs}
    record = looked_up(prediction_id).record
    made = earlier(record)
    draft = Draft(inputs={**inputs_again(record, made, changed), **changed}, force=force)
    conditions = conditions_of(
        timeout, tag=tag, log=log, save=save, cached=cached, max_cost=max_cost
    )
    view = choose(Look()) if show else NoView()
    job = the_session().drive(made.target, draft, conditions, view)
    close_view(view, job.prediction, why=job.why())
    warn_of_history()
    return job.wait()


def diff(before: str, after: str, /) -> Difference:
    """Two earlier runs beside each other: inputs, versions, outputs, metrics. It shows itself.

    Args:
        before: the id of the first, or the beginning of it.
        after: the id of the second.

    Raises:
        NotFound: there is no such run, or there are several.
    """
    one, other = (looked_up(word).prediction for word in (before, after))
    return Difference(before=one, after=other)


def code(prediction_id: str, /) -> Code:
    """An earlier run as a curl line, with Python's official client, and as a cell.

    ```python
    print(replicate_magic.code("rrr4z55o").curl)
    ```

    The token stands in none of them: they read `REPLICATE_API_TOKEN`.

    Args:
        prediction_id: its id, or the beginning of it.

    Raises:
        NotFound: there is no such run, or there are several.
        CellError: its row names no model, or Replicate has deleted its input.
    """
    record = looked_up(prediction_id).record
    made = earlier(record)
    return write_code(
        Call(
            target=made.target,
            version=made.described.version or made.target.version,
            base=_base_of(record, made),
            inputs=made.inputs,
            secrets=made.secrets,
            schema=made.schema,
        )
    )


def _base_of(record: Record, made: Again) -> str:
    """Where it would be sent to; an embedded engine's own address ends with its kernel."""
    if the_session().endpoints.is_embedded(made.target):
        return ENGINE_BASE
    if made.target.is_local:
        return the_session().endpoints.configured().base
    return str(made.target) if made.target.kind == "cog" else record.origin
