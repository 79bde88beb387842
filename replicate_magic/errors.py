"""Owns the exceptions of this package; must not decide when one is raised.

```
ReplicateMagicError
├── CellError              what was written makes no sense; nothing was sent
│   ├── TemplateError      a {{expression}} could not be evaluated
│   └── InputError         an input the model's schema refuses
├── JqError                a jq program that does not compile, fails, or takes too long
├── HistoryError           the history cannot be read or written; a run goes on
├── NotInHistory           nothing may be sent, and the history has no answer
├── OverBudget             it may cost more than a limit lets it; nothing was sent
├── EngineUnavailable      the embedded engine cannot run here
├── ConnectionFailed       no connection could be made; nothing was sent
├── UnexpectedAnswer       whoever answered is not Replicate's API
│   └── ConnectionLost     the connection broke before the answer was complete
├── CreateUnclear          the request to create broke off; it may have been accepted
├── APIError               Replicate refused, with its own words
│   ├── Unauthorized       401 and 403: the token
│   ├── InsufficientCredit 402
│   ├── NotFound           404
│   ├── InvalidInput       422, with the fields named
│   ├── RateLimited        429, and waiting would have passed the deadline
│   └── ServerError        5xx
├── BatchFailed            some of many predictions did not succeed
└── PredictionFailed       the prediction ended as failed, canceled or aborted
    └── PredictionTimeout  our deadline was over; the prediction was canceled
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicate_magic.plain import printable, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from replicate_magic.prediction import Prediction

__all__ = [
    "APIError",
    "BatchFailed",
    "CellError",
    "ConnectionFailed",
    "ConnectionLost",
    "CreateUnclear",
    "EngineUnavailable",
    "HistoryError",
    "InputError",
    "InsufficientCredit",
    "InvalidInput",
    "JqError",
    "NotFound",
    "NotInHistory",
    "OverBudget",
    "PredictionFailed",
    "PredictionTimeout",
    "RateLimited",
    "ReplicateMagicError",
    "ServerError",
    "TemplateError",
    "Unauthorized",
    "UnexpectedAnswer",
]


class ReplicateMagicError(Exception):
    """The base of all errors raised by this package.

    IPython shows it as its message alone; the traceback of a typing mistake helps nobody. `%tb`
    shows the same, `raise` and `pdb` have everything.
    """

    def _render_traceback_(self) -> list[str]:
        notes = getattr(self, "__notes__", ())
        return [short_traceback(type(self).__name__, "\n".join([str(self), *notes]))]


class CellError(ReplicateMagicError):
    """What was written makes no sense. Nothing was sent."""


class TemplateError(CellError):
    """A `{{expression}}` could not be evaluated. Nothing was sent."""


class InputError(CellError):
    """An input is unknown, missing, or of a kind the model's schema refuses. Nothing was sent."""


class JqError(ReplicateMagicError):
    """A jq program does not compile, fails on its input, or took too long."""


class HistoryError(ReplicateMagicError):
    """The history cannot be read or written: the file, and why. It ends no prediction."""


class NotInHistory(ReplicateMagicError):
    """`REPLICATE_MAGIC_REPLAY=only`, and the history has no answer to this. Nothing was sent."""


class OverBudget(ReplicateMagicError):
    """It would cost more than a limit lets it, by estimates, or that is not known.

    Nothing was sent.
    """


class EngineUnavailable(ReplicateMagicError):
    """The embedded engine cannot run on this machine, or ended."""


class ConnectionFailed(ReplicateMagicError):
    """No connection could be made, so nothing was sent."""


class UnexpectedAnswer(ReplicateMagicError):
    """The answer is not one of Replicate's API: HTML, cut short, or of another shape."""


class ConnectionLost(UnexpectedAnswer):
    """The connection broke after the request had left, before the answer was complete."""


class CreateUnclear(ReplicateMagicError):
    """The request to create a prediction broke off after it may have been accepted.

    It was not sent again, since that could pay twice.

    Attributes:
        candidates: the API's JSON of the account's recent predictions that could be this one.
    """

    def __init__(self, message: str, *, candidates: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class APIError(ReplicateMagicError):
    """Replicate refused a request.

    Attributes:
        status: the HTTP status code.
        detail: Replicate's own words.
        invalid_fields: for 422, one `{type, field, description}` per problem.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        detail: str = "",
        invalid_fields: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.invalid_fields = tuple(invalid_fields)


class Unauthorized(APIError):
    """The token is missing, wrong, or has no right to this."""


class InsufficientCredit(APIError):
    """The account cannot pay for the run."""


class NotFound(APIError):
    """There is no such model, version, deployment or prediction, or it is not visible to you."""


class InvalidInput(APIError):
    """Replicate's own validation refused the input or the version."""


class RateLimited(APIError):
    """Too many requests, and waiting as long as the answer asks would pass the deadline."""


class ServerError(APIError):
    """Replicate had a fault of its own."""


class BatchFailed(ReplicateMagicError):
    """Some of many predictions did not succeed; the others are kept.

    Attributes:
        frame: all of them, one row a request, as `replicate_magic.batch` gives it.
    """

    def __init__(self, message: str, *, frame: pd.DataFrame) -> None:
        super().__init__(message)
        self.frame = frame


class PredictionFailed(ReplicateMagicError):
    """A prediction ended as failed, canceled or aborted.

    Attributes:
        prediction: all that is known of it: id, error, logs, metrics, partial output.
    """

    def __init__(self, message: str, *, prediction: Prediction) -> None:
        super().__init__(message)
        self.prediction = prediction


class PredictionTimeout(PredictionFailed):
    """The deadline was over before the prediction; it was canceled at Replicate."""


def short_traceback(name: str, message: str) -> str:
    """An error as notebooks and terminals show it: its name in red, then its message."""
    told = wrapped(f"{name}: {printable(message)}")
    return told.replace(name, f"\x1b[31m{name}\x1b[39m", 1)
