"""Owns what to tell of a prediction that did not end well: what happened, where, what to try.

It must not raise or show anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from replicate_magic.errors import short_traceback
from replicate_magic.plain import one_line
from replicate_magic.prediction import CANCELING

if TYPE_CHECKING:
    from replicate_magic.prediction import Prediction

_LOG_LINES = 5
_NEVER_STARTED = "Its deadline passed before it started. It is not billed."
_WITHOUT_ID = (
    "If it is created all the same, it is canceled as soon as its id is known, while this process "
    "lives; after that its own deadline ends it."
)
_NOT_TAKEN = "The server had not taken it: nothing was run."

_ADVICE = (
    # Replicate's own codes: https://replicate.com/docs/reference/error-codes
    ("code: PA", "It was interrupted on Replicate's side; running it again is a new prediction."),
    ("E1001", "It ran out of memory: the same input will again; try a smaller one."),
    ("E6716", "It did not start in time; running it again is a new prediction."),
    ("E8765", "The model's health check failed; running it again may help."),
    ("E9243", "The model did not start; running it again may help."),
    ("Director:", "A fault on Replicate's side; running it again is a new prediction."),
    ("sensitive", "The model refused the content; the same input will be refused again."),
    ("NSFW", "The model refused the content; the same input will be refused again."),
)


Cut = Literal["", "deadline", "cancel", "left"]
"""What of ours ended a run before its own end, if anything did; `left` it goes on unwatched."""


def why_not(prediction: Prediction, *, cut: Cut = "") -> str:
    """What to tell of a prediction that did not succeed: what happened, where, what to try."""
    what = f"{prediction.model} {_what_happened(prediction, cut)}"
    lines = [what, _advice(prediction, cut), _where(prediction)]
    logs = [line for line in prediction.logs.splitlines() if line not in {"", prediction.error}]
    if logs:
        lines += ["Its last log lines:", *(f"  {one_line(line)}" for line in logs[-_LOG_LINES:])]
    return "\n".join(line for line in lines if line)


def short_why(prediction: Prediction, *, cut: Cut = "") -> str:
    """The same under a view that names the model and its status already: what is new, and short."""
    match cut, prediction.status:
        case "", "failed" if prediction.error:
            what = _error(prediction)
        case "", "failed":
            what = "No reason was given."
        case _, "canceled" if cut != "deadline":
            return ""
        case "", "aborted":
            what = _NEVER_STARTED
        case _:
            what = _what_happened(prediction, cut)
            what = what[:1].upper() + what[1:]
    return "\n".join(line for line in (what, _advice(prediction, cut)) if line)


def _error(prediction: Prediction) -> str:
    return one_line(prediction.error or "no reason was given", limit=1_000)


def _what_happened(prediction: Prediction, cut: Cut) -> str:
    match cut, prediction.status:
        case "deadline" | "left", _:
            return _what_the_deadline_did(prediction, cut)
        case "cancel", _ if not prediction.final:
            return _what_the_cancel_did(prediction)
        case _, "failed":
            return f"failed: {_error(prediction)}"
        case _, "canceled":
            return "was canceled."
        case _, "aborted":
            return f"was aborted. {_NEVER_STARTED}"
    return f"ended with the status {one_line(prediction.status)}."


def _what_the_deadline_did(prediction: Prediction, cut: Cut) -> str:
    if cut == "left":
        return "has not ended in the time given (--timeout), and goes on."
    if _is_canceling(prediction):
        return (
            "took longer than it was given (--timeout), and was told to stop; its end is not seen."
        )
    if prediction.final:
        return "was canceled: its time was over. --timeout (in Python timeout=) gives it more."
    if not prediction.id:
        return "took longer than it was given (--timeout), before it had an id."
    return "took longer than it was given (--timeout), and could not be canceled."


def _what_the_cancel_did(prediction: Prediction) -> str:
    if _is_canceling(prediction):
        return "was told to stop; its end is not seen."
    return "could not be canceled." if prediction.id else "was canceled before it had an id."


def _advice(prediction: Prediction, cut: Cut) -> str:
    if not prediction.id:
        return _without_id(prediction)
    if cut == "left":
        return "%replicate attach follows it again."
    if cut and not prediction.final and not _is_canceling(prediction):
        billed = "" if _is_on_a_server(prediction) else ", and be billed"
        return f"It may still be running{billed}."
    error = prediction.error or ""
    return next((advice for sign, advice in _ADVICE if sign in error), "")


def _without_id(prediction: Prediction) -> str:
    return _NOT_TAKEN if _is_on_a_server(prediction) else _WITHOUT_ID


def _is_on_a_server(prediction: Prediction) -> bool:
    """Whether a Cog server's address stands for the model."""
    return "://" in prediction.model


def _is_canceling(prediction: Prediction) -> bool:
    return bool(prediction.retry and prediction.retry.reason == CANCELING)


def _where(prediction: Prediction) -> str:
    page = f" · {prediction.page}" if prediction.page else ""
    return f"Prediction {prediction.id}{page}" if prediction.id else ""


def carry(error: BaseException, prediction: Prediction | None) -> None:
    """Have an error carry the prediction it is about as `prediction`, where that has an id."""
    if prediction and prediction.id and not hasattr(error, "prediction"):
        error.prediction = prediction  # type: ignore[attr-defined]  # for whoever catches it
        if not isinstance(error, KeyboardInterrupt):  # whose own words name it
            error.add_note(_where(prediction))


def explain_interrupt(
    interrupt: KeyboardInterrupt, prediction: Prediction | None, *, going_on: bool
) -> None:
    """Have an interrupt tell what became of the prediction, and carry it if it has an id.

    Args:
        interrupt: the interrupt.
        prediction: what is known of the prediction, if anything.
        going_on: whether the cancelling is still under way, as after a second interrupt.
    """
    carry(interrupt, prediction)
    tell_interrupt(interrupt, _after_interrupt(prediction, going_on=going_on))


def explain_wait(
    interrupt: KeyboardInterrupt,
    prediction: Prediction,
    *,
    ended_by: str = "the job's cancel() ends it",
) -> None:
    """Have an interrupt of a wait tell that what was waited for goes on, and what to do then."""
    name = f"{prediction.model} ({prediction.id or 'no id yet'})"
    tell_interrupt(interrupt, f"{name} goes on in the background; {ended_by}.")


def tell_interrupt(interrupt: KeyboardInterrupt, message: str) -> None:
    """Have an interrupt say in IPython, and as a note, what it has led to."""
    interrupt.add_note(message)
    interrupt._render_traceback_ = lambda: [  # type: ignore[attr-defined]  # IPython's protocol
        short_traceback("KeyboardInterrupt", message)
    ]


def _after_interrupt(prediction: Prediction | None, *, going_on: bool) -> str:
    if prediction is None:
        return "Nothing was sent."
    if not prediction.id:
        return f"{prediction.model} had no id yet. {_without_id(prediction)}"
    name = f"{prediction.model} ({prediction.id})"
    if prediction.final:
        return f"{name} {'had already succeeded' if prediction.ok else f'was {prediction.status}'}."
    address = prediction.page or prediction.urls.get("get", "")
    where = f": {address}" if address else "."
    if going_on or _is_canceling(prediction):
        return f"{name} was told to stop; its end was not waited for{where}"
    return f"{name} could not be canceled and may still be running{where}"
