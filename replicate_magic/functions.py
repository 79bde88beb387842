"""Owns `run`, `arun`, `start` and `info`, the cell as functions.

It must not do what the session does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from replicate_magic.aliases import read_model
from replicate_magic.cell.options import amount_usd, seconds_to_wait
from replicate_magic.cell.plan import Draft
from replicate_magic.errors import InputError
from replicate_magic.job import Ended, check
from replicate_magic.order import Conditions, replay, saving_into, seconds_of
from replicate_magic.recording import notebook_name, prediction_of
from replicate_magic.runs.history import warn_of_history
from replicate_magic.runs.picking import found
from replicate_magic.session import the_session
from replicate_magic.spending import Spending
from replicate_magic.views import Look, NoView, choose
from replicate_magic.views import close as close_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicate_magic.cell.info import ModelInfo
    from replicate_magic.cell.plan import Target
    from replicate_magic.job import Job
    from replicate_magic.prediction import Prediction


def run(
    model: str,
    /,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    timeout: float | str | None = None,
    wait: int | None = None,
    stream: bool = True,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    cached: bool = False,
    max_cost: float | None = None,
    show: bool = False,
    **inputs: Any,
) -> Prediction:
    """Run a model and return its prediction.

    ```python
    p = replicate_magic.run("local/smollm2-135m-instruct", prompt="Hello", max_tokens=20)
    print(p.text, p.metrics["predict_time"])
    ```

    Args:
        model: `owner/name`, `owner/name:version`, `deployment:owner/name`, `local/NAME`, the
            `http://host:port` of a Cog server, or an alias.
        input: the model's inputs as a mapping, for those named like one of these arguments.
        timeout: cancel after that many seconds, or `"5m"`; one hour if not given.
        wait: ask Replicate to hold its answer back for up to that many seconds (1 to 60).
        stream: whether to read the output as it comes.
        tag: a word to find this run by in the history.
        log: whether the history keeps it.
        save: whether output files are saved, in the history's own folder; or the folder for them.
        force: send inputs that the model's schema refuses all the same.
        cached: take the answer from history where model and inputs are the same, and pay nothing.
        max_cost: send nothing where it may cost more US dollars than this, by earlier runs, or
            where that is not known.
        show: whether to draw the prediction as the cell does.
        **inputs: the model's inputs. A `Path`, `bytes` or an open file is sent as a file.

    Raises:
        PredictionFailed: it failed, or was canceled or aborted; `error.prediction` has all of it.
        PredictionTimeout: its time was over; it is canceled.
        ReplicateMagicError: it could not be run, or not be followed to its end; the message says
            why, and the prediction, where it had an id, is `error.prediction`.
    """
    target, draft, conditions = _call(
        model, input, inputs, timeout, wait,
        stream=stream, tag=tag, log=log, save=save, force=force, cached=cached,
        max_cost=max_cost,
    )  # fmt: skip
    view = choose(Look()) if show else NoView()
    job = the_session().drive(target, draft, conditions, view)
    close_view(view, job.prediction, why=job.why())
    warn_of_history()
    return job.wait()


async def arun(
    model: str,
    /,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    timeout: float | str | None = None,  # noqa: ASYNC109  (also sent to the server)
    wait: int | None = None,
    stream: bool = True,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    cached: bool = False,
    max_cost: float | None = None,
    **inputs: Any,
) -> Prediction:
    """Run a model and return its prediction, as `run`; cancelling this cancels the prediction."""
    target, draft, conditions = _call(
        model, input, inputs, timeout, wait,
        stream=stream, tag=tag, log=log, save=save, force=force, cached=cached,
        max_cost=max_cost,
    )  # fmt: skip
    ended = await the_session().adrive(target, draft, conditions)
    warn_of_history()
    return check(ended)


def start(
    model: str,
    /,
    *,
    input: Mapping[str, Any] | None = None,  # noqa: A002  (Replicate's own word)
    timeout: float | str | None = None,
    wait: int | None = None,
    stream: bool = True,
    tag: str | None = None,
    log: bool = True,
    save: str | os.PathLike[str] | bool = True,
    force: bool = False,
    cached: bool = False,
    max_cost: float | None = None,
    show: bool = False,
    **inputs: Any,
) -> Job:
    """Begin a prediction in the background, and return at once.

    ```python
    job = replicate_magic.start("owner/name", prompt="…")
    job.prediction.text, job.wait(), job.cancel()
    ```

    Args:
        model: as for `run`, and so are all other arguments.
        input: the model's inputs as a mapping, for those named like one of these arguments.
        timeout: cancel after that many seconds, or `"5m"`; one hour if not given.
        wait: ask Replicate to hold its answer back for up to that many seconds (1 to 60).
        stream: whether to read the output as it comes.
        tag: a word to find this run by in the history.
        log: whether the history keeps it.
        save: whether output files are saved, in the history's own folder; or the folder for them.
        force: send inputs that the model's schema refuses all the same.
        cached: take the answer from history where model and inputs are the same, and pay nothing.
        max_cost: send nothing where it may cost more US dollars than this, by earlier runs, or
            where that is not known.
        show: whether to draw a card that goes on by itself, where a page is watching.
        **inputs: the model's inputs. A `Path`, `bytes` or an open file is sent as a file.

    Raises:
        ReplicateMagicError: there is nowhere to run it; all else is raised by `job.wait()`.
    """
    target, draft, conditions = _call(
        model, input, inputs, timeout, wait,
        stream=stream, tag=tag, log=log, save=save, force=force, cached=cached,
        max_cost=max_cost,
    )  # fmt: skip
    view = choose(Look(), background=True) if show else NoView()

    def close(job: Job) -> None:
        view.close(job.prediction, why=job.why())
        warn_of_history()

    return the_session().begin(target, draft, conditions, view, close)


def attach(
    prediction_id: str, /, *, timeout: float | str | None = None, show: bool = False
) -> Prediction:
    """Follow a prediction of the history to its end, and complete its row.

    That is for runs whose kernel ended before they did: they went on, and were paid for.

    Args:
        prediction_id: its id, or the beginning of it.
        timeout: watch it for that many seconds, or `"5m"`; one hour if not given. After that, and
            when this is interrupted, the prediction goes on.
        show: whether to draw the prediction as the cell does.

    Raises:
        NotFound: the history has none, or where it was made it is not known any more.
        PredictionFailed: it failed, or was canceled or aborted; `error.prediction` has all of it.
        PredictionTimeout: it has not ended in time, and goes on.
        ReplicateMagicError: it could not be followed to its end.
    """
    record = found(prediction_id)
    if record.final:
        return check(Ended(prediction_of(record)))
    view = choose(Look()) if show else NoView()
    job = the_session().attach(record, Conditions(timeout_s=seconds_of(timeout)), view)
    close_view(view, job.prediction, why=job.why())
    return job.wait()


def info(model: str, /) -> ModelInfo:
    """What is known of a model: its inputs, its output, an example; it shows itself.

    ```python
    info = replicate_magic.info("local/smollm2-135m-instruct")
    print(info.example)
    ```

    Args:
        model: as for `run`.

    Raises:
        NotFound: there is none.
        ReplicateMagicError: it could not be found out.
    """
    return the_session().info(read_model(model))


def _call(
    model: str,
    given: Mapping[str, Any] | None,
    inputs: Mapping[str, Any],
    timeout: float | str | None,
    wait: int | None,
    *,
    stream: bool,
    tag: str | None,
    log: bool,
    save: str | os.PathLike[str] | bool,
    force: bool,
    cached: bool,
    max_cost: float | None,
) -> tuple[Target, Draft, Conditions]:
    twice = sorted(set(given or ()) & set(inputs))
    if twice:
        raise InputError(f"{', '.join(twice)} is given twice. Nothing was sent.")
    conditions = conditions_of(
        timeout, wait=wait, stream=stream, tag=tag, log=log, save=save, cached=cached,
        max_cost=max_cost,
    )  # fmt: skip
    return read_model(model), Draft(inputs={**(given or {}), **inputs}, force=force), conditions


def conditions_of(
    timeout: float | str | None,
    *,
    wait: int | None = None,
    stream: bool = True,
    tag: str | None,
    log: bool,
    save: str | os.PathLike[str] | bool,
    cached: bool = False,
    max_cost: float | None = None,
) -> Conditions:
    """How a call runs; the arguments are those of `run`.

    Raises:
        CellError: the time, the seconds to wait or the amount of money are none.
    """
    most_usd = None if max_cost is None else amount_usd("max_cost", max_cost)
    return Conditions(
        timeout_s=seconds_of(timeout),
        wait_s=wait if wait is None else seconds_to_wait(wait),
        stream=stream,
        log=log,
        saving=saving_into(None if isinstance(save, bool) else save, saves=save is True, log=log),
        local={"tag": tag, "notebook": notebook_name(os.environ.get("JPY_SESSION_NAME"))},
        reuse=replay(cached=cached),
        spending=Spending(most_usd=most_usd),
    )
